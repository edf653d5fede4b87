using System.Net;

namespace Slipway.Registry.Distribution;

/// <summary>How registries are reached: what dockerd's daemon.json says about them, and what it cannot say (docs/registries.md).</summary>
public sealed record RegistryConfiguration
{
    /// <summary>Loopback registries speak plain HTTP if they do not speak TLS, as with dockerd.</summary>
    private static readonly IPNetwork[] Loopback = [IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")];

    /// <summary><c>registry-mirrors</c>: base addresses that are asked before docker.io.</summary>
    public IReadOnlyList<string> Mirrors { get; init; } = [];

    /// <summary><c>insecure-registries</c>: <c>host[:port]</c> or a network in CIDR form. TLS is tried without verification, then plain HTTP.</summary>
    public IReadOnlyList<string> InsecureRegistries { get; init; } = [];

    /// <summary><c>registries</c>: settings of single registries, by the host (and port) that image names have.</summary>
    public IReadOnlyDictionary<string, RegistrySettings> Registries { get; init; } = new Dictionary<string, RegistrySettings>();

    /// <summary>Where <c>HOST[:PORT]/{*.crt,*.cert,*.key}</c> are looked for.</summary>
    public IReadOnlyList<string> CertificateDirectories { get; init; } = ["/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/slipway/certs.d"];

    public ProxySettings Proxies { get; init; } = ProxySettings.None;

    public RetrySettings Retry { get; init; } = new();

    /// <summary>Sent as User-Agent.</summary>
    public string UserAgent { get; init; } = "slipway/0.1.0";

    /// <summary>The networks among <see cref="InsecureRegistries"/>, and loopback.</summary>
    internal IReadOnlyList<IPNetwork> InsecureNetworks =>
        [.. Loopback, .. InsecureRegistries.Where(entry => entry.Contains('/', StringComparison.Ordinal)).Select(IPNetwork.Parse)];

    /// <exception cref="FormatException">A value that cannot be meant; the text names it and is Docker's where Docker has one.</exception>
    public void Validate()
    {
        foreach (var mirror in Mirrors.Concat(Registries.Values.SelectMany(settings => settings.Mirrors)))
        {
            ValidateMirror(mirror);
        }

        foreach (var entry in InsecureRegistries)
        {
            var valid = entry.Contains('/', StringComparison.Ordinal)
                ? IPNetwork.TryParse(entry, out _)
                : Uri.TryCreate($"https://{entry}/", UriKind.Absolute, out var uri) && uri.UserInfo.Length == 0 && uri.AbsolutePath == "/";
            if (!valid)
            {
                throw new FormatException($"insecure registry {entry} is not valid: it must be host[:port] or a network such as 10.0.0.0/8");
            }
        }
    }

    private static void ValidateMirror(string mirror)
    {
        if (!Uri.TryCreate(mirror, UriKind.Absolute, out var uri))
        {
            throw new FormatException($"invalid mirror: \"{mirror}\" is not a valid URI");
        }

        if (uri.Scheme is not ("http" or "https"))
        {
            throw new FormatException($"invalid mirror: unsupported scheme \"{uri.Scheme}\" in \"{mirror}\"");
        }

        if (uri.UserInfo.Length > 0)
        {
            throw new FormatException($"invalid mirror: username/password not allowed in URI \"{uri.Scheme}://xxxxx@{uri.Authority}/\"");
        }

        if (uri.Query.Length > 0 || uri.Fragment.Length > 0)
        {
            throw new FormatException($"invalid mirror: query or fragment at end of the URI \"{mirror}\"");
        }
    }
}

/// <summary>Settings of one registry.</summary>
public sealed record RegistrySettings
{
    /// <summary><c>mirrors</c>: base addresses asked before the registry.</summary>
    public IReadOnlyList<string> Mirrors { get; init; } = [];

    /// <summary><c>insecure</c>: as if the registry stood in <c>insecure-registries</c>.</summary>
    public bool Insecure { get; init; }

    /// <summary><c>ca</c>: a file with certificates (PEM) of authorities to trust for this registry besides the system's.</summary>
    public string? CertificateAuthority { get; init; }

    /// <summary><c>token-realms</c>: hosts, besides the registry's own domain, that credentials may be sent to for a token.</summary>
    public IReadOnlyList<string> TokenRealms { get; init; } = [];
}

/// <summary>How long and how often a registry is tried.</summary>
public sealed record RetrySettings
{
    /// <summary>Attempts without any progress, the first included.</summary>
    public int Attempts { get; init; } = 5;

    /// <summary>The wait before the second attempt, at the most; it doubles with each attempt, and a random part of it is taken.</summary>
    public TimeSpan FirstDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A registry that wants a longer wait (Retry-After) is not waited for.</summary>
    public TimeSpan LongestRetryAfter { get; init; } = TimeSpan.FromSeconds(60);

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>From the end of a request to the start of its answer.</summary>
    public TimeSpan AnswerTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The same where something was pushed: the registry hashes and stores it meanwhile.</summary>
    public TimeSpan PushTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A body that stands still for so long counts as a broken connection.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);
}
