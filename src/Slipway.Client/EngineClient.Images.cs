using System.Buffers.Text;
using System.Text.Json;
using Slipway.Api;
using Slipway.Api.Daemon;
using Slipway.Api.Events;
using Slipway.Api.Images;
using Slipway.Api.Registries;

namespace Slipway.Client;

/// <summary>Images, events and the engine itself.</summary>
public sealed partial class EngineClient
{
    /// <summary>True where an engine answers.</summary>
    public async Task<bool> PingAsync(CancellationToken cancellationToken)
    {
        try
        {
            using HttpResponseMessage response = await SendAsync(HttpMethod.Get, "/_ping", null, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (EngineUnreachableException)
        {
            return false;
        }
    }

    public Task<SystemVersion> VersionAsync(CancellationToken cancellationToken) => GetAsync("/version", EngineJson.Wire.SystemVersion, cancellationToken);

    public Task<SystemInfo> InfoAsync(CancellationToken cancellationToken) => GetAsync("/info", EngineJson.Wire.SystemInfo, cancellationToken);

    public IAsyncEnumerable<EventMessage> EventsAsync(string? since, string? until, IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        LinesAsync(HttpMethod.Get, new Query("/events").Add("since", since).Add("until", until).Add(filters).ToString(), null,
            EngineJson.Wire.EventMessage, cancellationToken);

    public Task<List<ImageSummary>> ListImagesAsync(bool all, IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        GetAsync(new Query("/images/json").Add("all", all).Add(filters).ToString(), EngineJson.Wire.ListImageSummary, cancellationToken);

    public Task<byte[]> InspectImageRawAsync(string image, CancellationToken cancellationToken) => GetBytesAsync($"/images/{image}/json", cancellationToken);

    public Task<List<ImageHistoryItem>> ImageHistoryAsync(string image, CancellationToken cancellationToken) =>
        GetAsync($"/images/{image}/history", EngineJson.Wire.ListImageHistoryItem, cancellationToken);

    public Task TagImageAsync(string image, string repository, string? tag, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/images/{image}/tag").Add("repo", repository).Add("tag", tag).ToString(), cancellationToken);

    public async Task<List<ImageDeleteItem>> RemoveImageAsync(string image, bool force, bool prune, CancellationToken cancellationToken)
    {
        string path = new Query($"/images/{image}").Add("force", force).Add("noprune", !prune).ToString();
        using HttpResponseMessage response = await SendAsync(HttpMethod.Delete, path, null, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, EngineJson.Wire.ListImageDeleteItem, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sends an archive; the messages come while the engine reads it.</summary>
    public IAsyncEnumerable<ProgressMessage> LoadImageAsync(Stream archive, bool quiet, CancellationToken cancellationToken) =>
        LinesAsync(HttpMethod.Post, new Query("/images/load").Add("quiet", quiet).ToString(), Archive(archive), EngineJson.Wire.ProgressMessage, cancellationToken);

    public IAsyncEnumerable<ProgressMessage> ImportImageAsync(
        Stream archive, string? repository, string? message, IReadOnlyList<string> changes, string? platform, CancellationToken cancellationToken)
    {
        Query query = new Query("/images/create").Add("fromSrc", "-").Add("repo", repository).Add("message", message).Add("platform", platform);
        foreach (string change in changes)
        {
            query.Add("changes", change);
        }

        return LinesAsync(HttpMethod.Post, query.ToString(), Archive(archive), EngineJson.Wire.ProgressMessage, cancellationToken);
    }

    /// <param name="tag">A tag or digest; null for all tags.</param>
    public IAsyncEnumerable<ProgressMessage> PullImageAsync(string image, string? tag, string? platform, AuthConfig? auth, CancellationToken cancellationToken) =>
        LinesAsync(HttpMethod.Post, new Query("/images/create").Add("fromImage", image).Add("tag", tag).Add("platform", platform).ToString(),
            Authenticated(auth), EngineJson.Wire.ProgressMessage, cancellationToken);

    /// <param name="tag">Null for all tags.</param>
    /// <param name="platform">A platform as a JSON document (OCI image-spec), or null.</param>
    public IAsyncEnumerable<ProgressMessage> PushImageAsync(string image, string? tag, string? platform, AuthConfig? auth, CancellationToken cancellationToken) =>
        LinesAsync(HttpMethod.Post, new Query($"/images/{image}/push").Add("tag", tag).Add("platform", platform).ToString(),
            Authenticated(auth), EngineJson.Wire.ProgressMessage, cancellationToken);

    public Task<LoginAnswer> LoginAsync(AuthConfig auth, CancellationToken cancellationToken) =>
        PostAsync("/auth", auth, EngineJson.Wire.AuthConfig, EngineJson.Wire.LoginAnswer, cancellationToken);

    public Task<List<SearchResult>> SearchAsync(string term, int? limit, IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        GetAsync(new Query("/images/search").Add("term", term).Add("limit", limit).Add(filters).ToString(), EngineJson.Wire.ListSearchResult, cancellationToken);

    /// <summary>The archive as a stream; disposing it ends the transfer.</summary>
    public async Task<Stream> SaveImagesAsync(IReadOnlyList<string> images, CancellationToken cancellationToken)
    {
        Query query = new("/images/get");
        foreach (string image in images)
        {
            query.Add("names", image);
        }

        HttpResponseMessage response = await SendAsync(HttpMethod.Get, query.ToString(), null, cancellationToken).ConfigureAwait(false);
        return await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>No content but the header that carries credentials (Engine API, "Authentication").</summary>
    private static ByteArrayContent Authenticated(AuthConfig? auth)
    {
        ByteArrayContent content = new([]);
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(auth ?? new AuthConfig(), EngineJson.Wire.AuthConfig);
        content.Headers.Add("X-Registry-Auth", Base64Url.EncodeToString(json));
        return content;
    }

    private static StreamContent Archive(Stream archive) => new(archive, 256 * 1024) { Headers = { { "Content-Type", "application/x-tar" } } };
}
