using Slipway.Server.Authorization;

namespace Slipway.Server.Http;

/// <summary>Answers a request. What it throws becomes the answer (<see cref="Errors"/>).</summary>
internal delegate Task EndpointHandler(ApiRequest request);

internal enum RouteState
{
    Built,

    /// <summary>503: as an engine answers that is not part of a swarm.</summary>
    Swarm,
}

/// <summary>An operation of the API.</summary>
/// <param name="Path">
/// Without version. A name in braces stands for one or more characters, slashes included: image names have them. A second one may be the last segment, without slashes.
/// </param>
internal sealed record Route(string Method, string Path, RouteState State, EndpointHandler Handler)
{
    private readonly int _open = Path.IndexOf('{', StringComparison.Ordinal);
    private readonly int _close = Path.IndexOf('}', StringComparison.Ordinal);

    /// <summary>Where the second parameter begins; as long as the path where there is none.</summary>
    private readonly int _last = Path.Count(c => c == '{') > 1 ? Path.LastIndexOf('{') : Path.Length;

    /// <summary>Its name in policies and in the audit log.</summary>
    public string Verb { get; } = Verbs.Of(Method, Path);

    public bool HasParameter => _open >= 0;

    /// <summary>What has to stand after the parameter.</summary>
    public string Suffix => Path[(_close + 1)..];

    public string Prefix => HasParameter ? Path[.._open] : Path;

    /// <summary>The parameter's value where <paramref name="path"/> fits, else null; empty where there is no parameter.</summary>
    public string? Match(string path)
    {
        if (!HasParameter)
        {
            return path == Path ? "" : null;
        }

        int end = _last == Path.Length ? path.Length : path.LastIndexOf('/') + 1;
        if (_last < Path.Length && end == path.Length)
        {
            return null;
        }

        ReadOnlySpan<char> suffix = Path.AsSpan((_close + 1)..Math.Max(_close + 1, _last));
        int length = end - _open - suffix.Length;
        return length > 0
            && path.AsSpan().StartsWith(Path.AsSpan(0, _open), StringComparison.Ordinal)
            && path.AsSpan(0, end).EndsWith(suffix, StringComparison.Ordinal)
                ? path.Substring(_open, length)
                : null;
    }
}
