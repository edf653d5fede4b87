using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Where a registry may lead, and what goes there.</summary>
public sealed class RedirectTests : DistributionTest
{
    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task A_blob_is_fetched_from_another_host_without_credentials(int status)
    {
        await using var storage = await FakeRegistry.StartAsync();
        var content = RandomBytes(1000);
        var blob = Registry.AddBlob(content);
        storage.AddBlob(content);
        Registry.Answer = Basic(context => RedirectAsync(context, status, $"http://{storage.Host}/v2/x/blobs/{blob.Digest}?signature=s"));
        await using var repository = Pull(Credentials);

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal([null], storage.Requests.Select(request => request.Authorization));
        Assert.NotNull(Registry.Requests.Last().Authorization);
    }

    [Fact]
    public async Task A_host_that_was_redirected_to_gets_no_credentials_by_asking_for_them()
    {
        await using var storage = await FakeRegistry.StartAsync();
        storage.Answer = context =>
        {
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"storage\"";
            return FakeRegistry.RefuseAsync(context, 401);
        };
        var blob = Registry.AddBlob(RandomBytes(10));
        Registry.Answer = Basic(context => RedirectAsync(context, 307, $"http://{storage.Host}/blob"));
        await using var repository = Pull(Credentials);

        await RefusedAsync(RegistryErrorKind.Unauthorized, () => repository.OpenBlobAsync(blob, 0, Cancellation));
        Assert.All(storage.Requests, request => Assert.Null(request.Authorization));
    }

    [Fact]
    public async Task Credentials_stay_with_a_redirect_on_the_same_origin()
    {
        var content = RandomBytes(1000);
        var blob = Registry.AddBlob(content);
        Registry.Answer = Basic(context => context.Request.Path.Value!.Contains("app/one", StringComparison.Ordinal)
            ? RedirectAsync(context, 307, $"/v2/app/other/blobs/{blob.Digest}") : Task.FromResult(false));
        await using var repository = Pull(Credentials);

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.NotNull(Registry.Requests.Last().Authorization);
    }

    [Fact]
    public async Task A_resumed_blob_asks_the_registry_for_its_address_again()
    {
        await using var storage = await FakeRegistry.StartAsync();
        var content = RandomBytes(1000);
        var blob = Registry.AddBlob(content);
        storage.AddBlob(content);
        storage.Answer = async context =>
        {
            if (storage.Requests.Count > 1)
            {
                return false;
            }

            context.Response.ContentLength = 1000;
            await context.Response.Body.WriteAsync(content.AsMemory(0, 400));
            await context.Response.Body.FlushAsync();
            await Task.Delay(50);
            context.Abort();
            return true;
        };
        Registry.Answer = context => RedirectAsync(context, 307, $"http://{storage.Host}/v2/x/blobs/{blob.Digest}?signature={Registry.Requests.Count}");
        await using var repository = Pull();

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal([(null, "?signature=1"), ("bytes=400-", "?signature=2")], storage.Requests.Select(request => (request.Range, request.Query)));
    }

    [Theory]
    [InlineData("/v2/app/one/blobs/again")]
    [InlineData(null)]
    [InlineData("ftp://127.0.0.1/blob")]
    [InlineData("file:///etc/passwd")]
    [InlineData("http://user:word@127.0.0.1/blob")]
    public async Task A_redirect_that_leads_nowhere_is_refused(string? location)
    {
        var blob = Registry.AddBlob(RandomBytes(10));
        Registry.Answer = context => RedirectAsync(context, 307, location);
        await using var repository = Pull();

        await RefusedAsync(RegistryErrorKind.Invalid, () => repository.OpenBlobAsync(blob, 0, Cancellation));
        Assert.InRange(Registry.Requests.Count, 1, 6);
    }

    [Fact]
    public async Task Nothing_goes_from_TLS_to_plain_HTTP()
    {
        await using var network = new FakeNetwork();
        var registry = await network.AddAsync("registry.example.com");
        Registry.AddBlob(RandomBytes(10));
        var blob = new Descriptor { MediaType = MediaTypes.OciLayer, Digest = Digest.Of("x"u8), Size = 1 };
        registry.Answer = context => RedirectAsync(context, 307, $"http://{Registry.Host}/v2/x/blobs/{blob.Digest}");
        using var authorities = new CertificateFolder("registry.example.com", network.Authority);
        await using var repository = Client(network.Configuration(authorities)).Open(Reference.Parse("registry.example.com/app"), RegistryAccess.Pull, null);

        var error = await RefusedAsync(RegistryErrorKind.Refused, () => repository.OpenBlobAsync(blob, 0, Cancellation));
        Assert.Equal($"registry registry.example.com leads to http://{Registry.Host}, which is not encrypted: refused", error.Message);
        Assert.Empty(Registry.Requests);
    }

    private static Task<bool> RedirectAsync(HttpContext context, int status, string? location)
    {
        (context.Response.StatusCode, context.Response.Headers.Location) = (status, location);
        return Task.FromResult(true);
    }

    private static Func<HttpContext, Task<bool>> Basic(Func<HttpContext, Task<bool>> then) => context =>
    {
        if (context.Request.Headers.Authorization.Count > 0)
        {
            return then(context);
        }

        context.Response.Headers.WWWAuthenticate = "Basic realm=\"test\"";
        return FakeRegistry.RefuseAsync(context, 401, "UNAUTHORIZED", "authentication required");
    };
}
