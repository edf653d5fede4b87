using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Pushing: nothing twice, nothing half, nothing to the wrong place.</summary>
public sealed class PushTests : DistributionTest
{
    private readonly byte[] _content = RandomBytes(3_000_000);

    private Descriptor Blob => new() { MediaType = MediaTypes.OciLayerGzip, Digest = Digest.Of(_content), Size = _content.Length };

    [Fact]
    public async Task A_blob_is_sent_in_one_request_and_once()
    {
        await using var repository = Push();
        List<long> sent = [];

        Assert.Equal(new BlobPush(BlobPushKind.Uploaded), await repository.PushBlobAsync(Blob, [], Open, new Reported(sent), Cancellation));
        Assert.Equal(new BlobPush(BlobPushKind.AlreadyThere), await repository.PushBlobAsync(Blob, [], Open, null, Cancellation));
        Assert.Equal(_content, Registry.Blobs[Blob.Digest.ToString()]);
        Assert.Equal(
            [
                $"HEAD /v2/app/one/blobs/{Blob.Digest}", "POST /v2/app/one/blobs/uploads/",
                $"PUT /v2/app/one/blobs/uploads/session0?state=first&digest={Uri.EscapeDataString(Blob.Digest.ToString())}", $"HEAD /v2/app/one/blobs/{Blob.Digest}",
            ],
            Registry.Lines);
        Assert.Equal(_content.Length, sent[^1]);
        Assert.Equal(sent.Order(), sent);
    }

    [Fact]
    public async Task A_blob_of_another_repository_is_mounted()
    {
        Registry.Answer = HideBlobs;
        Registry.AddBlob(_content);
        await using var repository = Push();

        Assert.Equal(
            new BlobPush(BlobPushKind.Mounted, "app/source"), await repository.PushBlobAsync(Blob, ["app/one", "app/none", "app/source"], _ => throw new InvalidOperationException(), null, Cancellation));
        Assert.DoesNotContain(Registry.Requests, request => request.Query.Contains("from=app%2Fone", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_declined_mount_becomes_the_upload()
    {
        await using var repository = Push();
        Assert.Equal(BlobPushKind.Uploaded, (await repository.PushBlobAsync(Blob, ["app/none"], Open, null, Cancellation)).Kind);
        Assert.Single(Registry.Requests, request => request.Method == "POST");
        Assert.Equal(_content, Registry.Blobs[Blob.Digest.ToString()]);
    }

    [Fact]
    public async Task A_mount_asks_for_the_right_to_read_its_source_and_does_without_it()
    {
        Registry.Answer = async context =>
        {
            if (context.Request.Path == "/token")
            {
                return await GiveTokenAsync(context, new { token = context.Request.Query["scope"].Count > 1 ? "wide" : "narrow" });
            }

            // A registry that takes only the token without the source's scope.
            return await Bearer(() => $"http://{Registry.Host}/token", () => "narrow")(context);
        };
        await using var repository = Push(Credentials);

        Assert.Equal(BlobPushKind.Uploaded, (await repository.PushBlobAsync(Blob, ["secret/source"], Open, null, Cancellation)).Kind);
        Assert.Contains(Registry.Requests, request => request.Query.Contains("scope=repository%3Aapp%2Fone%3Apull%2Cpush&scope=repository%3Asecret%2Fsource%3Apull", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_upload_that_breaks_is_resumed_where_the_registry_has_it()
    {
        var isFirst = true;
        Registry.Answer = async context =>
        {
            if (context.Request.Method != "PUT" || !isFirst)
            {
                return false;
            }

            isFirst = false;
            await ReadPartAsync(context, Registry.Uploads["session0"], 1_000_000);
            context.Abort();
            return true;
        };
        await using var repository = Push();

        Assert.Equal(BlobPushKind.Uploaded, (await repository.PushBlobAsync(Blob, [], Open, null, Cancellation)).Kind);
        Assert.Equal(_content, Registry.Blobs[Blob.Digest.ToString()]);
        Assert.Equal(["HEAD", "POST", "PUT", "GET", "PATCH", "PUT"], Registry.Requests.Select(request => request.Method));
    }

    [Fact]
    public async Task An_upload_that_the_registry_forgot_begins_anew()
    {
        var failures = 2;
        Registry.Answer = async context =>
        {
            if (context.Request.Method != "PUT" || failures-- <= 0)
            {
                return false;
            }

            Registry.Uploads.Clear();
            await context.Request.Body.CopyToAsync(Stream.Null);
            return await FakeRegistry.RefuseAsync(context, 503);
        };
        await using var repository = Push();

        await repository.PushBlobAsync(Blob, [], Open, null, Cancellation);
        Assert.Equal(_content, Registry.Blobs[Blob.Digest.ToString()]);
        Assert.Equal(3, Registry.Requests.Count(request => request.Method == "POST"));
    }

    [Fact]
    public async Task An_upload_that_always_breaks_is_given_up()
    {
        Registry.Answer = context => context.Request.Method == "PUT" ? FakeRegistry.RefuseAsync(context, 503) : Task.FromResult(false);
        await using var repository = Push();
        await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.PushBlobAsync(Blob, [], Open, null, Cancellation));
        Assert.Equal(5, Registry.Requests.Count(request => request.Method == "PUT"));
    }

    [Fact]
    public async Task A_token_that_ends_during_an_upload_is_replaced()
    {
        var token = "first";
        Registry.Answer = async context =>
        {
            if (context.Request.Path == "/token")
            {
                return await GiveTokenAsync(context, new { token, expires_in = 3600 });
            }

            if (context.Request.Method == "PUT" && token == "first")
            {
                token = "second";
            }

            return await Bearer(() => $"http://{Registry.Host}/token", () => token)(context);
        };
        await using var repository = Push(Credentials);

        await repository.PushBlobAsync(Blob, [], Open, null, Cancellation);
        Assert.Equal(_content, Registry.Blobs[Blob.Digest.ToString()]);
    }

    [Fact]
    public async Task A_registry_that_wants_pieces_gets_pieces()
    {
        var content = RandomBytes((40 << 20) + 5);
        var blob = Blob with { Digest = Digest.Of(content), Size = content.Length };
        Registry.Answer = context =>
        {
            if (context.Request.Method == "POST")
            {
                context.Response.Headers["OCI-Chunk-Min-Length"] = "1000";
            }

            return Task.FromResult(false);
        };
        await using var repository = Push();

        await repository.PushBlobAsync(blob, [], _ => ValueTask.FromResult<Stream>(new MemoryStream(content)), null, Cancellation);
        Assert.Equal(["HEAD", "POST", "PATCH", "PATCH", "PATCH", "PUT"], Registry.Requests.Select(request => request.Method));
        Assert.Equal(content, Registry.Blobs[blob.Digest.ToString()]);
    }

    [Fact]
    public async Task Credentials_do_not_follow_an_upload_to_another_host()
    {
        await using var storage = await FakeRegistry.StartAsync();
        storage.Uploads["elsewhere"] = new MemoryStream();
        Registry.Answer = context =>
        {
            if (context.Request.Headers.Authorization.Count == 0)
            {
                context.Response.Headers.WWWAuthenticate = "Basic realm=\"test\"";
                return FakeRegistry.RefuseAsync(context, 401);
            }

            if (context.Request.Method != "POST")
            {
                return Task.FromResult(false);
            }

            (context.Response.StatusCode, context.Response.Headers.Location) = (202, $"http://{storage.Host}/v2/app/one/blobs/uploads/elsewhere");
            return Task.FromResult(true);
        };
        await using var repository = Push(Credentials);

        await repository.PushBlobAsync(Blob, [], Open, null, Cancellation);
        Assert.Equal([null], storage.Requests.Select(request => request.Authorization));
    }

    [Fact]
    public async Task A_push_without_the_right_has_Dockers_text()
    {
        Registry.Answer = context => context.Request.Method == "POST"
            ? FakeRegistry.RefuseAsync(context, 403, "DENIED", "requested access to the resource is denied") : Task.FromResult(false);
        await using var repository = Push();
        var error = await RefusedAsync(RegistryErrorKind.Denied, () => repository.PushBlobAsync(Blob, [], Open, null, Cancellation));
        Assert.Equal("denied: requested access to the resource is denied", error.Message);
    }

    [Fact]
    public async Task A_blob_that_cannot_be_read_is_not_tried_again()
    {
        await using var repository = Push();
        var opened = 0;
        var error = await RefusedAsync(
            RegistryErrorKind.Invalid,
            () => repository.PushBlobAsync(Blob with { Size = _content.Length + 1 }, [], cancellation => opened++ == 0 ? Open(cancellation) : throw new InvalidOperationException(), null, Cancellation));
        Assert.Contains("fewer bytes than its descriptor says", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, opened);
    }

    [Fact]
    public async Task A_registry_that_finds_another_digest_says_so()
    {
        await using var repository = Push();
        var error = await RefusedAsync(
            RegistryErrorKind.Refused, () => repository.PushBlobAsync(Blob with { Digest = Digest.Of("other"u8) }, [], Open, null, Cancellation));
        Assert.Equal("digest invalid: provided digest did not match uploaded content", error.Message);
    }

    [Fact]
    public async Task A_manifest_is_pushed_byte_for_byte()
    {
        var content = ManifestJson(MediaTypes.DockerManifest);
        var manifest = new RemoteManifest(new Descriptor { MediaType = MediaTypes.DockerManifest, Digest = Digest.Of(content), Size = content.Length }, content);
        await using var repository = Push();

        await repository.PushManifestAsync("v1", manifest, Cancellation);
        await repository.PushManifestAsync(manifest.Descriptor.Digest.ToString(), manifest, Cancellation);
        Assert.Equal(MediaTypes.DockerManifest, Registry.Manifests["app/one:v1"].Type);
        Assert.Equal(content, Registry.Manifests["app/one:v1"].Content);
        await RefusedAsync(RegistryErrorKind.Refused, () => repository.PushManifestAsync(Digest.Of([]).ToString(), manifest, Cancellation));
    }

    [Fact]
    public async Task A_registry_that_stores_another_manifest_is_not_believed()
    {
        var content = ManifestJson();
        Registry.Answer = context =>
        {
            (context.Response.StatusCode, context.Response.Headers["Docker-Content-Digest"]) = (201, Digest.Of("other"u8).ToString());
            return Task.FromResult(true);
        };
        await using var repository = Push();
        await RefusedAsync(
            RegistryErrorKind.Invalid,
            () => repository.PushManifestAsync("v1", new RemoteManifest(new() { MediaType = MediaTypes.OciManifest, Digest = Digest.Of(content), Size = content.Length }, content), Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_refers_to_a_manifest_is_listed_by_the_registry_or_by_us(bool hasApi)
    {
        var subject = Digest.Of("subject"u8);
        Registry.Answer = context =>
        {
            if (hasApi && context.Request.Method == "PUT")
            {
                context.Response.Headers["OCI-Subject"] = subject.ToString();
            }

            return Task.FromResult(false);
        };
        await using var repository = Push();
        foreach (var type in new[] { "sbom", "signature", "sbom" })
        {
            var content = ManifestJson(extra: $$"""
                "artifactType":"{{type}}","subject":{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{subject}}","size":7},
                """);
            var descriptor = new Descriptor { MediaType = MediaTypes.OciManifest, Digest = Digest.Of(content), Size = content.Length };
            await repository.PushManifestAsync(descriptor.Digest.ToString(), new RemoteManifest(descriptor, content), Cancellation);
        }

        Assert.Equal(hasApi ? [] : ["sbom", "signature"], (await repository.ListReferrersAsync(subject, null, Cancellation)).Select(referrer => referrer.ArtifactType));
        Assert.Equal(!hasApi, Registry.Manifests.ContainsKey($"app/one:sha256-{subject.Hex}"));
    }

    private ValueTask<Stream> Open(CancellationToken cancellationToken) => ValueTask.FromResult<Stream>(new MemoryStream(_content));

    private static Task<bool> HideBlobs(HttpContext context) => context.Request.Method == "HEAD" ? FakeRegistry.RefuseAsync(context, 404) : Task.FromResult(false);

    private static async Task ReadPartAsync(HttpContext context, MemoryStream into, int count)
    {
        var buffer = new byte[count];
        await context.Request.Body.ReadExactlyAsync(buffer);
        await into.WriteAsync(buffer);
    }

    /// <summary>Reports where it is called, not on a context of its own.</summary>
    private sealed class Reported(List<long> values) : IProgress<long>
    {
        public void Report(long value) => values.Add(value);
    }
}
