using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

public sealed class ClientsOfDebianRegistryTests(SharedEngine engine, DebianRegistry registry) : RegistryClientTests(engine, registry), IClassFixture<DebianRegistry>;

public sealed class ClientsOfSlipwayRegistryTests(SharedEngine engine, SlipwayRegistry registry) : RegistryClientTests(engine, registry), IClassFixture<SlipwayRegistry>;

/// <summary>Images that go between our engine and other people's programs by way of a registry: digests are the same on all sides.</summary>
public abstract class RegistryClientTests(SharedEngine engine, RegistryServer registry) : RegistryTest(engine, registry)
{
    /// <summary>Loads a runnable image under a name in the registry, and pushes it.</summary>
    private async Task<string> PushAlpine(string repository)
    {
        await Docker.Ok("tag", "alpine", Remote(repository));
        await Docker.Ok("push", Remote(repository));
        return Remote(repository);
    }

    [Fact]
    public async Task Skopeo_and_buildah_pull_what_docker_pushed()
    {
        var (repository, clients) = (Repository(), new OtherClients(Folder()));
        var image = await PushAlpine(repository);
        var digest = await Http.Digest(repository, "1");

        Assert.Equal(digest, await OtherClients.Digest($"docker://{image}"));
        Assert.Equal(digest, await RepoDigest(image));
        (await clients.Buildah("pull", "-q", "--tls-verify=false", $"docker://{image}")).Ok();
        Assert.Equal(digest, (await clients.Buildah("images", "--format", "{{.Digest}}")).Ok().Line);
        Assert.Equal(await Docker.Inspect(image, "{{.Id}}"), "sha256:" + (await clients.Buildah("images", "--no-trunc", "-q")).Ok().Line.Replace("sha256:", "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Docker_runs_what_buildah_pushed()
    {
        var (repository, clients) = (Repository(), new OtherClients(Folder()));
        var image = await PushAlpine(repository);
        (await clients.Buildah("pull", "-q", "--tls-verify=false", $"docker://{image}")).Ok();
        var container = (await clients.Buildah("from", "--pull-never", image)).Ok().Line;
        var file = Path.Combine(Folder(), "file");
        await File.WriteAllTextAsync(file, "from-outside\n", Cancellation);
        (await clients.Buildah("copy", container, file, "/file")).Ok();
        (await clients.Buildah("commit", "-q", "--tls-verify=false", container, $"docker://{Remote(repository, "2")}")).Ok();

        Assert.Equal("from-outside", await Docker.Ok("run", "-q", "--rm", "--network", "none", Remote(repository, "2"), "cat", "/file"));
        Assert.Equal(await Http.Digest(repository, "2"), await RepoDigest(Remote(repository, "2")));
    }

    [Fact]
    public async Task Docker_runs_what_umoci_changed()
    {
        var (repository, folder) = (Repository(), Folder());
        var (layout, bundle) = (new OtherClients(folder).Layout, Path.Combine(folder, "bundle"));
        var image = await PushAlpine(repository);
        (await OtherClients.Copy($"docker://{image}", $"oci:{layout}:1")).Ok();
        (await OtherClients.Umoci("unpack", "--image", $"{layout}:1", bundle)).Ok();
        await File.WriteAllTextAsync(Path.Combine(bundle, "rootfs", "file"), "from-outside\n", Cancellation);
        (await OtherClients.Umoci("repack", "--image", $"{layout}:2", bundle)).Ok();
        (await OtherClients.Copy($"oci:{layout}:2", $"docker://{Remote(repository, "2")}")).Ok();

        Assert.Equal("from-outside", await Docker.Ok("run", "-q", "--rm", "--network", "none", Remote(repository, "2"), "cat", "/file"));

        // And back: what docker pushes again is what umoci made.
        var copy = Repository("copy");
        await Docker.Ok("tag", Remote(repository, "2"), Remote(copy));
        await Docker.Ok("push", Remote(copy));
        Assert.Equal(await Http.Digest(repository, "2"), await Http.Digest(copy, "1"));
        (await OtherClients.Copy($"docker://{Remote(copy)}", $"oci:{layout}:3", "--preserve-digests")).Ok();
        (await OtherClients.Umoci("unpack", "--image", $"{layout}:3", bundle + "3")).Ok();
        Assert.Equal("from-outside\n", await File.ReadAllTextAsync(Path.Combine(bundle + "3", "rootfs", "file"), Cancellation));
    }

    /// <summary>Multi-platform images, signatures, zstd, eStargz, plain tars, as their makers built them.</summary>
    [Theory]
    [InlineData("busybox-1.37.0-glibc-multiarch.tar", null)]
    [InlineData("busybox-1.37.0-uclibc-amd64.tar", null)]
    [InlineData("hello-world-multiarch.tar", null)]
    [InlineData("dive-test-oci-zstd-image.tar", "linux/arm64")]
    [InlineData("dive-test-oci-estargz-image.tar", "linux/arm64")]
    [InlineData("dive-test-oci-gzip-image.tar", "linux/arm64")]
    [InlineData("dive-test-oci-uncompressed-image.tar", "linux/arm64")]
    [InlineData("stereoscope-valid-oci.tar", null)]
    public async Task Docker_pulls_and_pushes_what_skopeo_pushed(string archive, string? platform)
    {
        var shared = Requirement.Shared();
        var (repository, copy) = (Repository(), Repository("copy"));
        (await OtherClients.Copy($"oci-archive:{shared}/images/oci/{archive}", $"docker://{Remote(repository)}", "--all", "--preserve-digests")).Ok();
        var digest = await Http.Digest(repository, "1");
        string[] options = platform is null ? [] : ["--platform", platform];
        (await Docker.Run(["pull", .. options, Remote(repository)])).Ok().Says($"Digest: {digest}");
        Assert.Equal(digest, await RepoDigest(Remote(repository)));

        // The manifest of the one platform that is here: an index is pushed only where all of it is here.
        await Docker.Ok("tag", Remote(repository), Remote(copy));
        (await Docker.Run("push", Remote(copy))).Ok().Says(await Http.Digest(copy, "1"));
        await Forget(repository);
        await Forget(copy);
        (await Docker.Run(["pull", .. options, Remote(copy)])).Ok();
    }
}
