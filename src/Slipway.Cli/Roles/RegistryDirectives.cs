using System.Text.Json.Serialization;
using Slipway.Engine;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;

namespace Slipway.Cli.Roles;

/// <summary>What the daemon is told about proxies (<c>proxies</c>). Null: the environment decides.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ProxyDirectives
{
    [JsonPropertyName("http-proxy")]
    public string? Http { get; init; }

    [JsonPropertyName("https-proxy")]
    public string? Https { get; init; }

    [JsonPropertyName("no-proxy")]
    public string? Exceptions { get; init; }
}

/// <summary>Who this engine is to engines it shares layers with (<c>layer-tls</c>): PEM files.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record PeerTlsDirectives
{
    /// <summary>Authorities that certify the engines.</summary>
    [JsonPropertyName("ca")]
    public required string CertificateAuthority { get; init; }

    [JsonPropertyName("cert")]
    public required string Certificate { get; init; }

    [JsonPropertyName("key")]
    public required string Key { get; init; }
}

/// <summary>A runtime beside our own (<c>runtimes</c>).</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RuntimeDirectives
{
    [JsonPropertyName("path")]
    public string? Path { get; init; }

    [JsonPropertyName("runtimeArgs")]
    public List<string>? Arguments { get; init; }

    /// <summary>A shim of containerd: what it names Slipway does not have.</summary>
    [JsonPropertyName("runtimeType")]
    public string? Type { get; init; }

    [JsonPropertyName("options")]
    public System.Text.Json.JsonElement? Options { get; init; }

    /// <summary>The values of <c>--add-runtime</c>.</summary>
    /// <exception cref="CommandException">One is no NAME=PATH.</exception>
    public static Dictionary<string, RuntimeDirectives> Parse(IEnumerable<string> values)
    {
        Dictionary<string, RuntimeDirectives> runtimes = [];
        foreach (string value in values)
        {
            int equals = value.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? "" : value[..equals].Trim();
            string path = equals < 0 ? "" : value[(equals + 1)..].Trim();
            if (name.Length == 0 || path.Length == 0)
            {
                throw new CommandException($"invalid runtime argument: {value}", 1);
            }

            if (!runtimes.TryAdd(name, new RuntimeDirectives { Path = path }))
            {
                throw new CommandException($"runtime '{name}' was already defined", 1);
            }
        }

        return runtimes;
    }
}

/// <summary>Settings of one registry (<c>registries</c>), which dockerd does not have.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RegistryDirectives
{
    /// <summary>Base addresses that are asked before the registry.</summary>
    [JsonPropertyName("mirrors")]
    public List<string>? Mirrors { get; init; }

    /// <summary>As if it stood in <c>insecure-registries</c>.</summary>
    [JsonPropertyName("insecure")]
    public bool Insecure { get; init; }

    /// <summary>A file with certificates of authorities to trust besides the system's.</summary>
    [JsonPropertyName("ca")]
    public string? CertificateAuthority { get; init; }

    /// <summary>Hosts besides the registry's own domain that credentials may be sent to for a token.</summary>
    [JsonPropertyName("token-realms")]
    public List<string>? TokenRealms { get; init; }

    /// <summary>Makes of all directives about registries what the engine takes.</summary>
    /// <exception cref="CommandException">A value that cannot be meant.</exception>
    public static EngineOptions Apply(DaemonConfiguration configuration, EngineOptions options)
    {
        RetrySettings retry = new();
        try
        {
            RegistryConfiguration registries = new()
            {
                Mirrors = configuration.RegistryMirrors ?? [],
                InsecureRegistries = configuration.InsecureRegistries ?? [],
                Registries = (configuration.Registries ?? []).ToDictionary(registry => registry.Key, registry => registry.Value.Settings()),
                Proxies = ProxySettings.FromEnvironment(configuration.Proxies?.Http, configuration.Proxies?.Https, configuration.Proxies?.Exceptions),
                Retry = retry with { Attempts = Count(configuration.MaxDownloadAttempts, "max download attempts", lowest: 1) ?? retry.Attempts },
            };
            registries.Validate();
            PeerConfiguration peers = new()
            {
                Peers = configuration.LayerPeers ?? [],
                Listen = configuration.LayerShare,
                Tls = configuration.LayerTls is { } tls
                    ? new PeerTls { CertificateAuthority = tls.CertificateAuthority, Certificate = tls.Certificate, Key = tls.Key }
                    : null,
            };
            peers.Validate();
            return options with
            {
                Registries = registries,
                Peers = peers,
                MaxConcurrentDownloads = Count(configuration.MaxConcurrentDownloads, "max concurrent downloads", lowest: 0) ?? options.MaxConcurrentDownloads,
                MaxConcurrentUploads = Count(configuration.MaxConcurrentUploads, "max concurrent uploads", lowest: 0) ?? options.MaxConcurrentUploads,
                HttpProxy = configuration.Proxies?.Http,
                HttpsProxy = configuration.Proxies?.Https,
                NoProxy = configuration.Proxies?.Exceptions,
            };
        }
        catch (FormatException exception)
        {
            throw new CommandException(exception.Message, 1);
        }
    }

    /// <summary>Null for the default, which 0 stands for too where it is allowed.</summary>
    private static int? Count(int? value, string name, int lowest) =>
        value < lowest ? throw new FormatException($"invalid {name}: {value}") : value == 0 ? null : value;

    private RegistrySettings Settings() => new()
    {
        Mirrors = Mirrors ?? [],
        Insecure = Insecure,
        CertificateAuthority = CertificateAuthority,
        TokenRealms = TokenRealms ?? [],
    };
}
