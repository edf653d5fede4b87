using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Slipway.Engine.Cluster.Keys;
using Slipway.Registry.Peers;

namespace Slipway.Engine.Cluster.Links;

/// <summary>Speaks to another member.</summary>
internal sealed class ClusterClient : IDisposable
{
    private static readonly TimeSpan s_connect = TimeSpan.FromSeconds(2);

    /// <summary>Of a message and its answer: well below the time after which a silent member counts as gone.</summary>
    private static readonly TimeSpan s_exchange = TimeSpan.FromSeconds(4);

    private readonly HttpMessageInvoker _http;

    /// <exception cref="FormatException">The certificates cannot be read.</exception>
    public ClusterClient(PeerTls tls) => _http = PeerConnections.Open(tls, s_connect);

    /// <exception cref="ClusterConnectionException">There is no answer.</exception>
    public Task<PushAnswer> SendAsync(IPEndPoint member, Push push, CancellationToken cancellationToken) =>
        AskAsync(member, ClusterServer.PushPath, push, ClusterJson.Default.Push, ClusterJson.Default.PushAnswer, cancellationToken);

    /// <exception cref="ClusterConnectionException">There is no answer.</exception>
    public Task<KeyAnswer> AskAsync(IPEndPoint member, KeyRequest request, CancellationToken cancellationToken) =>
        AskAsync(member, ClusterServer.KeyPath, request, ClusterJson.Default.KeyRequest, ClusterJson.Default.KeyAnswer, cancellationToken);

    private async Task<TAnswer> AskAsync<TMessage, TAnswer>(
        IPEndPoint member, string path, TMessage message, JsonTypeInfo<TMessage> messageType, JsonTypeInfo<TAnswer> answerType, CancellationToken cancellationToken)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, new Uri($"https://{member}{path}"));
        request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(message, messageType));
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_exchange);
        try
        {
            using HttpResponseMessage response = await _http.SendAsync(request, limit.Token);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                throw new ClusterConnectionException($"it answers {(int)response.StatusCode}", isRefused: false);
            }

            if (response.Content.Headers.ContentLength is null or > ClusterServer.MaxMessage)
            {
                throw new ClusterConnectionException("its answer has no length, or is too long", isRefused: false);
            }

            await using Stream body = await response.Content.ReadAsStreamAsync(limit.Token);
            return await JsonSerializer.DeserializeAsync(body, answerType, limit.Token) ?? throw new JsonException("no answer");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ClusterConnectionException("no answer in time", isRefused: false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException)
        {
            Exception cause = error.InnerException is AuthenticationException or SocketException or IOException ? error.InnerException : error;
            throw new ClusterConnectionException(cause.Message, cause is SocketException { SocketErrorCode: SocketError.ConnectionRefused });
        }
    }

    public void Dispose() => _http.Dispose();
}

/// <summary>Another member was not reached.</summary>
/// <param name="isRefused">Its host says that nobody listens: it is there.</param>
internal sealed class ClusterConnectionException(string message, bool isRefused) : Exception(message)
{
    public bool IsRefused { get; } = isRefused;
}
