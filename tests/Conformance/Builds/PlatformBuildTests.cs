using System.Text;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Builds for several platforms, by docker-buildx and by <c>slipway build</c>.</summary>
public sealed class PlatformBuildTests(SharedEngine engine) : BuildxTest(engine)
{
    private const string Platforms = "linux/amd64,linux/arm64,linux/arm/v6";

    /// <summary>A part that all have in common, and one that is made on this host for each.</summary>
    private const string CrossBuild = """
        FROM --platform=$BUILDPLATFORM alpine AS tools
        RUN head -c 16 /dev/urandom | od -An -tx1 > /common && echo common step
        FROM --platform=$BUILDPLATFORM alpine AS build
        COPY --from=tools /common /out/common
        RUN head -c 16 /dev/urandom | od -An -tx1 > /out/early
        ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM
        RUN echo "$TARGETPLATFORM|$TARGETOS|$TARGETARCH|$TARGETVARIANT|$BUILDPLATFORM" > /out/platform
        FROM scratch
        COPY --from=build /out /
        """;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Each_platform_gets_a_folder_and_what_is_common_is_made_once(bool isBuildx)
    {
        var folder = $"{Folder()}/out";
        var built = (await Build(isBuildx, CrossBuild, "--no-cache", "--platform", Platforms, "-o", $"type=local,dest={folder}")).Ok();
        Assert.Equal(["linux_amd64", "linux_arm64", "linux_arm_v6"], Directory.GetDirectories(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal("linux/amd64|linux|amd64||linux/amd64\n", await File.ReadAllTextAsync($"{folder}/linux_amd64/platform", Cancellation));
        Assert.Equal("linux/arm64|linux|arm64||linux/amd64\n", await File.ReadAllTextAsync($"{folder}/linux_arm64/platform", Cancellation));
        Assert.Equal("linux/arm/v6|linux|arm|v6|linux/amd64\n", await File.ReadAllTextAsync($"{folder}/linux_arm_v6/platform", Cancellation));
        foreach (var file in new[] { "common", "early" })
        {
            // What is random would differ if it had been made more than once.
            Assert.Single(Directory.GetDirectories(folder).Select(platform => File.ReadAllText($"{platform}/{file}")).Distinct());
        }

        built.Says("[linux/amd64 tools 2/2] RUN head").Says("[linux/amd64->linux/arm64 build 4/4] RUN echo \"linux/arm64|");
    }

    [Fact]
    public async Task A_tar_has_a_folder_for_each_platform()
    {
        var archive = $"{Folder()}/out.tar";
        Put("f", "content");
        (await Build(false, "FROM scratch\nCOPY f /d/f\n", "--platform", "linux/amd64,linux/arm64", "-o", $"type=tar,dest={archive}")).Ok();
        Assert.Equal(
            ["linux_amd64/", "linux_amd64/d/", "linux_amd64/d/f", "linux_arm64/", "linux_arm64/d/", "linux_arm64/d/f"],
            (await Programs.Run("tar", ["-tf", archive])).Ok().Lines);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_image_of_several_platforms_is_kept_pushed_and_built_upon(bool isBuildx)
    {
        await using var registry = await RegistryProcess.Start();
        var image = $"{registry.Host}/several:{Guid.NewGuid():N}";
        Put("f", Guid.NewGuid().ToString());
        (await Build(isBuildx, "FROM scratch\nARG TARGETARCH\nCOPY f /f\nENV FOR=$TARGETARCH\nLABEL a=b", "--platform", "linux/amd64,linux/s390x", "-t", image)).Ok();
        Assert.Equal("amd64 FOR=amd64", await Docker.Inspect(image, "{{.Architecture}} {{index .Config.Env 1}}"));
        (await Docker.Run("push", image)).Ok();
        var manifests = await Manifests(image);
        Assert.Equal(["linux/amd64", "linux/s390x"], manifests.Select(PlatformOf));
        Assert.All(manifests, manifest => Assert.Equal("application/vnd.oci.image.manifest.v1+json", (string?)manifest!["mediaType"]));

        // Gone here, each platform comes from the registry for its build.
        (await Docker.Run("rmi", "-f", image)).Ok();
        var upon = Image("upon");
        Cleanup(() => Docker.Run("rmi", "-f", image));
        (await Build(isBuildx, $"FROM {image}\nCOPY f /g\n", "--platform", "linux/s390x,linux/amd64", "-t", upon, "-t", $"{registry.Host}/upon")).Ok();
        Cleanup(() => Docker.Run("rmi", "-f", $"{registry.Host}/upon"));
        (await Docker.Run("push", $"{registry.Host}/upon")).Ok();
        foreach (var manifest in await Manifests($"{registry.Host}/upon"))
        {
            var architecture = (string?)manifest!["platform"]!["architecture"];
            var config = JsonNode.Parse(await Blob(registry.Host, "upon", (string)(await Document(registry.Host, "upon", (string)manifest["digest"]!))["config"]!["digest"]!))!;
            Assert.Equal(architecture, (string?)config["architecture"]);
            Assert.Contains($"FOR={architecture}", config["config"]!["Env"]!.AsArray().Select(entry => (string?)entry));
        }

        // And directly.
        (await Build(isBuildx, $"FROM {image}\nCOPY f /h\n", "--platform", "linux/s390x,linux/amd64", "-o", $"type=registry,name={registry.Host}/direct:1")).Ok();
        Cleanup(() => Docker.Run("rmi", "-f", $"{registry.Host}/direct:1"));
        Assert.Equal(["linux/s390x", "linux/amd64"], (await Manifests($"{registry.Host}/direct:1")).Select(PlatformOf));
    }

    [Fact]
    public async Task An_archive_of_several_platforms_has_their_index()
    {
        var (folder, image) = (Folder(), Image("archived"));
        Put("f", Guid.NewGuid().ToString());
        (await Build(true, "FROM scratch\nARG TARGETARCH\nCOPY f /f\nENV FOR=$TARGETARCH\n", "--platform", "linux/amd64,linux/arm64", "--provenance", "mode=min", "-t", image, "--metadata-file", $"{folder}/meta")).Ok();
        (await Docker.Run("save", "-o", $"{folder}/image.tar", image)).Ok();
        (await Programs.Run("tar", ["-xf", $"{folder}/image.tar", "-C", folder])).Ok();
        var entry = Assert.Single(Read("index.json")["manifests"]!.AsArray())!;
        Assert.Equal((string?)Read("meta")["containerimage.digest"], (string?)entry["digest"]);
        Assert.Equal($"docker.io/{image}", ((string?)entry["annotations"]!["io.containerd.image.name"])!);
        var manifests = Read(Path((string)entry["digest"]!))["manifests"]!.AsArray();
        Assert.Equal(["linux/amd64", "linux/arm64", "unknown/unknown", "unknown/unknown"], manifests.Select(PlatformOf));
        foreach (var manifest in manifests)
        {
            var document = Read(Path((string)manifest!["digest"]!));
            Assert.All(document["layers"]!.AsArray().Append(document["config"]), part =>
            {
                var bytes = File.ReadAllBytes($"{folder}/{Path((string)part!["digest"]!)}");
                Assert.Equal(((string?)part["digest"], (long)part["size"]!), ($"sha256:{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes))}", bytes.LongLength));
            });
        }

        // What is loaded again is the same index.
        (await Docker.Run("rmi", "-f", image)).Ok();
        (await Docker.Run("load", "-i", $"{folder}/image.tar")).Ok().Says(image);
        (await Docker.Run("save", "-o", $"{folder}/again.tar", image)).Ok();
        Assert.Equal((string?)entry["digest"], (string?)JsonNode.Parse((await Programs.Run("tar", ["-xOf", $"{folder}/again.tar", "index.json"])).Ok().Output)!["manifests"]![0]!["digest"]);

        JsonNode Read(string path) => JsonNode.Parse(File.ReadAllText($"{folder}/{path}"))!;
        static string Path(string digest) => $"blobs/{digest.Replace(':', '/')}";
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_layout_has_an_index_of_the_platforms(bool isBuildx)
    {
        var (folder, name) = (Folder(), Image("layout"));
        Put("f", Guid.NewGuid().ToString());
        (await Build(isBuildx, "FROM scratch\nCOPY f /f\n", "--platform", "linux/amd64,linux/arm64", "-t", name, "-o", $"type=oci,dest={folder}/oci.tar")).Ok();
        (await Docker.Run("image", "inspect", name)).Exited(1);
        (await Programs.Run("tar", ["-xf", $"{folder}/oci.tar", "-C", folder])).Ok();
        var entry = Assert.Single(Read("index.json")["manifests"]!.AsArray())!;
        Assert.Equal(("application/vnd.oci.image.index.v1+json", name), ((string?)entry["mediaType"], ((string?)entry["annotations"]!["io.containerd.image.name"])!.Replace("docker.io/", "", StringComparison.Ordinal)));
        var platforms = Read(Path((string)entry["digest"]!))["manifests"]!.AsArray();
        Assert.Equal(["linux/amd64", "linux/arm64"], platforms.Select(PlatformOf));
        foreach (var platform in platforms)
        {
            var manifest = Read(Path((string)platform!["digest"]!));
            Assert.All(manifest["layers"]!.AsArray().Append(manifest["config"]), part =>
            {
                var bytes = File.ReadAllBytes($"{folder}/{Path((string)part!["digest"]!)}");
                Assert.Equal(((string?)part["digest"], (long)part["size"]!), ($"sha256:{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes))}", bytes.LongLength));
            });
        }

        (await Docker.Run("load", "-i", $"{folder}/oci.tar")).Ok().Says(name);
        Assert.Equal("amd64", await Docker.Inspect(name, "{{.Architecture}}"));

        JsonNode Read(string path) => JsonNode.Parse(File.ReadAllText($"{folder}/{path}"))!;
        static string Path(string digest) => $"blobs/{digest.Replace(':', '/')}";
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_archive_of_Docker_has_one_platform(bool isBuildx) =>
        (await Build(isBuildx, "FROM scratch\nLABEL a=b\n", "--platform", "linux/amd64,linux/arm64", "-o", $"type=docker,dest={Folder()}/image.tar"))
            .Exited(1).Says("support exporting manifest lists");

    [Fact]
    public async Task A_program_of_a_foreign_platform_is_refused_with_what_to_do()
    {
        Requirement.Check(!Directory.Exists("/proc/sys/fs/binfmt_misc") || !File.Exists("/proc/sys/fs/binfmt_misc/qemu-s390x"), "an emulator of s390x is registered on this host");

        // An ELF header of s390x (machine 22), which no program loader here knows.
        byte[] program = [0x7f, .. "ELF"u8, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 22, .. new byte[44]];
        await File.WriteAllBytesAsync($"{Context}/sh", program, Cancellation);
        var failed = (await Build(true, "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n", "--platform", "linux/amd64,linux/s390x")).Exited(1);
        failed.Says("exec format error");
        (await Build(false, "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n", "--platform", "linux/s390x")).Exited(1)
            .Says("a program of linux/s390x cannot run on this host of linux/amd64: exec format error").Says("binfmt_misc");
    }

    [Fact]
    public async Task A_platform_that_fails_ends_the_others()
    {
        var built = (await Build(
            true,
            "FROM --platform=$BUILDPLATFORM alpine AS b\nARG TARGETARCH\nRUN test $TARGETARCH = amd64 && sleep 300 || exit 7\nFROM scratch\nCOPY --from=b /etc/passwd /\n",
            "--no-cache", "--platform", "linux/amd64,linux/arm64", "-o", $"type=local,dest={Folder()}/x").WaitAsync(TimeSpan.FromSeconds(60), Cancellation)).Exited(1);
        built.Says("exit code: 7");
    }

    private Task<CliResult> Build(bool isBuildx, string dockerfile, params string[] options)
    {
        if (isBuildx)
        {
            return Build(dockerfile, options);
        }

        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        Put("Dockerfile", dockerfile);
        return Programs.Run(Repository.Executable!, ["build", "--progress", "plain", .. options, Context], environment: new Dictionary<string, string> { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" });
    }

    private static string PlatformOf(JsonNode? manifest) => $"{manifest!["platform"]!["os"]}/{manifest["platform"]!["architecture"]}";

    private static async Task<JsonArray> Manifests(string image)
    {
        var host = image[..image.IndexOf('/', StringComparison.Ordinal)];
        var name = image[(host.Length + 1)..].Split(':');
        return (await Document(host, name[0], name.Length > 1 ? name[1] : "latest"))["manifests"]!.AsArray();
    }

    private static async Task<JsonNode> Document(string host, string repository, string reference)
    {
        using HttpClient client = new();
        using HttpRequestMessage request = new(HttpMethod.Get, $"http://{host}/v2/{repository}/manifests/{reference}");
        request.Headers.Accept.ParseAdd("application/vnd.oci.image.index.v1+json");
        request.Headers.Accept.ParseAdd("application/vnd.oci.image.manifest.v1+json");
        using var response = await client.SendAsync(request, Cancellation);
        return JsonNode.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync(Cancellation))!;
    }

    private static async Task<string> Blob(string host, string repository, string digest)
    {
        using HttpClient client = new();
        return Encoding.UTF8.GetString(await client.GetByteArrayAsync($"http://{host}/v2/{repository}/blobs/{digest}", Cancellation));
    }
}
