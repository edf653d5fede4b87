using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Registry.Server;

/// <summary>What a registry is told by its configuration file and by flags. Durations are written as <c>90s</c>, <c>30m</c>, <c>24h</c>, <c>7d</c>.</summary>
/// <remarks>Members with a default are settable: the JSON reader would give one that is not in the file the default of its type instead.</remarks>
public sealed record RegistryServerConfiguration
{
    /// <summary>Addresses: <c>127.0.0.1:5000</c>, <c>:5000</c>.</summary>
    [JsonPropertyName("listen")]
    public IReadOnlyList<string>? Listen { get; init; }

    /// <summary>The directory that holds everything.</summary>
    [JsonPropertyName("root")]
    public string? Root { get; init; }

    [JsonPropertyName("readOnly")]
    public bool ReadOnly { get; init; }

    [JsonPropertyName("tls")]
    public TlsConfiguration? Tls { get; init; }

    [JsonPropertyName("auth")]
    public AuthConfiguration? Auth { get; init; }

    [JsonPropertyName("uploads")]
    public UploadConfiguration Uploads { get; set; } = new();

    [JsonPropertyName("gc")]
    public CollectionConfiguration Collection { get; set; } = new();

    [JsonPropertyName("cache")]
    public CacheConfiguration? Cache { get; init; }

    [JsonPropertyName("metrics")]
    public MetricsConfiguration Metrics { get; set; } = new();

    /// <summary>Whether each request is logged to standard output.</summary>
    [JsonPropertyName("accessLog")]
    public bool AccessLog { get; set; } = true;

    /// <summary>Whether the web page is there.</summary>
    [JsonPropertyName("page")]
    public bool Page { get; set; } = true;

    /// <summary>Megabytes of memory for manifests.</summary>
    [JsonPropertyName("manifestCacheMegabytes")]
    public int ManifestCacheMegabytes { get; set; } = 32;

    /// <summary>Reads a file; an unknown key is an error that names it.</summary>
    /// <exception cref="RegistryConfigurationException">It cannot be read or understood.</exception>
    public static RegistryServerConfiguration Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), RegistryServerConfigurationJson.Default.RegistryServerConfiguration) ?? new RegistryServerConfiguration();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new RegistryConfigurationException($"configuration file {path}: {e.Message}", e);
        }
    }
}

public sealed record TlsConfiguration
{
    /// <summary>PEM file with the certificate and those that lead to its root.</summary>
    [JsonPropertyName("certificate")]
    public required string Certificate { get; init; }

    /// <summary>PEM file with the private key.</summary>
    [JsonPropertyName("key")]
    public required string Key { get; init; }

    /// <summary>PEM file with authorities; a client must show a certificate of one of them.</summary>
    [JsonPropertyName("clientCa")]
    public string? ClientCa { get; init; }
}

public sealed record AuthConfiguration
{
    /// <summary>File of users with bcrypt hashes (<c>htpasswd -B</c>); read again when it changes.</summary>
    [JsonPropertyName("htpasswd")]
    public string? Htpasswd { get; init; }

    /// <summary>The name shown where a browser asks for a password.</summary>
    [JsonPropertyName("realm")]
    public string Realm { get; set; } = "Slipway registry";

    [JsonPropertyName("token")]
    public TokenConfiguration? Token { get; init; }

    /// <summary>Who may do what; rights of all that fit are added up. Without any: everybody who has logged in may do everything.</summary>
    [JsonPropertyName("rules")]
    public IReadOnlyList<AccessRule>? Rules { get; init; }

    /// <summary>Users who may collect garbage, see the metrics and all repositories' names.</summary>
    [JsonPropertyName("administrators")]
    public IReadOnlyList<string> Administrators { get; set; } = [];
}

public sealed record AccessRule
{
    /// <summary>A repository's name; <c>*</c> stands for any characters but a slash, <c>**</c> for any.</summary>
    [JsonPropertyName("repositories")]
    public required string Repositories { get; init; }

    /// <summary>Names; <c>$anonymous</c>: everybody; <c>$authenticated</c>: everybody who has logged in.</summary>
    [JsonPropertyName("users")]
    public required IReadOnlyList<string> Users { get; init; }

    /// <summary><c>pull</c>, <c>push</c>, <c>delete</c>, or <c>*</c> for all.</summary>
    [JsonPropertyName("actions")]
    public required IReadOnlyList<string> Actions { get; init; }
}

public sealed record TokenConfiguration
{
    /// <summary>Where clients fetch tokens; null: from this registry's own <c>/token</c>, with the users of the htpasswd file.</summary>
    [JsonPropertyName("realm")]
    public string? Realm { get; init; }

    /// <summary>The name of this registry in tokens (claim <c>aud</c>).</summary>
    [JsonPropertyName("service")]
    public string Service { get; set; } = "slipway-registry";

    /// <summary>The name of who makes the tokens (claim <c>iss</c>).</summary>
    [JsonPropertyName("issuer")]
    public string Issuer { get; set; } = "slipway-registry";

    /// <summary>PEM files with certificates or public keys; a token is valid that one of these keys has signed.</summary>
    [JsonPropertyName("trustedKeys")]
    public IReadOnlyList<string> TrustedKeys { get; set; } = [];

    /// <summary>How long own tokens are valid.</summary>
    [JsonPropertyName("lifetime")]
    public string Lifetime { get; set; } = "5m";
}

public sealed record UploadConfiguration
{
    /// <summary>An upload that nobody continues is removed after this time.</summary>
    [JsonPropertyName("expiry")]
    public string Expiry { get; set; } = "24h";
}

public sealed record CollectionConfiguration
{
    /// <summary>How often garbage is collected; <c>0</c>: only when asked.</summary>
    [JsonPropertyName("interval")]
    public string Interval { get; set; } = "24h";

    /// <summary>A blob that no manifest needs is kept for this time after its last use: pushes send blobs first.</summary>
    [JsonPropertyName("grace")]
    public string Grace { get; set; } = "1h";

    /// <summary>Whether manifests are removed that no tag leads to.</summary>
    [JsonPropertyName("untagged")]
    public bool Untagged { get; init; }
}

/// <summary>Makes the registry a cache of another one; nothing can be pushed to it.</summary>
public sealed record CacheConfiguration
{
    /// <summary>The other registry: <c>docker.io</c>, <c>registry.example:5000</c>.</summary>
    [JsonPropertyName("upstream")]
    public required string Upstream { get; init; }

    [JsonPropertyName("username")]
    public string Username { get; set; } = "";

    /// <summary>File whose first line is the password.</summary>
    [JsonPropertyName("passwordFile")]
    public string? PasswordFile { get; init; }

    /// <summary>How long a tag is believed before the other registry is asked again.</summary>
    [JsonPropertyName("tagLifetime")]
    public string TagLifetime { get; set; } = "1m";

    /// <summary>Whether the other registry may be spoken to without TLS, or with a certificate that is not verified.</summary>
    [JsonPropertyName("insecure")]
    public bool Insecure { get; init; }

    /// <summary>PEM file with authorities to trust for the other registry besides the system's.</summary>
    [JsonPropertyName("ca")]
    public string? CertificateAuthority { get; init; }

    /// <summary>Hosts, besides the other registry's own domain, that its credentials may be sent to for a token (CVE-2026-33540).</summary>
    [JsonPropertyName("tokenRealms")]
    public IReadOnlyList<string> TokenRealms { get; set; } = [];
}

public sealed record MetricsConfiguration
{
    /// <summary>An address of its own; null: <c>/metrics</c> of the registry, for administrators.</summary>
    [JsonPropertyName("listen")]
    public string? Listen { get; init; }
}

[JsonSourceGenerationOptions(
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false, RespectNullableAnnotations = true, ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true)]
[JsonSerializable(typeof(RegistryServerConfiguration))]
internal sealed partial class RegistryServerConfigurationJson : JsonSerializerContext;
