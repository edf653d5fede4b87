using System.Text;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Oci;

public sealed class ImageDocumentTests
{
    private const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    private const string Config = "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" + Digest + "\",\"size\":2}";

    [Fact]
    public void A_manifest_is_known_by_its_shape()
    {
        var document = Parse($"{{\"schemaVersion\":2,\"config\":{Config},\"layers\":[],\"unknown\":{{\"manifests\":1}}}}");
        Assert.Equal(Digest, Assert.IsType<ImageDocument.OfManifest>(document).Value.Config.Digest.ToString());
    }

    [Fact]
    public void An_index_is_known_by_its_shape() => Assert.IsType<ImageDocument.OfIndex>(Parse("{\"schemaVersion\":2,\"manifests\":null}"));

    [Theory]
    [InlineData("\"manifests\":[]", "both")]
    [InlineData("\"Manifests\":[]", "both")]
    [InlineData("\"mediaType\":\"application/vnd.oci.image.index.v1+json\"", "it says to be")]
    [InlineData("\"layers\":[]", "")]
    public void CVE_2021_41190_a_document_that_can_be_read_in_two_ways_is_refused(string extra, string reason)
    {
        var error = Assert.Throws<OciException>(() => Parse($"{{\"schemaVersion\":2,\"config\":{Config},\"layers\":[],{extra}}}"));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CVE_2021_41190_an_index_that_says_to_be_a_manifest_is_refused() =>
        Assert.Throws<OciException>(() => Parse("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"manifests\":[]}"));

    [Theory]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("{\"schemaVersion\":1,\"fsLayers\":[]}")]
    [InlineData("{\"schemaVersion\":3,\"manifests\":[]}")]
    [InlineData("{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:../x\"}}")]
    [InlineData("{\"schemaVersion\":2,\"config\":1}")]
    public void What_is_neither_is_refused(string text) => Assert.Throws<OciException>(() => Parse(text));

    [Fact]
    public void What_is_not_UTF8_is_refused()
    {
        byte[] json = [.. "{\"manifests"u8, 0xaa, .. "\":[]}"u8];
        Assert.Throws<OciException>(() => ImageDocument.Parse(json));
        Assert.Throws<OciException>(() => ImageConfig.Parse(json));
    }

    [Fact]
    public void A_configuration_keeps_what_Docker_adds()
    {
        var config = ImageConfig.Parse(Encoding.UTF8.GetBytes($$"""
            {"architecture":"amd64","os":"linux","config":{"Cmd":"sh","Entrypoint":["/e"],"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"],
             "Healthcheck":{"Test":["CMD","x"],"Interval":30000000000,"Retries":3},"ArgsEscaped":true,"StopSignal":"SIGUSR1","ExposedPorts":{"80/tcp":{} },"Volumes":null},
             "rootfs":{"type":"layers","diff_ids":["{{Digest}}"]},"history":[{"created_by":"x","empty_layer":true}],"moby.buildkit":1}
            """));
        Assert.Equal(["sh"], config.Config!.Cmd);
        Assert.Equal(30_000_000_000, config.Config.Healthcheck!.Interval);
        Assert.Equal(["80/tcp"], config.Config.ExposedPorts!.Keys);
        Assert.True(config.History![0].EmptyLayer);
        Assert.Equal(Digest, Assert.Single(config.DiffIds).ToString());
    }

    [Theory]
    [InlineData("{}", "invalid image JSON, no RootFS key")]
    [InlineData("null", "invalid image JSON, no RootFS key")]
    [InlineData("{\"rootfs\":{\"diff_ids\":[\"\"]}}", "no valid diff id")]
    [InlineData("{\"rootfs\":{\"diff_ids\":[\"sha256:../../x\"]}}", "invalid digest")]
    [InlineData("{\"rootfs\":{\"diff_ids\":[1]}}", "invalid image JSON")]
    [InlineData("[", "invalid image JSON")]
    public void A_configuration_without_layers_it_can_name_is_refused(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<OciException>(() => ImageConfig.Parse(Encoding.UTF8.GetBytes(text))).Message, StringComparison.Ordinal);

    private static ImageDocument Parse(string text) => ImageDocument.Parse(Encoding.UTF8.GetBytes(text));
}
