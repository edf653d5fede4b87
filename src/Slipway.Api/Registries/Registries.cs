using System.Text.Json.Serialization;

namespace Slipway.Api.Registries;

/// <summary>The body of POST /auth, and what X-Registry-Auth carries in base64.</summary>
public sealed record AuthConfig
{
    [JsonPropertyName("username")]
    public string? Username { get; set; }

    [JsonPropertyName("password")]
    public string? Password { get; set; }

    [JsonPropertyName("serveraddress")]
    public string? ServerAddress { get; set; }

    /// <summary>An OAuth2 refresh token.</summary>
    [JsonPropertyName("identitytoken")]
    public string? IdentityToken { get; set; }

    /// <summary>A bearer token.</summary>
    [JsonPropertyName("registrytoken")]
    public string? RegistryToken { get; set; }

    /// <summary>Without the secrets: a record's own text would show them.</summary>
    public override string ToString() => $"credentials for {ServerAddress}";
}

/// <summary>The answer of POST /auth.</summary>
public sealed record LoginAnswer
{
    public string IdentityToken { get; set; } = "";

    public string Status { get; set; } = "";
}

/// <summary>GET /distribution/{name}/json.</summary>
public sealed record DistributionInspect
{
    public required DistributionDescriptor Descriptor { get; set; }

    public List<DistributionPlatform> Platforms { get; set; } = [];
}

public sealed record DistributionDescriptor
{
    [JsonPropertyName("mediaType")]
    public string MediaType { get; set; } = "";

    [JsonPropertyName("digest")]
    public string Digest { get; set; } = "";

    [JsonPropertyName("size")]
    public long Size { get; set; }
}

public sealed record DistributionPlatform
{
    [JsonPropertyName("architecture")]
    public string Architecture { get; set; } = "";

    [JsonPropertyName("os")]
    public string Os { get; set; } = "";

    [JsonPropertyName("os.version")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? OsVersion { get; set; }

    [JsonPropertyName("os.features")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public List<string>? OsFeatures { get; set; }

    [JsonPropertyName("variant")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Variant { get; set; }
}

/// <summary>An item of GET /images/search, as the index answers it too.</summary>
public sealed record SearchResult
{
    [JsonPropertyName("star_count")]
    public int StarCount { get; set; }

    [JsonPropertyName("is_official")]
    public bool IsOfficial { get; set; }

    [JsonPropertyName("name")]
    public string Name { get; set; } = "";

    [JsonPropertyName("is_automated")]
    public bool IsAutomated { get; set; }

    [JsonPropertyName("description")]
    public string? Description { get; set; } = "";
}

/// <summary>The index's answer to a search.</summary>
public sealed record SearchResults
{
    [JsonPropertyName("results")]
    public List<SearchResult>? Results { get; set; }
}
