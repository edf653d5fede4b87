using System.Net.Http.Headers;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>A request to a registry, sent again as often as it takes.</summary>
/// <param name="Path">Below the registry's base address, <c>v2/library/alpine/tags/list</c>.</param>
internal sealed record RegistryRequest(HttpMethod Method, string Path)
{
    /// <summary>Where the registry told us to go on (Location, Link), in place of <see cref="Path"/>.</summary>
    public Uri? Address { get; init; }

    public Action<HttpRequestHeaders>? Headers { get; init; }

    /// <summary>Called for each attempt.</summary>
    public Func<HttpContent>? Content { get; init; }

    /// <summary>Further scopes that a token must have: the source of a mount.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>False where the caller repeats what fails in its own way.</summary>
    public bool Persistent { get; init; } = true;
}
