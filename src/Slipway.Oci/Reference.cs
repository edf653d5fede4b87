namespace Slipway.Oci;

/// <summary>
/// The name of an image: <c>[domain/]path[:tag][@digest]</c> (the grammar of the distribution project's reference
/// package, with Docker's defaults: domain docker.io, path prefix library/). Texts of errors are Docker's.
/// </summary>
public sealed record Reference
{
    public const string DefaultDomain = "docker.io";
    public const string DefaultTag = "latest";

    private const string LegacyDefaultDomain = "index.docker.io";
    private const string OfficialPrefix = "library/";
    private const int MaxPathLength = 255;
    private const int MaxTagLength = 128;

    private Reference(string domain, string path, string? tag, Digest digest) => (Domain, Path, Tag, Digest) = (domain, path, tag, digest);

    /// <summary>Registry host, with a port where one was given.</summary>
    public string Domain { get; }

    /// <summary>Repository in the registry, <c>library/alpine</c>.</summary>
    public string Path { get; }

    public string? Tag { get; private init; }

    /// <summary>None where the name has no digest.</summary>
    public Digest Digest { get; private init; }

    /// <summary>Whether neither tag nor digest was given.</summary>
    public bool IsNameOnly => Tag is null && Digest.IsNone;

    /// <summary>The full name without tag and digest, <c>docker.io/library/alpine</c>.</summary>
    public string Name => $"{Domain}/{Path}";

    /// <summary>The short name without tag and digest, <c>alpine</c>.</summary>
    public string FamiliarName =>
        Domain != DefaultDomain ? Name
        : Path.StartsWith(OfficialPrefix, StringComparison.Ordinal) && Path.IndexOf('/', OfficialPrefix.Length) < 0 ? Path[OfficialPrefix.Length..]
        : Path;

    /// <summary>As users write it: <c>alpine:3.20</c>.</summary>
    public string Familiar => FamiliarName + Suffix;

    private string Suffix => (Tag is null ? "" : ":" + Tag) + (Digest.IsNone ? "" : "@" + Digest);

    /// <summary>Reads a name as a user writes it.</summary>
    /// <exception cref="OciException"><c>invalid reference format</c> and its kin.</exception>
    public static Reference Parse(string text)
    {
        if (text.Length == 64 && Digest.IsLowerHex(text))
        {
            throw new OciException($"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings");
        }

        var (domain, remainder) = SplitDomain(text);
        var name = remainder;
        var digest = default(Digest);
        var at = name.IndexOf('@', StringComparison.Ordinal);
        var digestText = at < 0 ? null : name[(at + 1)..];
        name = at < 0 ? name : name[..at];
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        var tag = colon < 0 ? null : name[(colon + 1)..];
        name = colon < 0 ? name : name[..colon];

        if (name.Any(char.IsUpper))
        {
            throw new OciException($"invalid reference format: repository name ({name}) must be lowercase");
        }

        if (!IsDomain(domain) || !IsPath(name) || (tag is not null && !IsTag(tag)) || (digestText is not null && !IsDigestShaped(digestText)))
        {
            throw new OciException("invalid reference format");
        }

        if (name.Length > MaxPathLength)
        {
            throw new OciException($"repository name must not be more than {MaxPathLength} characters");
        }

        if (digestText is not null)
        {
            digest = Digest.Parse(digestText);
        }

        return new Reference(domain, name, tag, digest);
    }

    /// <summary>As <see cref="Parse"/>, false where the text is no name.</summary>
    public static bool TryParse(string text, out Reference? reference)
    {
        try
        {
            reference = Parse(text);
            return true;
        }
        catch (OciException)
        {
            reference = null;
            return false;
        }
    }

    /// <summary>The same name with <c>latest</c> where neither tag nor digest was given.</summary>
    public Reference WithDefaultTag() => IsNameOnly ? this with { Tag = DefaultTag } : this;

    /// <summary>The same repository with another tag and no digest.</summary>
    /// <exception cref="OciException">No valid tag.</exception>
    public Reference WithTag(string tag) => IsTag(tag) ? this with { Tag = tag, Digest = default } : throw new OciException("invalid tag format");

    /// <summary>The same repository by digest alone.</summary>
    public Reference WithDigest(Digest digest) => this with { Tag = null, Digest = digest };

    /// <summary>The full form: <c>docker.io/library/alpine:3.20</c>.</summary>
    public override string ToString() => Name + Suffix;

    /// <summary><c>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}</c>.</summary>
    public static bool IsTag(string text) =>
        text.Length is > 0 and <= MaxTagLength && text[0] is not ('.' or '-') && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');

    /// <summary>What stands before the first slash is a domain only where it looks like one: a dot, a port, capitals, or localhost.</summary>
    private static (string Domain, string Remainder) SplitDomain(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var first = slash < 0 ? "" : text[..slash];
        var hasDomain = slash >= 0 && (first.AsSpan().ContainsAny('.', ':') || first == "localhost" || first.Any(char.IsUpper));
        var domain = !hasDomain || first == LegacyDefaultDomain ? DefaultDomain : first;
        var remainder = hasDomain ? text[(slash + 1)..] : text;
        return (domain, domain == DefaultDomain && !remainder.Contains('/', StringComparison.Ordinal) ? OfficialPrefix + remainder : remainder);
    }

    /// <summary>Host name labels, or an IPv6 address in brackets; then an optional port.</summary>
    private static bool IsDomain(string text)
    {
        string host;
        string? port;
        if (text.StartsWith('['))
        {
            var end = text.IndexOf(']', StringComparison.Ordinal);
            if (end < 2 || text[1..end].Any(c => !char.IsAsciiHexDigit(c) && c != ':'))
            {
                return false;
            }

            if (end == text.Length - 1)
            {
                return true;
            }

            return text[end + 1] == ':' && IsPort(text.AsSpan(end + 2));
        }

        var colon = text.IndexOf(':', StringComparison.Ordinal);
        (host, port) = colon < 0 ? (text, null) : (text[..colon], text[(colon + 1)..]);
        return (port is null || IsPort(port)) && host.Split('.').All(IsDomainLabel);
    }

    private static bool IsPort(ReadOnlySpan<char> text) => text.Length > 0 && !text.ContainsAnyExceptInRange('0', '9');

    private static bool IsDomainLabel(string label) =>
        label.Length > 0 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');

    /// <summary>The grammar of a repository in its registry, <c>library/alpine</c>, but for its length.</summary>
    public static bool IsPath(string text) => text.Split('/').All(IsPathComponent);

    /// <summary>Letters and digits, joined by one dot, one or two underscores, or any number of dashes.</summary>
    private static bool IsPathComponent(string text)
    {
        var i = 0;
        while (true)
        {
            var start = i;
            while (i < text.Length && (char.IsAsciiLetterLower(text[i]) || char.IsAsciiDigit(text[i])))
            {
                i++;
            }

            if (i == start)
            {
                return false;
            }

            if (i == text.Length)
            {
                return true;
            }

            var separator = text[i];
            var from = i;
            while (i < text.Length && text[i] == separator)
            {
                i++;
            }

            var fits = (separator, i - from) switch
            {
                ('.', 1) or ('_', 1 or 2) or ('-', _) => true,
                _ => false,
            };
            if (!fits)
            {
                return false;
            }
        }
    }

    /// <summary>The grammar of digests: an algorithm with separators, and at least 32 hexadecimal digits.</summary>
    private static bool IsDigestShaped(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon > 0
            && text.AsSpan(0, colon).IndexOfAnyExcept(AlgorithmCharacters) < 0
            && text.Length - colon - 1 >= 32
            && text.AsSpan(colon + 1).IndexOfAnyExcept(HexCharacters) < 0;
    }

    private static readonly System.Buffers.SearchValues<char> AlgorithmCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+._-");

    private static readonly System.Buffers.SearchValues<char> HexCharacters = System.Buffers.SearchValues.Create("0123456789abcdefABCDEF");
}
