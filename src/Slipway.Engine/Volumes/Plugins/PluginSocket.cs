using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;

namespace Slipway.Engine.Volumes.Plugins;

/// <summary>Calls to a plugin of Docker's first kind: a program of the host that answers HTTP on a unix socket (docs.docker.com, "Docker Plugin API").</summary>
internal sealed class PluginSocket : IDisposable
{
    /// <summary>A mount may have to wait for a server.</summary>
    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(2);

    private static readonly MediaTypeHeaderValue s_contentType = new("application/vnd.docker.plugins.v1.2+json");

    private readonly HttpClient _client;

    public PluginSocket(string path)
    {
        _client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = (_, cancellationToken) => ConnectAsync(path, cancellationToken),
            AllowAutoRedirect = false,
            UseProxy = false,

            // A plugin that was started anew has closed what was open.
            PooledConnectionIdleTimeout = TimeSpan.Zero,
        })
        {
            BaseAddress = new Uri("http://plugin/"),
            Timeout = s_timeout,
            MaxResponseContentBufferSize = 1 << 20,
        };
    }

    /// <param name="method">For example <c>VolumeDriver.Mount</c>.</param>
    /// <exception cref="EngineException">System: the plugin does not answer, or answers with an error; the message begins with the method.</exception>
    public async Task<PluginAnswer> CallAsync(string method, PluginCall call, CancellationToken cancellationToken)
    {
        try
        {
            using ByteArrayContent content = new(JsonSerializer.SerializeToUtf8Bytes(call, PluginJson.Default.PluginCall));
            content.Headers.ContentType = s_contentType;
            using HttpResponseMessage response = await _client.PostAsync(new Uri(method, UriKind.Relative), content, cancellationToken);
            byte[] body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            PluginAnswer answer = Parse(body) ?? new PluginAnswer { Err = response.IsSuccessStatusCode && body.Length == 0 ? "" : $"unexpected answer, status {(int)response.StatusCode}" };
            string error = string.IsNullOrEmpty(answer.Err) && !response.IsSuccessStatusCode ? $"status {(int)response.StatusCode}" : answer.Err ?? "";
            return error.Length == 0 ? answer : throw new EngineException(ErrorKind.System, $"{method}: {error}");
        }
        catch (HttpRequestException exception)
        {
            throw new EngineException(ErrorKind.System, $"{method}: {exception.Message}", exception);
        }
        catch (TaskCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EngineException(ErrorKind.System, $"{method}: the plugin did not answer within {s_timeout.TotalSeconds} s", exception);
        }
    }

    public void Dispose() => _client.Dispose();

    /// <summary>Null for what is no JSON object.</summary>
    private static PluginAnswer? Parse(byte[] body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, PluginJson.Default.PluginAnswer);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
