using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Slipway.Api;

namespace Slipway.Client;

/// <summary>A typed client of the Engine API, of Slipway's engine and of others that speak v1.50.</summary>
/// <remarks>Errors are <see cref="EngineApiException"/> and <see cref="EngineUnreachableException"/>.</remarks>
public sealed partial class EngineClient : IDisposable
{
    /// <summary>The API version this client speaks.</summary>
    public const string ApiVersion = "1.50";

    private const string Prefix = "/v" + ApiVersion;
    private readonly EngineAddress _address;
    private readonly HttpClient _http;

    public EngineClient(EngineAddress address)
    {
        _address = address;
        SocketsHttpHandler handler = new()
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectCallback = async (_, cancellationToken) =>
                new NetworkStream(await address.ConnectAsync(cancellationToken).ConfigureAwait(false), ownsSocket: true),
        };
        _http = new HttpClient(handler) { BaseAddress = new Uri("http://slipway"), Timeout = Timeout.InfiniteTimeSpan };
    }

    public EngineAddress Address => _address;

    public void Dispose() => _http.Dispose();

    /// <summary>The text of an error answer: its message where it is Docker's JSON, else the body.</summary>
    internal static string ErrorText(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, EngineJson.Wire.ErrorResponse)?.Message ?? "the engine gave no reason";
        }
        catch (JsonException)
        {
            return Encoding.UTF8.GetString(body).Trim();
        }
    }

    private static string Segment(string value) => Uri.EscapeDataString(value);

    private Task<HijackedStream> HijackAsync(string path, byte[]? json, CancellationToken cancellationToken) =>
        ReachAsync(() => HijackedStream.OpenAsync(_address, Prefix + path, json, cancellationToken));

    private async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Get, path, null, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, type, cancellationToken).ConfigureAwait(false);
    }

    private async Task<byte[]> GetBytesAsync(string path, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Get, path, null, cancellationToken).ConfigureAwait(false);
        return await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task<TAnswer> PostAsync<TBody, TAnswer>(
        string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> answerType, CancellationToken cancellationToken)
    {
        using ByteArrayContent content = Json(body, bodyType);
        using HttpResponseMessage response = await SendAsync(HttpMethod.Post, path, content, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, answerType, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sends a request whose answer has no body of interest. True where it changed something (not 304).</summary>
    private async Task<bool> CommandAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(method, path, content, cancellationToken).ConfigureAwait(false);
        return response.StatusCode != HttpStatusCode.NotModified;
    }

    private Task<bool> CommandAsync(string path, CancellationToken cancellationToken) => CommandAsync(HttpMethod.Post, path, null, cancellationToken);

    /// <summary>Reads an endless or long answer of JSON documents, one a line.</summary>
    private async IAsyncEnumerable<T> LinesAsync<T>(
        HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(method, path, content, cancellationToken).ConfigureAwait(false);
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            using StreamReader reader = new(body, Encoding.UTF8);
            while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
            {
                if (line.Length > 0 && JsonSerializer.Deserialize(line, type) is { } value)
                {
                    yield return value;
                }
            }
        }
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "The response is the caller's.")]
    private Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken) =>
        ReachAsync(async () =>
        {
            using HttpRequestMessage request = new(method, Prefix + path) { Content = content };
            HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            if ((int)response.StatusCode < 400)
            {
                return response;
            }

            using (response)
            {
                byte[] body = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
                throw new EngineApiException(response.StatusCode, ErrorText(body));
            }
        });

    private async Task<T> ReachAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call().ConfigureAwait(false);
        }
        catch (HttpRequestException exception) when (exception.HttpRequestError == HttpRequestError.ConnectionError || exception.InnerException is SocketException)
        {
            throw new EngineUnreachableException(_address, exception);
        }
        catch (SocketException exception)
        {
            throw new EngineUnreachableException(_address, exception);
        }
    }

    private static ByteArrayContent Json<T>(T value, JsonTypeInfo<T> type) =>
        new(JsonSerializer.SerializeToUtf8Bytes(value, type)) { Headers = { { "Content-Type", "application/json" } } };

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            return await JsonSerializer.DeserializeAsync(body, type, cancellationToken).ConfigureAwait(false)
                ?? throw new IOException("the engine's answer is empty");
        }
    }
}
