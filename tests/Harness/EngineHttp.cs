using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Harness;

/// <summary>Raw HTTP to an engine's socket, for requests that no client sends.</summary>
public sealed class EngineHttp : IDisposable
{
    private readonly HttpClient _client;
    private readonly string _socket;

    public EngineHttp(string socket)
    {
        _socket = socket;
        _client = new HttpClient(new SocketsHttpHandler { ConnectCallback = async (_, cancellation) => await Connect(cancellation) })
        {
            BaseAddress = new Uri("http://engine/"),
            Timeout = Programs.Limit(60),
        };
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async Task<HttpAnswer> Send(HttpMethod method, string path, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        using var response = await _client.SendAsync(request, Cancellation);
        return new HttpAnswer($"{method} {path}", (int)response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }

    public Task<HttpAnswer> Get(string path) => Send(HttpMethod.Get, path);

    public Task<HttpAnswer> Post(string path, string? json = null) =>
        Send(HttpMethod.Post, path, json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"));

    /// <summary>Writes bytes as they are and returns all that comes back until the engine closes, or the time is over.</summary>
    public async Task<string> Raw(byte[] request)
    {
        await using var stream = await Connect(Cancellation);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(Programs.Limit(10));
        var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(request, limit.Token);
            await stream.CopyToAsync(answer, limit.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // A server may close on bad input while it is still being sent, or keep the connection open after its answer.
        }
        return Encoding.UTF8.GetString(answer.ToArray());
    }

    private async Task<Stream> Connect(CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_socket), cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }

    public void Dispose() => _client.Dispose();
}

/// <summary>An answer of the engine.</summary>
public sealed record HttpAnswer(string Request, int Status, string Body)
{
    public JsonNode Json => JsonNode.Parse(Body)!;

    public override string ToString() => $"{Request}: {Status} {Body}";

    /// <summary>A refusal as Docker gives it: this status and a JSON object with a message that is not empty.</summary>
    public HttpAnswer Refused(int status, string? text = null)
    {
        Assert.True(Status == status, $"expected status {status}: {this}");
        var message = (string?)Json["message"];
        Assert.True(!string.IsNullOrWhiteSpace(message), $"expected a message: {this}");
        if (text is not null)
        {
            Assert.Contains(text, message, StringComparison.Ordinal);
        }
        return this;
    }

    public HttpAnswer Is(int status)
    {
        Assert.True(Status == status, $"expected status {status}: {this}");
        return this;
    }
}
