using System.Text.Json.Serialization;
using Slipway.Oci;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>What BuildKit calls a cache configuration: which steps there were, and which layers they left.</summary>
internal sealed record CacheDocument
{
    public const string MediaType = "application/vnd.buildkit.cacheconfig.v0";

    [JsonPropertyName("layers")]
    public IReadOnlyList<CacheLayer>? Layers { get; init; }

    [JsonPropertyName("records")]
    public IReadOnlyList<CacheRecord>? Records { get; init; }
}

/// <summary>A layer, upon another.</summary>
internal sealed record CacheLayer
{
    [JsonPropertyName("blob")]
    public Digest Blob { get; init; }

    /// <summary>Index of the layer below; -1: none. BuildKit leaves a zero out.</summary>
    [JsonPropertyName("parent")]
    public int Parent { get; init; }

    [JsonPropertyName("annotations")]
    public CacheLayerAnnotations? Annotations { get; init; }
}

internal sealed record CacheLayerAnnotations
{
    [JsonPropertyName("mediaType")]
    public string? MediaType { get; init; }

    [JsonPropertyName("diffID")]
    public Digest DiffId { get; init; }

    /// <summary>Bytes of the blob.</summary>
    [JsonPropertyName("size")]
    public long Size { get; init; }

    [JsonPropertyName("createdAt")]
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A step by its key.</summary>
internal sealed record CacheRecord
{
    [JsonPropertyName("layers")]
    public IReadOnlyList<CacheResult>? Results { get; init; }

    [JsonPropertyName("digest")]
    public Digest Digest { get; init; }

    /// <summary>The steps before, by their indexes.</summary>
    [JsonPropertyName("inputs")]
    public IReadOnlyList<IReadOnlyList<CacheInput>>? Inputs { get; init; }
}

/// <summary>What a step left: a layer with all below it.</summary>
internal sealed record CacheResult
{
    [JsonPropertyName("layer")]
    public int Layer { get; init; }

    [JsonPropertyName("createdAt")]
    public DateTimeOffset CreatedAt { get; init; }
}

internal sealed record CacheInput
{
    [JsonPropertyName("selector")]
    public string? Selector { get; init; }

    [JsonPropertyName("link")]
    public int Link { get; init; }
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 16)]
[JsonSerializable(typeof(CacheDocument))]
[JsonSerializable(typeof(IReadOnlyList<CacheRecord>))]
internal sealed partial class CacheJson : JsonSerializerContext;
