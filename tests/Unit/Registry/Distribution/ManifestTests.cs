using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Manifests from registries that tell the truth, and from others.</summary>
public sealed class ManifestTests : DistributionTest
{
    [Theory]
    [InlineData(MediaTypes.OciManifest)]
    [InlineData(MediaTypes.DockerManifest)]
    public async Task A_manifest_comes_byte_for_byte_with_its_type_and_digest(string type)
    {
        var content = ManifestJson(type, extra: "\"unknown\" : [1, 2] ,");
        var put = Registry.AddManifest("app/one", "v1", content, type);
        await using var repository = Pull();

        var manifest = await repository.GetManifestAsync("v1", Cancellation);
        Assert.Equal(content, manifest.Content.ToArray());
        Assert.Equal(put, manifest.Descriptor);
        Assert.Equal(put, await repository.ResolveAsync("v1", Cancellation));
        Assert.Equal(put, (await repository.GetManifestAsync(put.Digest.ToString(), Cancellation)).Descriptor);
    }

    [Fact]
    public async Task A_manifest_asked_for_by_digest_must_have_it()
    {
        var asked = Digest.Of("another"u8);
        Registry.Manifests[$"app/one:{asked}"] = (MediaTypes.OciManifest, ManifestJson());
        Registry.Answer = WithoutDigest;
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync(asked.ToString(), Cancellation));
        Assert.Equal($"manifest verification failed for digest {asked}", error.Message);
    }

    [Fact]
    public async Task A_manifest_must_have_the_digest_that_the_registry_names()
    {
        Registry.Answer = async context =>
        {
            context.Response.Headers["Docker-Content-Digest"] = Digest.Of("another"u8).ToString();
            context.Response.ContentType = MediaTypes.OciManifest;
            await context.Response.Body.WriteAsync(ManifestJson());
            return true;
        };
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal($"manifest verification failed for digest {Digest.Of("another"u8)}", error.Message);
    }

    [Theory]
    [InlineData(MediaTypes.OciManifest)]
    [InlineData(MediaTypes.OciIndex)]
    [InlineData(null)]
    public async Task CVE_2021_41190_a_document_with_both_shapes_is_refused(string? announced)
    {
        var both = ManifestJson(mediaType: null, extra: "\"manifests\":[],");
        Registry.AddManifest("app/one", "v1", both, announced ?? "application/octet-stream");
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Contains("both a manifest and an index", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(MediaTypes.OciIndex, MediaTypes.OciManifest)]
    [InlineData(MediaTypes.OciIndex, null)]
    [InlineData(MediaTypes.DockerManifestList, null)]
    [InlineData(MediaTypes.DockerManifest, MediaTypes.OciManifest)]
    public async Task CVE_2021_41190_a_type_that_contradicts_the_document_is_refused(string announced, string? inside)
    {
        Registry.AddManifest("app/one", "v1", ManifestJson(inside), announced);
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Contains($"but the registry says {announced}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CVE_2021_41190_a_document_that_calls_itself_something_else_is_refused()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson(MediaTypes.OciIndex), MediaTypes.OciManifest);
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Contains(MediaTypes.OciIndex, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_without_a_type_has_that_of_its_shape()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson(mediaType: null), "text/plain");
        Registry.AddManifest("app/one", "v2", "{\"schemaVersion\":2,\"manifests\":[]}"u8.ToArray(), "application/json");
        await using var repository = Pull();

        Assert.Equal(MediaTypes.OciManifest, (await repository.ResolveAsync("v1", Cancellation)).MediaType);
        Assert.Equal(MediaTypes.OciIndex, (await repository.ResolveAsync("v2", Cancellation)).MediaType);
    }

    [Theory]
    [InlineData("application/vnd.docker.distribution.manifest.v1+prettyjws")]
    [InlineData("application/json")]
    public async Task Schema_1_is_refused_as_Docker_refuses_it(string type)
    {
        Registry.AddManifest("app/one", "v1", "{\"schemaVersion\":1,\"name\":\"app/one\",\"tag\":\"v1\",\"fsLayers\":[],\"history\":[]}"u8.ToArray(), type);
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal(
            $"Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of {Registry.Host}/app/one:v1 to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/",
            error.Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_huge_manifest_is_refused_and_not_read(bool isAnnounced)
    {
        var written = 0L;
        Registry.Answer = async context =>
        {
            context.Response.ContentType = MediaTypes.OciManifest;
            context.Response.ContentLength = isAnnounced ? 1L << 40 : null;
            return await SendEndlessAsync(context, (byte)' ', sent => written = sent);
        };
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Contains($"more than {4 << 20} bytes", error.Message, StringComparison.Ordinal);
        Assert.InRange(written, 0, 32 << 20);
    }

    [Fact]
    public async Task A_manifest_that_does_not_come_to_an_end_is_given_up()
    {
        Registry.Answer = async context =>
        {
            context.Response.ContentType = MediaTypes.OciManifest;
            await context.Response.WriteAsync("{");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        };
        using var client = new DistributionClient(
            new RegistryConfiguration { Retry = new RetrySettings { Attempts = 2, IdleTimeout = TimeSpan.FromMilliseconds(200), FirstDelay = TimeSpan.FromMilliseconds(1) } });
        await using var repository = client.Open(Registry.Name(), RegistryAccess.Pull, null);

        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.EndsWith("timeout awaiting response body", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, Registry.Requests.Count);
    }

    [Fact]
    public async Task A_registry_that_does_not_answer_is_given_up()
    {
        Registry.Answer = async context =>
        {
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        };
        using var client = new DistributionClient(
            new RegistryConfiguration { Retry = new RetrySettings { Attempts = 2, AnswerTimeout = TimeSpan.FromMilliseconds(200), FirstDelay = TimeSpan.FromMilliseconds(1) } });
        await using var repository = client.Open(Registry.Name(), RegistryAccess.Pull, null);

        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.EndsWith("net/http: timeout awaiting response headers", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_of_10000_layers_is_refused_before_any_is_asked_for()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson(layers: 10_000));
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal("invalid manifest: it has 10000 layers, more than 1000", error.Message);
        Assert.Single(Registry.Requests);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\u0000")]
    [InlineData("{\"schemaVersion\":2}")]
    [InlineData("{\"schemaVersion\":2,\"config\":null,\"layers\":[null]}")]
    [InlineData("{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:12\"}}")]
    [InlineData("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"x\",\"size\":-1,\"digest\":\"\"}]}")]
    public async Task What_is_no_manifest_is_refused(string content)
    {
        Registry.AddManifest("app/one", "v1", Encoding.UTF8.GetBytes(content));
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
    }

    [Theory]
    [InlineData(404, "MANIFEST_UNKNOWN", "manifest unknown", RegistryErrorKind.NotFound, "manifest for {0}:v1 not found: manifest unknown: manifest unknown")]
    [InlineData(404, "NAME_UNKNOWN", "repository name not known to registry", RegistryErrorKind.NotFound, "repository {0} not found: name unknown: repository name not known to registry")]
    [InlineData(404, null, "", RegistryErrorKind.NotFound, "manifest for {0}:v1 not found: manifest unknown: manifest unknown")]
    [InlineData(403, "DENIED", "requested access to the resource is denied", RegistryErrorKind.NotFound, "pull access denied for {0}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied")]
    [InlineData(401, "UNAUTHORIZED", "authentication required", RegistryErrorKind.Unauthorized, "unauthorized: authentication required")]
    [InlineData(400, "NAME_INVALID", "in\u001bvalid\r\nname", RegistryErrorKind.Refused, "name invalid: invalidname")]
    [InlineData(501, null, "", RegistryErrorKind.Unavailable, "received unexpected HTTP status: 501 Not Implemented")]
    public async Task Refusals_have_Dockers_texts(int status, string? code, string message, RegistryErrorKind kind, string text)
    {
        Registry.Answer = context => FakeRegistry.RefuseAsync(context, status, code, message);
        await using var repository = Pull();

        var error = await RefusedAsync(kind, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal(string.Format(text, $"{Registry.Host}/app/one"), error.Message);
        Assert.Equal(error.Message, (await RefusedAsync(kind, () => repository.ResolveAsync("v1", Cancellation))).Message);
    }

    [Fact]
    public async Task A_refusal_in_plain_text_has_its_text()
    {
        Registry.Answer = async context =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (403, "text/plain; charset=utf-8");
            await context.Response.WriteAsync("blocked\u001b[2J by policy\n");
            return true;
        };
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.NotFound, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.EndsWith("may require 'docker login': denied: blocked[2J by policy", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../../../etc")]
    [InlineData("v1?x=y")]
    [InlineData("sha256:12")]
    [InlineData("")]
    public async Task What_is_neither_tag_nor_digest_is_not_asked_for(string tag)
    {
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Refused, () => repository.GetManifestAsync(tag, Cancellation));
        Assert.Empty(Registry.Requests);
    }

    private Task<bool> WithoutDigest(HttpContext context)
    {
        context.Response.OnStarting(() =>
        {
            context.Response.Headers.Remove("Docker-Content-Digest");
            return Task.CompletedTask;
        });
        return Task.FromResult(false);
    }
}
