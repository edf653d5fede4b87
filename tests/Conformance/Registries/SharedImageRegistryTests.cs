using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>
/// Images made by others go from our engine to Debian's registry, by skopeo to our own registry, and back to our engine: the same image, by the
/// same digest everywhere.
/// </summary>
public sealed class SharedImageRegistryTests(SharedEngine engine, DebianRegistry debian, SlipwayRegistry slipway)
    : RegistryTest(engine, debian), IClassFixture<DebianRegistry>, IClassFixture<SlipwayRegistry>
{
    /// <summary>What docker load refuses (<see cref="SharedImageTests"/>).</summary>
    private static readonly string[] Refused =
        ["save/null_manifest.tar", "save/test_bundle.tar", "save/no_manifest.tar", "save/v1-emptyLayer.tar", "edge/oci/bad-digests.tar", "edge/oci/squashfs-layer.tar"];

    public static TheoryData<string> Archives() => Harness.Repository.Shared is not { } shared
        ? ["none"]
        : [.. from folder in new[] { "oci", "save", "edge/oci" }
              from file in Directory.EnumerateFiles(Path.Combine(shared, "images", folder)).Order()
              let name = $"{folder}/{Path.GetFileName(file)}"
              where !file.EndsWith(".md", StringComparison.Ordinal) && !Refused.Contains(name)
              select name];

    [Theory]
    [MemberData(nameof(Archives))]
    public async Task There_and_back(string archive)
    {
        var loaded = (await Docker.Run("load", "-i", Path.Combine(Requirement.Shared(), "images", archive))).Ok().Lines
            .Where(line => line.StartsWith("Loaded image", StringComparison.Ordinal)).Select(line => line.Split(": ", 2)[1]).ToArray();
        foreach (var name in loaded)
        {
            Cleanup(() => Docker.Run("rmi", "-f", name));
        }
        foreach (var (i, name) in loaded.Take(2).Index())
        {
            await ThereAndBack(name, Repository($"image{i}"));
        }
    }

    private async Task ThereAndBack(string image, string repository)
    {
        var id = await Docker.Inspect(image, "{{.Id}}");
        await Docker.Ok("tag", image, Remote(repository));
        (await Docker.Run("push", Remote(repository))).Ok();
        var digest = await Http.Digest(repository, "1");
        Assert.Equal(digest, await RepoDigest(Remote(repository)));

        var there = $"{slipway.Host}/{repository}:1";
        (await OtherClients.Copy($"docker://{Remote(repository)}", $"docker://{there}", "--all", "--preserve-digests")).Ok();
        Assert.Equal(digest, await slipway.Http.Digest(repository, "1"));

        await Docker.Run("rmi", "-f", image);
        await Forget(repository);
        var platform = System.Text.Json.Nodes.JsonNode.Parse(await slipway.Http.Manifest(repository, "1"))!["manifests"] is null ? "" : "index";
        (await Docker.Run("pull", there)).Ok().Says($"Digest: {digest}");
        Assert.True(platform == "index" || id == await Docker.Inspect(there, "{{.Id}}"), $"{image} came back as another image");
        Assert.Equal(digest, await RepoDigest(there));
    }
}
