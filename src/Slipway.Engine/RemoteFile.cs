using System.Net;
using System.Text;

namespace Slipway.Engine;

/// <summary>A file at an address of the web: a context of a build, what ADD adds, an image that is imported.</summary>
internal sealed class RemoteFile : IAsyncDisposable
{
    private const int MaximumRedirects = 10;
    private const int MaximumRefusal = 1024;

    private static readonly HttpClient s_client = new(new SocketsHttpHandler
    {
        MaxAutomaticRedirections = MaximumRedirects, AutomaticDecompression = DecompressionMethods.None, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(10),
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private readonly HttpResponseMessage _response;

    private RemoteFile(HttpResponseMessage response, Stream content) => (_response, Content) = (response, content);

    public Stream Content { get; }

    public DateTimeOffset? Modified => _response.Content.Headers.LastModified;

    public static bool IsAddress(string text) => text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    /// <exception cref="EngineException">It cannot be had.</exception>
    public static async Task<RemoteFile> OpenAsync(string address, CancellationToken cancellationToken)
    {
        HttpResponseMessage? response = null;
        try
        {
            response = await s_client.GetAsync(new Uri(address), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return response.IsSuccessStatusCode
                ? new RemoteFile(response, await response.Content.ReadAsStreamAsync(cancellationToken))
                : throw new EngineException(Kind(response.StatusCode), $"failed to GET {address} with status {(int)response.StatusCode} {response.ReasonPhrase}: {await BeginningAsync(response, cancellationToken)}");
        }
        catch (Exception error)
        {
            response?.Dispose();
            throw error switch
            {
                HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => new EngineException(ErrorKind.NotFound, $"Get \"{address}\": {error.Message}", error),
                HttpRequestException or IOException => new EngineException(ErrorKind.Remote, $"Get \"{address}\": {error.Message}", error),
                UriFormatException or NotSupportedException => new EngineException(ErrorKind.InvalidParameter, $"Get \"{address}\": {error.Message}", error),
                _ => error,
            };
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Content.DisposeAsync();
        _response.Dispose();
    }

    /// <summary>As Docker repeats it.</summary>
    private static ErrorKind Kind(HttpStatusCode status) => status switch
    {
        HttpStatusCode.NotFound => ErrorKind.NotFound,
        HttpStatusCode.BadRequest => ErrorKind.InvalidParameter,
        HttpStatusCode.Unauthorized => ErrorKind.Unauthorized,
        HttpStatusCode.Forbidden => ErrorKind.Forbidden,
        _ => ErrorKind.Remote,
    };

    /// <summary>What a server says to its refusal, as far as it is worth reading.</summary>
    private static async Task<string> BeginningAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using Stream body = await response.Content.ReadAsStreamAsync(cancellationToken);
        byte[] text = new byte[MaximumRefusal];
        int length = await body.ReadAtLeastAsync(text, text.Length, throwOnEndOfStream: false, cancellationToken);
        return Encoding.UTF8.GetString(text, 0, length).Trim();
    }
}
