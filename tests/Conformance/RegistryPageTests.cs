using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The registry's web page in Chromium: what is in the page once a browser has read it.</summary>
public sealed class RegistryPageTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-registry-page-").FullName;
    private RegistryProcess _registry = null!;

    public async ValueTask InitializeAsync()
    {
        Requirement.Program("chromium", "chromium");
        Requirement.Program("curl", "curl");
        _registry = await RegistryProcess.Start();
        await Push("team/app", "1.0", """[{"created_by":"/bin/sh -c #(nop) ADD file:1 in / "},{"created_by":"ENV A=1","empty_layer":true},{"created_by":"RUN echo \"<script>document.title='taken'</script>\" # buildkit"}]""");
        await Push("web", "latest", "[]");
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>The page as a browser has it after reading it.</summary>
    private async Task<string> Open(string path)
    {
        string[] options =
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", $"--user-data-dir={Path.Combine(_folder, "chromium")}", "--dump-dom",
        ];
        return (await Programs.Run("chromium", [.. options, $"http://{_registry.Host}{path}"])).Ok().Output;
    }

    private async Task<string> Blob(string repository, byte[] content)
    {
        var digest = "sha256:" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content));
        await Send("POST", $"/v2/{repository}/blobs/uploads/?digest={digest}", content, "application/octet-stream");
        return digest;
    }

    private async Task Send(string method, string path, byte[] content, string type)
    {
        var file = Path.Combine(_folder, "body");
        await File.WriteAllBytesAsync(file, content);
        (await Programs.Run("curl", ["-sf", "-X", method, "--data-binary", "@" + file, "-H", "Content-Type: " + type, $"http://{_registry.Host}{path}"])).Ok();
    }

    private async Task Push(string repository, string tag, string history)
    {
        var (small, large) = (new byte[1500], new byte[2_500_000]);
        var config = System.Text.Encoding.UTF8.GetBytes(
            $$$"""{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z","config":{"Cmd":["/bin/sh"]},"history":{{{history}}},"rootfs":{"type":"layers","diff_ids":["sha256:{{{new string('1', 64)}}}","sha256:{{{new string('2', 64)}}}"]}}""");
        var (configDigest, smallDigest, largeDigest) = (await Blob(repository, config), await Blob(repository, small), await Blob(repository, large));
        const string Layer = "application/vnd.oci.image.layer.v1.tar";
        const string Manifest = "application/vnd.oci.image.manifest.v1+json";
        var manifest = $$"""
            {"schemaVersion":2,"mediaType":"{{Manifest}}","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{configDigest}}","size":{{config.Length}}},
             "layers":[{"mediaType":"{{Layer}}","digest":"{{largeDigest}}","size":{{large.Length}}},{"mediaType":"{{Layer}}","digest":"{{smallDigest}}","size":{{small.Length}}}]}
            """;
        await Send("PUT", $"/v2/{repository}/manifests/{tag}", System.Text.Encoding.UTF8.GetBytes(manifest), Manifest);
    }

    [Fact]
    public async Task Repositories_tags_and_layers_are_listed()
    {
        var list = await Open("/");
        Assert.Contains("<a href=\"/-/r/team/app\"><b>team/app</b><span>1 tag</span></a>", list, StringComparison.Ordinal);
        Assert.Contains("<b>web</b>", list, StringComparison.Ordinal);

        Assert.Contains("<a href=\"/-/r/team/app:1.0\"><b>1.0</b><span>2.5 MB</span></a>", await Open("/-/r/team/app"), StringComparison.Ordinal);

        var image = await Open("/-/r/team/app:1.0");
        Assert.Contains("2 layers, 2.5 MB", image, StringComparison.Ordinal);
        Assert.Contains("<dd>linux/amd64</dd>", image, StringComparison.Ordinal);
        Assert.Contains("2 January 2026, 03:04 UTC", image, StringComparison.Ordinal);
        Assert.Contains($"docker pull {_registry.Host}/team/app:1.0", image, StringComparison.Ordinal);

        // In order: the layer and its size, the step without one, the second layer.
        int add = image.IndexOf("ADD file:1 in /", StringComparison.Ordinal), size = image.IndexOf(">2.5 MB</span><meter", StringComparison.Ordinal);
        int step = image.IndexOf("ENV A=1", StringComparison.Ordinal), run = image.IndexOf("RUN echo", StringComparison.Ordinal), small = image.IndexOf(">1.5 kB</span><meter", StringComparison.Ordinal);
        Assert.True(add > 0 && add < size && size < step && step < run && run < small, image);
        Assert.DoesNotContain("#(nop)", image, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_image_says_is_text_and_never_markup()
    {
        var image = await Open("/-/r/team/app:1.0");
        Assert.Contains("<title>team/app:1.0</title>", image, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", image, StringComparison.Ordinal);
        Assert.Contains("&lt;script&gt;", image, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Layers_without_a_history_are_shown_too()
    {
        var image = await Open("/-/r/web:latest");
        Assert.Contains("application/vnd.oci.image.layer.v1.tar", image, StringComparison.Ordinal);
        Assert.Contains(">2.5 MB</span><meter", image, StringComparison.Ordinal);
    }
}
