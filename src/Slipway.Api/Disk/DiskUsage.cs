using System.Text.Json.Serialization;
using Slipway.Api.Containers;
using Slipway.Api.Images;

namespace Slipway.Api.Disk;

/// <summary>GET /system/df. What was not asked for is null.</summary>
public sealed record DiskUsage
{
    /// <summary>Bytes on the disk of all images together: layers, blobs, and what the engine knows of them.</summary>
    public long LayersSize { get; set; }

    public List<ImageSummary>? Images { get; set; }

    public List<ContainerSummary>? Containers { get; set; }

    public List<Volume>? Volumes { get; set; }

    public List<BuildCacheItem>? BuildCache { get; set; }
}

/// <summary>A volume, as GET /volumes shows it.</summary>
public sealed record Volume
{
    public string CreatedAt { get; set; } = "";

    public string Driver { get; set; } = "local";

    public Dictionary<string, string>? Labels { get; set; }

    public string Mountpoint { get; set; } = "";

    public required string Name { get; set; }

    public Dictionary<string, string>? Options { get; set; }

    public string Scope { get; set; } = "local";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public VolumeUsage? UsageData { get; set; }

    /// <summary>Distinguishes it from another of its name, before or after it; of no meaning beyond the engine's run, and no part of the API.</summary>
    [JsonIgnore]
    public long Incarnation { get; init; }
}

/// <param name="Size">Bytes on the disk.</param>
/// <param name="RefCount">Containers that mount the volume.</param>
public sealed record VolumeUsage(long Size, long RefCount);

/// <summary>A step that a build has kept.</summary>
public sealed record BuildCacheItem
{
    public string ID { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public List<string>? Parents { get; set; }

    public string Type { get; set; } = "";

    public string Description { get; set; } = "";

    public bool InUse { get; set; }

    public bool Shared { get; set; }

    /// <summary>Bytes on the disk.</summary>
    public long Size { get; set; }

    public string CreatedAt { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? LastUsedAt { get; set; }

    public int UsageCount { get; set; }
}
