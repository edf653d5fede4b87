using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>
/// Images made by others go from our engine to Debian's registry, by skopeo to our own registry, and back to our engine: the same image, by the
/// same digest everywhere.
/// </summary>
[Collection(nameof(SharedNames))]
public sealed class SharedImageRegistryTests(SharedEngine engine, DebianRegistry debian, SlipwayRegistry slipway)
    : RegistryTest(engine, debian), IClassFixture<DebianRegistry>, IClassFixture<SlipwayRegistry>
{
    public static TheoryData<string> Archives() => SharedArchives.Loadable();

    [Theory]
    [MemberData(nameof(Archives))]
    public async Task There_and_back(string archive)
    {
        var loaded = await Load(archive);
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
