using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Slipway.Oci;
using Slipway.Registry.Server;
using Slipway.Tests.Engine.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>A clock that a test can set ahead.</summary>
internal sealed class AdjustableTime : TimeProvider
{
    public TimeSpan Ahead { get; set; }

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;
}

/// <summary>A registry on a loopback port, in a directory of its own, for one test.</summary>
internal sealed class RegistryUnderTest : IAsyncDisposable
{
    private readonly RegistryServerConfiguration _configuration;
    private readonly bool _keepsRoot;
    private CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    private RegistryUnderTest(RegistryServerConfiguration configuration, string root, bool keepsRoot)
    {
        (_configuration, Root, _keepsRoot) = (configuration, root, keepsRoot);
    }

    public string Root { get; }

    public AdjustableTime Time { get; } = new();

    public CollectingLog Log { get; } = new();

    public HttpClient Http { get; private set; } = null!;

    public IPEndPoint EndPoint { get; private set; } = null!;

    public MemoryStream AccessLog { get; } = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<RegistryUnderTest> StartAsync(Func<RegistryServerConfiguration, RegistryServerConfiguration>? configure = null, string? root = null)
    {
        string directory = root ?? Directory.CreateTempSubdirectory("slipway-registry-").FullName;
        RegistryServerConfiguration configuration = new() { Listen = ["127.0.0.1:0"], Root = directory };
        RegistryUnderTest registry = new(configure?.Invoke(configuration) ?? configuration, directory, root is not null);
        try
        {
            await registry.StartAsync();
            return registry;
        }
        catch when (root is null)
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    /// <summary>Ends the server and starts it again over the same directory.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    public async Task<Answer> SendAsync(HttpMethod method, string path, byte[]? body = null, Action<HttpRequestMessage>? change = null)
    {
        using HttpRequestMessage request = new(method, path);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
        }

        change?.Invoke(request);
        using HttpResponseMessage response = await Http.SendAsync(request, Cancellation);
        Dictionary<string, string> headers = response.Headers.Concat(response.Content.Headers)
            .ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase);
        return new Answer((int)response.StatusCode, headers, await response.Content.ReadAsByteArrayAsync(Cancellation));
    }

    public Task<Answer> GetAsync(string path, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Get, path, null, request =>
    {
        foreach ((string name, string value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
    });

    public Task<Answer> HeadAsync(string path) => SendAsync(HttpMethod.Head, path);

    public Task<Answer> DeleteAsync(string path) => SendAsync(HttpMethod.Delete, path);

    /// <summary>POST, then PUT of the whole.</summary>
    public async Task<Digest> PushBlobAsync(string repository, byte[] content)
    {
        Digest digest = Digest.Of(content);
        string upload = (await SendAsync(HttpMethod.Post, $"/v2/{repository}/blobs/uploads/")).Is(202).Header("Location");
        (await SendAsync(HttpMethod.Put, $"{upload}?digest={digest}", content)).Is(201);
        return digest;
    }

    public async Task<Answer> PutManifestAsync(string repository, string reference, byte[] content, string? type = MediaTypes.OciManifest) =>
        await SendAsync(HttpMethod.Put, $"/v2/{repository}/manifests/{reference}", content, request =>
        {
            if (type is not null)
            {
                request.Content!.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
            }
        });

    /// <summary>Pushes the blobs of an image and its manifest; returns the manifest.</summary>
    public async Task<byte[]> PushImageAsync(string repository, string tag, string layer = "layer", Action<JsonObject>? change = null)
    {
        byte[] config = Encoding.UTF8.GetBytes($$$"""{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["{{{Digest.Of(Encoding.UTF8.GetBytes(layer))}}}"]}}""");
        await PushBlobAsync(repository, config);
        await PushBlobAsync(repository, Encoding.UTF8.GetBytes(layer));
        byte[] manifest = Manifest(config, [Encoding.UTF8.GetBytes(layer)], change);
        (await PutManifestAsync(repository, tag, manifest)).Is(201);
        return manifest;
    }

    public static byte[] Manifest(byte[] config, byte[][] layers, Action<JsonObject>? change = null)
    {
        JsonObject manifest = new()
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = Describe(MediaTypes.OciConfig, config),
            ["layers"] = new JsonArray([.. layers.Select(layer => (JsonNode)Describe(MediaTypes.OciLayer, layer))]),
        };
        change?.Invoke(manifest);
        return Encoding.UTF8.GetBytes(manifest.ToJsonString());
    }

    public static byte[] Index(params (string Type, byte[] Manifest)[] manifests) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["schemaVersion"] = 2,
        ["mediaType"] = MediaTypes.OciIndex,
        ["manifests"] = new JsonArray([.. manifests.Select(manifest => (JsonNode)Describe(manifest.Type, manifest.Manifest))]),
    }.ToJsonString());

    public static JsonObject Describe(string type, byte[] content) =>
        new() { ["mediaType"] = type, ["digest"] = Digest.Of(content).ToString(), ["size"] = content.Length };

    /// <summary>A connection that says what it likes.</summary>
    public async Task<Socket> ConnectAsync()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(EndPoint, Cancellation);
        return socket;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (!_keepsRoot)
        {
            Directory.Delete(Root, recursive: true);
        }
    }

    private async Task StartAsync()
    {
        TaskCompletionSource<IReadOnlyList<EndPoint>> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _stop = new CancellationTokenSource();
        RegistryEnvironment environment = new() { Time = Time, Logging = Log, AccessLog = AccessLog, Listening = listening.SetResult };
        _running = RegistryServer.RunAsync(_configuration, environment, _stop.Token);
        if (await Task.WhenAny(listening.Task, _running) == _running)
        {
            await _running;
        }

        EndPoint = (IPEndPoint)(await listening.Task)[0];
        string scheme = _configuration.Tls is null ? "http" : "https";
        Http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            SslOptions = { RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.Subject == "CN=registry.test" },
        })
        { BaseAddress = new Uri($"{scheme}://{EndPoint}"), Timeout = TimeSpan.FromSeconds(60) };
    }

    private async Task StopAsync()
    {
        Http.Dispose();
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }
}

internal sealed record Answer(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    public JsonNode Json => JsonNode.Parse(Body)!;

    public string Header(string name) => Headers.TryGetValue(name, out string? value) ? value : throw new InvalidOperationException($"no {name} in the answer {Status}: {Text}");

    public Answer Is(int status)
    {
        Assert.True(Status == status, $"expected {status}, got {Status}: {Text}");
        return this;
    }

    /// <summary>A refusal with a code of the specification.</summary>
    public Answer IsError(int status, string code)
    {
        Is(status);
        Assert.Equal("application/json", Header("Content-Type"));
        Assert.Equal(code, (string?)Json["errors"]![0]!["code"]);
        return this;
    }
}
