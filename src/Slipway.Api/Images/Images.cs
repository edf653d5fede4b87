using System.Text.Json.Serialization;
using Slipway.Api.Containers;

namespace Slipway.Api.Images;

/// <summary>An item of GET /images/json.</summary>
public sealed record ImageSummary
{
    public required string Id { get; set; }

    public string ParentId { get; set; } = "";

    public List<string> RepoTags { get; set; } = [];

    public List<string> RepoDigests { get; set; } = [];

    /// <summary>Seconds since 1970.</summary>
    public long Created { get; set; }

    /// <summary>Bytes of all layers, unpacked.</summary>
    public long Size { get; set; }

    public long SharedSize { get; set; } = -1;

    public Dictionary<string, string>? Labels { get; set; }

    public long Containers { get; set; } = -1;
}

/// <summary>GET /images/{name}/json.</summary>
public sealed record ImageInspect
{
    public required string Id { get; set; }

    public List<string> RepoTags { get; set; } = [];

    public List<string> RepoDigests { get; set; } = [];

    public string Parent { get; set; } = "";

    public string Comment { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Created { get; set; }

    public string DockerVersion { get; set; } = "";

    public string Author { get; set; } = "";

    public ContainerConfig? Config { get; set; }

    public string Architecture { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Variant { get; set; }

    public string Os { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? OsVersion { get; set; }

    public long Size { get; set; }

    public GraphDriverData GraphDriver { get; set; } = new();

    public RootFS RootFS { get; set; } = new();

    public ImageMetadata Metadata { get; set; } = new();
}

public sealed record RootFS
{
    public string Type { get; set; } = "layers";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public List<string>? Layers { get; set; }
}

public sealed record ImageMetadata
{
    public string LastTagTime { get; set; } = Rfc3339.Zero;
}

/// <summary>An item of GET /images/{name}/history.</summary>
public sealed record ImageHistoryItem
{
    public string Id { get; set; } = "";

    public long Created { get; set; }

    public string CreatedBy { get; set; } = "";

    public List<string>? Tags { get; set; }

    public long Size { get; set; }

    public string Comment { get; set; } = "";
}

/// <summary>An item of DELETE /images/{name}: one of the two is set.</summary>
public sealed record ImageDeleteItem
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Untagged { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Deleted { get; set; }
}

/// <summary>A line of the JSON stream that load, import, pull and push answer with.</summary>
public sealed record ProgressMessage
{
    [JsonPropertyName("stream")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Stream { get; set; }

    [JsonPropertyName("status")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Status { get; set; }

    [JsonPropertyName("progressDetail")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ProgressDetail? ProgressDetail { get; set; }

    [JsonPropertyName("progress")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Progress { get; set; }

    [JsonPropertyName("id")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; set; }

    [JsonPropertyName("errorDetail")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ErrorResponse? ErrorDetail { get; set; }

    [JsonPropertyName("error")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Error { get; set; }

    [JsonPropertyName("aux")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PushedImage? Aux { get; set; }
}

/// <summary>What a push put under a tag, for programs.</summary>
/// <param name="Size">Bytes of the manifest.</param>
public sealed record PushedImage(string Tag, string Digest, long Size);

/// <summary>Bytes.</summary>
public sealed record ProgressDetail
{
    [JsonPropertyName("current")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Current { get; set; }

    [JsonPropertyName("total")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Total { get; set; }
}
