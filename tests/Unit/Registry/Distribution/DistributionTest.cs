using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>What the tests of the client share: a registry that can be made to lie, and a client with little patience.</summary>
public abstract class DistributionTest : IAsyncLifetime
{
    internal const string Password = "pa55-w0rd-secret";

    private readonly List<DistributionClient> _clients = [];

    internal FakeRegistry Registry { get; private set; } = null!;

    internal FakeTime Time { get; } = new();

    internal static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    internal static RegistryCredentials Credentials { get; } = new() { Username = "ann", Password = Password };

    /// <summary>Attempts as by default; a body that stands still does so for 95 s in the client's time.</summary>
    internal static RetrySettings Patience { get; } = new() { AnswerTimeout = TimeSpan.FromSeconds(100), IdleTimeout = TimeSpan.FromSeconds(100) };

    public async ValueTask InitializeAsync() => Registry = await FakeRegistry.StartAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
        {
            client.Dispose();
        }

        await Registry.DisposeAsync();
    }

    internal DistributionClient Client(RegistryConfiguration? configuration = null)
    {
        var client = new DistributionClient((configuration ?? new RegistryConfiguration { Retry = Patience }) with { CertificateDirectories = configuration?.CertificateDirectories is [var own] ? [own] : [] }, Time);
        _clients.Add(client);
        return client;
    }

    internal IRemoteRepository Pull(RegistryCredentials? credentials = null, RegistryConfiguration? configuration = null, string repository = "app/one") =>
        Client(configuration).Open(Registry.Name(repository), RegistryAccess.Pull, credentials);

    internal IRemoteRepository Push(RegistryCredentials? credentials = null, string repository = "app/one") =>
        Client().Open(Registry.Name(repository), RegistryAccess.Push, credentials);

    internal static byte[] RandomBytes(int count) => RandomNumberGenerator.GetBytes(count);

    internal static async Task<byte[]> ReadAsync(Stream stream)
    {
        await using (stream)
        {
            using var content = new MemoryStream();
            await stream.CopyToAsync(content, Cancellation);
            return content.ToArray();
        }
    }

    internal static async Task<RegistryException> RefusedAsync(RegistryErrorKind kind, Func<Task> action)
    {
        var error = await Assert.ThrowsAsync<RegistryException>(action);
        Assert.True(error.Kind == kind, $"{error.Kind}, expected {kind}: {error}");
        Assert.DoesNotContain(Password, error.ToString(), StringComparison.Ordinal);
        return error;
    }

    /// <summary>A manifest with one layer.</summary>
    internal static byte[] ManifestJson(string? mediaType = MediaTypes.OciManifest, string extra = "", int layers = 1)
    {
        var digest = Digest.Of("layer"u8);
        var layer = $$"""{"mediaType":"{{MediaTypes.OciLayerGzip}}","digest":"{{digest}}","size":5}""";
        var type = mediaType is null ? "" : $"\"mediaType\":\"{mediaType}\",";
        return Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,{{type}}{{extra}}"config":{"mediaType":"{{MediaTypes.OciConfig}}","digest":"{{digest}}","size":5},"layers":[{{string.Join(',', Enumerable.Repeat(layer, layers))}}]}""");
    }

    /// <summary>Makes the registry want a bearer token of a realm, and only the newest one that was given out.</summary>
    internal static Func<HttpContext, Task<bool>> Bearer(Func<string> realm, Func<string> token, string service = "test") => context =>
    {
        if (context.Request.Headers.Authorization == "Bearer " + token() || !context.Request.Path.StartsWithSegments("/v2"))
        {
            return Task.FromResult(false);
        }

        context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{realm()}\",service=\"{service}\",scope=\"repository:victim/secret:pull\"";
        return FakeRegistry.RefuseAsync(context, 401, "UNAUTHORIZED", "authentication required");
    };

    internal static async Task<bool> GiveTokenAsync(HttpContext context, object answer)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(JsonSerializer.Serialize(answer));
        return true;
    }

    /// <summary>Sends a body without end, as long as somebody takes it.</summary>
    /// <param name="written">Told how much was sent.</param>
    internal static async Task<bool> SendEndlessAsync(HttpContext context, byte fill, Action<long> written)
    {
        var part = new byte[64 << 10];
        Array.Fill(part, fill);
        for (var sent = 0L; !context.RequestAborted.IsCancellationRequested; written(sent += part.Length))
        {
            await context.Response.Body.WriteAsync(part, context.RequestAborted);
            if (sent > 8 << 20)
            {
                // The server learns late that nobody is there any more, and writes into the void meanwhile.
                await Task.Delay(5, context.RequestAborted);
            }
        }

        return true;
    }
}
