using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>
/// Images made by others, between our engine, buildah and umoci, by way of our own registry and Debian's: each side names the same digest, and
/// what the other tool pushed is what docker pulls.
/// </summary>
[Collection(nameof(SharedNames))]
public sealed class SharedImageClientsTests(SharedEngine engine, DebianRegistry debian, SlipwayRegistry slipway)
    : RegistryTest(engine, slipway), IClassFixture<DebianRegistry>, IClassFixture<SlipwayRegistry>
{
    public static TheoryData<string> ForBuildah() => SharedArchives.Loadable();

    public static TheoryData<string> ForUmoci() => SharedArchives.Loadable();

    [Theory]
    [MemberData(nameof(ForBuildah))]
    public async Task Buildah_pulls_and_pushes(string archive)
    {
        foreach (var (i, image) in (await Load(archive)).Take(2).Index())
        {
            var (repository, folder) = (Repository($"image{i}"), Folder());
            var clients = new OtherClients(folder);
            var (pushed, digest) = await Push(image, repository);
            (await clients.Buildah("pull", "-q", "--tls-verify=false", "--platform", await Platform(image), $"docker://{pushed}")).Ok();
            Assert.Equal(digest, (await clients.Buildah("images", "--format", "{{.Digest}}")).Ok().Line);

            var file = Path.Combine(folder, "digest");
            (await clients.Buildah("push", "-q", "--tls-verify=false", "--digestfile", file, pushed, $"docker://{debian.Host}/{repository}:2")).Ok();
            var back = (await File.ReadAllTextAsync(file, Cancellation)).Trim();
            Assert.Equal(back, await debian.Http.Digest(repository, "2"));
            await PullAgain($"{debian.Host}/{repository}:2", back, image);
        }
    }

    [Theory]
    [MemberData(nameof(ForUmoci))]
    public async Task Umoci_unpacks_and_changes(string archive)
    {
        foreach (var (i, image) in (await Load(archive)).Take(2).Index())
        {
            var (repository, folder) = (Repository($"image{i}"), Folder());
            var layout = new OtherClients(folder).Layout;
            var (pushed, _) = await Push(image, repository);
            var platform = (await Platform(image)).Split('/');
            string[] choice = ["--override-os", platform[0], "--override-arch", platform[1], .. platform is [_, _, var variant] ? new[] { "--override-variant", variant } : []];
            (await OtherClients.Copy($"docker://{pushed}", $"oci:{layout}:1", choice)).Ok();

            // Only the root: umoci makes no bundle for a configuration without os, as the hand-made images have it; and Debian's knows no zstd.
            var unpacked = await OtherClients.Umoci("raw", "unpack", "--image", $"{layout}:1", Path.Combine(folder, "rootfs"));
            Assert.True(unpacked.ExitCode == 0 || unpacked.Error.Contains("tar+zstd", StringComparison.Ordinal), unpacked.Error);

            (await OtherClients.Umoci("config", "--image", $"{layout}:1", "--tag", "2", "--author", "somebody else")).Ok();
            var digest = await OtherClients.Digest($"oci:{layout}:2");
            (await OtherClients.Copy($"oci:{layout}:2", $"docker://{debian.Host}/{repository}:2", ["--preserve-digests", .. choice])).Ok();
            Assert.Equal(digest, await debian.Http.Digest(repository, "2"));
            (await Docker.Run("pull", $"{debian.Host}/{repository}:2")).Ok().Says($"Digest: {digest}");
            Assert.Equal("somebody else", await Docker.Inspect($"{debian.Host}/{repository}:2", "{{.Author}}"));
            Assert.Equal(await Docker.Inspect(image, "{{.RootFS.Layers}}"), await Docker.Inspect($"{debian.Host}/{repository}:2", "{{.RootFS.Layers}}"));
        }
    }

    private async Task<(string Name, string Digest)> Push(string image, string repository)
    {
        var name = Remote(repository);
        await Docker.Ok("tag", image, name);
        (await Docker.Run("push", name)).Ok();
        var digest = await Http.Digest(repository, "1");
        Assert.Equal(digest, await RepoDigest(name));
        return (name, digest);
    }

    private async Task PullAgain(string name, string digest, string image)
    {
        var (id, layers) = (await Docker.Inspect(image, "{{.Id}}"), await Docker.Inspect(image, "{{.RootFS.Layers}}"));
        (await Docker.Run("pull", name)).Ok().Says($"Digest: {digest}");
        Assert.Equal(digest, await RepoDigest(name));
        Assert.Equal(id, await Docker.Inspect(name, "{{.Id}}"));
        Assert.Equal(layers, await Docker.Inspect(name, "{{.RootFS.Layers}}"));
    }

    /// <summary>As tools take it: <c>linux/arm64</c>. An image that names none is taken for one of this machine.</summary>
    private async Task<string> Platform(string image)
    {
        var parts = (await Docker.Inspect(image, "{{.Os}}/{{.Architecture}}/{{.Variant}}")).Split('/');
        return string.Join('/', parts[0] is "" ? "linux" : parts[0], parts[1] is "" ? "amd64" : parts[1]) + (parts[2] is "" ? "" : $"/{parts[2]}");
    }
}
