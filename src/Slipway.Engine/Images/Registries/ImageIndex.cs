using System.Globalization;
using System.Net;
using System.Text.Json;
using Slipway.Api;
using Slipway.Api.Registries;

namespace Slipway.Engine.Images.Registries;

/// <summary>
/// <c>docker search</c>: the search of Docker's index (<c>GET /v1/search?q=TERM&amp;n=COUNT</c>), which Docker Hub still answers; registries
/// of today have none. It is asked anonymously.
/// </summary>
internal sealed class ImageIndex : IDisposable
{
    private const string DefaultHost = "index.docker.io";
    private const int DefaultLimit = 25;
    private const int MaxLimit = 100;

    /// <summary>Bytes; a hundred results have about 30 000.</summary>
    private const int MaxAnswer = 4 << 20;

    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(30);

    private readonly HttpClient _http;

    public ImageIndex(IWebProxy proxy)
    {
        SocketsHttpHandler handler = new() { Proxy = proxy, UseCookies = false, MaxAutomaticRedirections = 5 };
        _http = new HttpClient(handler) { MaxResponseContentBufferSize = MaxAnswer, Timeout = s_timeout };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd($"slipway/{Daemon.EngineVersion.Current}");
    }

    /// <param name="term">May begin with the host of another index.</param>
    /// <exception cref="EngineException">InvalidParameter: limit or filters. Unavailable: the index cannot be reached or has no search.</exception>
    public async Task<IReadOnlyList<SearchResult>> SearchAsync(string term, int? limit, Filters filters, CancellationToken cancellationToken)
    {
        filters.Validate("is-automated", "is-official", "stars");
        Func<SearchResult, bool> isWanted = Condition(filters);
        int count = limit is null or 0 ? DefaultLimit : limit.Value;
        if (count is < 1 or > MaxLimit)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"limit {count} is outside the range of [1, {MaxLimit}]");
        }

        SearchResults answer = await GetAsync(Address(term, count), cancellationToken);
        return [.. (answer.Results ?? []).Where(isWanted)];
    }

    public void Dispose() => _http.Dispose();

    private static Uri Address(string term, int count)
    {
        (string host, string words) = (DefaultHost, term);
        int slash = term.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && (term.AsSpan(0, slash).ContainsAny('.', ':') || term.AsSpan(0, slash) is "localhost"))
        {
            (host, words) = (term[..slash] is "docker.io" ? DefaultHost : term[..slash], term[(slash + 1)..]);
        }

        string query = string.Create(CultureInfo.InvariantCulture, $"/v1/search?q={Uri.EscapeDataString(words)}&n={count}");
        return Uri.TryCreate($"https://{host}{query}", UriKind.Absolute, out Uri? address) && address.UserInfo.Length == 0
            ? address.IsLoopback ? new Uri($"http://{host}{query}") : address
            : throw new EngineException(ErrorKind.InvalidParameter, $"invalid index name ({host})");
    }

    private static Func<SearchResult, bool> Condition(Filters filters)
    {
        bool? official = Flag("is-official");
        bool? automated = Flag("is-automated");
        int stars = filters["stars"].Select(Stars).DefaultIfEmpty(0).Max();
        return result => (official ?? result.IsOfficial) == result.IsOfficial && (automated ?? result.IsAutomated) == result.IsAutomated && result.StarCount >= stars;

        bool? Flag(string name) => filters[name].Count == 0 ? null : filters[name][0] switch
        {
            "1" or "true" => true,
            "0" or "false" => false,
            _ => throw Invalid(name, filters[name]),
        };

        int Stars(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : throw Invalid("stars", filters["stars"]);
    }

    private static EngineException Invalid(string name, IEnumerable<string> values) =>
        new(ErrorKind.InvalidParameter, $"invalid filter '{name}={string.Join(' ', values.Select(value => $"[{value}]"))}'");

    private async Task<SearchResults> GetAsync(Uri address, CancellationToken cancellationToken)
    {
        try
        {
            using HttpResponseMessage answer = await _http.GetAsync(address, cancellationToken);
            if (answer.StatusCode != HttpStatusCode.OK)
            {
                throw new EngineException(ErrorKind.Remote, $"Unexpected status code {(int)answer.StatusCode}");
            }

            byte[] body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
            return JsonSerializer.Deserialize(body, EngineJson.Wire.SearchResults) ?? new SearchResults();
        }
        catch (Exception error) when (error is HttpRequestException or JsonException || (error is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new EngineException(ErrorKind.Remote, $"Get \"{address.AbsoluteUri}\": {error.Message}", error);
        }
    }
}
