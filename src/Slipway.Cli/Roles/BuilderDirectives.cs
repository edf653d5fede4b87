using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Cli.Options;

namespace Slipway.Cli.Roles;

/// <summary>What the daemon is told about building (<c>builder</c>).</summary>
internal sealed record BuilderDirectives
{
    [JsonPropertyName("gc")]
    public CacheLimitDirectives? Limits { get; init; }

    /// <summary>Accepted: what a build may ask for is the socket's policy to say.</summary>
    [JsonPropertyName("entitlements")]
    public JsonElement? Entitlements { get; init; }

    [JsonPropertyName("history")]
    public JsonElement? History { get; init; }

    /// <summary>Bytes the build cache may have; null: a share of the disk.</summary>
    /// <exception cref="CommandException">A size cannot be read.</exception>
    public static long? CacheLimit(BuilderDirectives? builder) => builder?.Limits switch
    {
        null => null,
        { IsEnabled: false } => long.MaxValue,
        { MaxUsedSpace: { } space } => Quantities.Bytes(space),
        { KeepStorage: { } kept } => Quantities.Bytes(kept),
        _ => null,
    };
}

/// <summary>How much of the build cache stays (<c>builder.gc</c>).</summary>
internal sealed record CacheLimitDirectives
{
    [JsonPropertyName("enabled")]
    public bool? IsEnabled { get; init; }

    /// <summary>A size with a unit; as dockerd named it before 28.</summary>
    [JsonPropertyName("defaultKeepStorage")]
    public string? KeepStorage { get; init; }

    /// <summary>A size with a unit.</summary>
    [JsonPropertyName("defaultMaxUsedSpace")]
    public string? MaxUsedSpace { get; init; }

    /// <summary>Accepted: one limit is for all kinds of records.</summary>
    [JsonPropertyName("policy")]
    public JsonElement? Policy { get; init; }
}
