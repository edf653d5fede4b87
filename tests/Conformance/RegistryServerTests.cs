using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Other people's clients against <c>slipway registry serve</c>.</summary>
public sealed class RegistryServerTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-registry-test-").FullName;
    private RegistryProcess _registry = null!;

    public async ValueTask InitializeAsync()
    {
        Requirement.Root();
        Requirement.Program("skopeo", "skopeo");
        Requirement.Program("umoci", "umoci");
        Requirement.Program("buildah", "buildah");
        _registry = await RegistryProcess.Start();
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private string In(string name) => Path.Combine(_folder, name);

    private static async Task<CliResult> Ok(string program, params string[] arguments) => (await Programs.Run(program, arguments, limit: Programs.Limit(120))).Ok();

    private Task<CliResult> Push(string source, string name, params string[] options) => Ok("skopeo", ["copy", "-q", "--dest-tls-verify=false", .. options, source, $"docker://{_registry.Host}/{name}"]);

    private Task<CliResult> Pull(string name, string target, params string[] options) => Ok("skopeo", ["copy", "-q", "--src-tls-verify=false", .. options, $"docker://{_registry.Host}/{name}", target]);

    private static string Hash(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>An image in an OCI layout, made by umoci, with a layer for each file.</summary>
    private async Task<string> Image(int layers, int size = 20_000)
    {
        var (layout, bundle) = (In("layout"), In("bundle"));
        await Ok("umoci", "init", "--layout", layout);
        await Ok("umoci", "new", "--image", $"{layout}:1");
        await Ok("umoci", "unpack", "--image", $"{layout}:1", bundle);
        for (var i = 0; i < layers; i++)
        {
            File.WriteAllBytes(Path.Combine(bundle, "rootfs", $"file{i}"), RandomNumberGenerator.GetBytes(size));
            await Ok("umoci", "repack", "--refresh-bundle", "--image", $"{layout}:1", bundle);
        }
        return layout;
    }

    private static HashSet<string> Blobs(string layout) => [.. Directory.GetFiles(Path.Combine(layout, "blobs", "sha256")).Select(file => Path.GetFileName(file)!)];

    [Fact]
    public async Task Skopeo_pushes_and_pulls_with_the_same_digests()
    {
        var layout = await Image(layers: 3);
        await Push($"oci:{layout}:1", "team/app:1");
        await Pull("team/app:1", $"oci:{In("back")}:1");
        var pushed = JsonNode.Parse(File.ReadAllText(Path.Combine(layout, "index.json")))!["manifests"]![0]!["digest"]!;
        var pulled = JsonNode.Parse(File.ReadAllText(Path.Combine(In("back"), "index.json")))!["manifests"]![0]!["digest"]!;
        Assert.Equal((string?)pushed, (string?)pulled);
        Assert.Subset(Blobs(layout), Blobs(In("back")));
        Assert.All(Directory.GetFiles(Path.Combine(In("back"), "blobs", "sha256")), file => Assert.Equal(Path.GetFileName(file), Hash(File.ReadAllBytes(file))));
        Assert.Contains("\"1\"", (await Ok("skopeo", "list-tags", "--tls-verify=false", $"docker://{_registry.Host}/team/app")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Skopeo_copies_within_the_registry_by_mounting()
    {
        await Push($"oci:{await Image(layers: 2)}:1", "a:1");
        await Ok("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", $"docker://{_registry.Host}/a:1", $"docker://{_registry.Host}/b:1");
        Assert.Contains("POST /v2/b/blobs/uploads/ 201", await LogText(), StringComparison.Ordinal);
    }

    /// <summary>Two tests with layers of their own: skopeo remembers in which compressions it has seen a layer, and takes another one for it.</summary>
    [Fact]
    public async Task Skopeo_pushes_zstd_layers()
    {
        await Ok("skopeo", "copy", "-q", "--dest-decompress", $"oci:{await Image(layers: 2)}:1", $"dir:{In("plain")}");
        await Push($"dir:{In("plain")}", "zstd:1", "--dest-compress-format", "zstd");
        await Pull("zstd:1", $"dir:{In("zstd")}");
        Assert.Contains("tar+zstd", File.ReadAllText(Path.Combine(In("zstd"), "manifest.json")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Skopeo_pushes_docker_manifests()
    {
        await Push($"oci:{await Image(layers: 2)}:1", "schema2:1", "--format", "v2s2");
        await Pull("schema2:1", $"dir:{In("schema2")}");
        Assert.Contains("application/vnd.docker.distribution.manifest.v2+json", File.ReadAllText(Path.Combine(In("schema2"), "manifest.json")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Skopeo_deletes()
    {
        await Push($"oci:{await Image(layers: 1)}:1", "app:1");
        await Ok("skopeo", "delete", "--tls-verify=false", $"docker://{_registry.Host}/app:1");
        (await Programs.Run("skopeo", ["inspect", "--tls-verify=false", $"docker://{_registry.Host}/app:1"])).Exited(1).Says("manifest unknown");
    }

    [Fact]
    public async Task An_image_of_127_layers_goes_both_ways()
    {
        // One layer more for each run of umoci is slow; 127 copies of a layer are 127 layers all the same.
        var layout = await Image(layers: 1);
        await Ok("python3", "-c", Multiply, layout, "127");
        await Push($"oci:{layout}:1", "many:1");
        await Pull("many:1", $"dir:{In("many")}");
        Assert.Equal(127, JsonNode.Parse(File.ReadAllText(Path.Combine(In("many"), "manifest.json")))!["layers"]!.AsArray().Count);
    }

    [Fact]
    public async Task Buildah_pushes_and_pulls()
    {
        string[] storage = ["--root", In("storage"), "--runroot", In("run"), "--storage-driver", "vfs"];
        File.WriteAllText(In("Containerfile"), "FROM scratch\nCOPY Containerfile /\nLABEL a=b\n");
        await Ok("buildah", [.. storage, "build", "--isolation", "chroot", "-q", "-t", "built", "-f", In("Containerfile"), _folder]);
        await Ok("buildah", [.. storage, "push", "--tls-verify=false", "--digestfile", In("digest"), "built", $"docker://{_registry.Host}/built:1"]);
        await Ok("buildah", [.. storage, "rmi", "-a", "-f"]);
        var digest = (File.ReadAllText(In("digest"))).Trim();
        await Ok("buildah", [.. storage, "pull", "--tls-verify=false", $"docker://{_registry.Host}/built@{digest}"]);
        await Ok("buildah", [.. storage, "rmi", "-a", "-f"]);
    }

    [Fact]
    public async Task Skopeo_logs_in_with_a_password_and_gets_tokens()
    {
        Requirement.Program("htpasswd", "apache2-utils");
        await Ok("htpasswd", "-cbB", In("users"), "alice", "wonderland");
        File.WriteAllText(In("config.json"), $$$"""{"auth":{"htpasswd":"{{{In("users")}}}","token":{},"rules":[{"repositories":"app","users":["alice"],"actions":["*"]},{"repositories":"app","users":["$anonymous"],"actions":["pull"]}]}}""");
        await using var registry = await RegistryProcess.Start(null, "--config", In("config.json"));
        var layout = await Image(layers: 1);
        var (app, other) = ($"docker://{registry.Host}/app:1", $"docker://{registry.Host}/other:1");
        (await Programs.Run("skopeo", ["copy", "-q", "--dest-tls-verify=false", $"oci:{layout}:1", app])).Exited(1).Says("denied");
        (await Programs.Run("skopeo", ["copy", "-q", "--dest-tls-verify=false", "--dest-creds", "alice:wrong", $"oci:{layout}:1", app])).Exited(1).Says("incorrect username or password");
        await Ok("skopeo", "copy", "-q", "--dest-tls-verify=false", "--dest-creds", "alice:wonderland", $"oci:{layout}:1", app);
        (await Programs.Run("skopeo", ["copy", "-q", "--dest-tls-verify=false", "--dest-creds", "alice:wonderland", $"oci:{layout}:1", other])).Exited(1).Says("denied");
        await Ok("skopeo", "copy", "-q", "--src-tls-verify=false", app, $"dir:{In("anonymous")}");
    }

    [Fact]
    public async Task One_process_at_a_time_has_a_root()
    {
        var slipway = Repository.Executable!;
        foreach (var command in new string[][] { ["serve", "--listen", "127.0.0.1:0"], ["gc"] })
        {
            (await Programs.Run(slipway, ["registry", .. command, "--root", _registry.Root])).Exited(1).Says("is in use by another registry");
        }
        await Push($"oci:{await Image(layers: 1)}:1", "app:1");
        await _registry.Kill();
        (await Programs.Run(slipway, ["registry", "gc", "--root", _registry.Root])).Ok().Says("0 blobs with 0 bytes removed");
        await _registry.Start();
        await Pull("app:1", $"dir:{In("after")}");
    }

    [Theory]
    [InlineData("no address", "--root", "/tmp/x")]
    [InlineData("no root", "--listen", "127.0.0.1:0")]
    [InlineData("invalid address to listen on", "--root", "ROOT", "--listen", "nowhere")]
    [InlineData("--tls-cert without --tls-key", "--root", "ROOT", "--listen", "127.0.0.1:0", "--tls-cert", "x")]
    [InlineData("cannot listen on", "--root", "ROOT", "--listen", "192.0.2.1:80")]
    public async Task What_cannot_be_served_is_said(string message, params string[] arguments) =>
        (await Programs.Run(Repository.Executable!, ["registry", "serve", .. arguments.Select(argument => argument == "ROOT" ? In("root") : argument)])).Exited(1).Says(message);

    /// <summary>A registry is a service like others: nothing of it needs root.</summary>
    [Fact]
    public async Task It_runs_without_privileges()
    {
        Requirement.Program("setpriv", "util-linux");
        Directory.CreateDirectory(In("root"));
        File.SetUnixFileMode(_folder, File.GetUnixFileMode(_folder) | UnixFileMode.OtherExecute);
        await Ok("chown", "nobody", In("root"));
        using var probe = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        probe.Start();
        var host = probe.LocalEndpoint.ToString()!;
        probe.Stop();
        using var server = Programs.Start("setpriv", ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--no-new-privs", Repository.Executable!, "registry", "serve", "--listen", host, "--root", In("root")]);
        try
        {
            Assert.Contains("registry listens on", await server.StandardError.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
            var layout = await Image(layers: 2);
            await Ok("skopeo", "copy", "-q", "--dest-tls-verify=false", $"oci:{layout}:1", $"docker://{host}/a:1");
            await Ok("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", $"docker://{host}/a:1", $"docker://{host}/b:1");
            await Ok("skopeo", "copy", "-q", "--src-tls-verify=false", $"docker://{host}/b:1", $"dir:{In("nobody")}");
        }
        finally
        {
            server.Kill();
            await server.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Every_shared_image_comes_back_with_its_digest()
    {
        var shared = Requirement.Shared();
        foreach (var archive in Directory.GetFiles(Path.Combine(shared, "images", "oci"), "*.tar").Order())
        {
            var (layout, back) = (In("layout-" + Path.GetFileNameWithoutExtension(archive)), In("back-" + Path.GetFileNameWithoutExtension(archive)));
            Directory.CreateDirectory(layout);
            await Ok("tar", "xf", archive, "-C", layout);
            var manifests = JsonNode.Parse(File.ReadAllText(Path.Combine(layout, "index.json")))!["manifests"]!.AsArray();
            if (manifests.Count != 1)
            {
                continue; // Several under one layout have no single name for skopeo.
            }
            await Push($"oci:{layout}", "shared:1", "--all", "--preserve-digests");
            await Pull("shared:1", $"dir:{back}", "--all", "--preserve-digests");
            Assert.Equal((string?)manifests[0]!["digest"], "sha256:" + Hash(File.ReadAllBytes(Path.Combine(back, "manifest.json"))));
        }
    }

    /// <summary>Lists the layer of an image's manifest and its diff id again and again.</summary>
    private const string Multiply = """
        import hashlib, json, pathlib, sys
        layout, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
        blobs = layout / "blobs/sha256"
        read = lambda d: json.loads((blobs / d["digest"].split(":")[1]).read_text())
        def write(value):
            data = json.dumps(value).encode()
            name = hashlib.sha256(data).hexdigest()
            (blobs / name).write_bytes(data)
            return {"digest": "sha256:" + name, "size": len(data)}
        index = json.loads((layout / "index.json").read_text())
        manifest = read(index["manifests"][0])
        config = read(manifest["config"])
        config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:1] * count
        config.pop("history", None)
        manifest["layers"] = manifest["layers"][:1] * count
        manifest["config"].update(write(config))
        index["manifests"][0].update(write(manifest))
        (layout / "index.json").write_text(json.dumps(index))
        """;

    /// <summary>The access log, once it is written: lines are collected for a moment.</summary>
    private async Task<string> LogText()
    {
        await Task.Delay(500, TestContext.Current.CancellationToken);
        return File.ReadAllText(_registry.Log);
    }
}
