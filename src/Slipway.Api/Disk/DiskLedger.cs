using System.Text.Json.Serialization;

namespace Slipway.Api.Disk;

/// <summary>GET /slipway/disk: every byte below the data root, by the object that owns it.</summary>
public sealed record DiskLedger
{
    /// <summary>The sum of all objects, in bytes on the disk: what <c>du</c> says of the data root.</summary>
    public long Total { get; set; }

    /// <summary>What the data root may grow to before unused images are removed; null for no budget.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Budget { get; set; }

    public List<DiskObject> Objects { get; set; } = [];
}

/// <summary>Something that takes space.</summary>
public sealed record DiskObject
{
    /// <summary>layer, blob, container, volume, database, temporary, engine or other.</summary>
    public required string Kind { get; set; }

    /// <summary>Chain id, digest, container id, volume name, or path below the data root.</summary>
    public required string Id { get; set; }

    /// <summary>Allocated, as <c>du</c> counts them.</summary>
    public long Bytes { get; set; }

    /// <summary>Of every kind, directories included.</summary>
    public long Files { get; set; }

    /// <summary>Names, all of them, of the images or containers it belongs to; ids where they have none.</summary>
    public List<string> UsedBy { get; set; } = [];

    /// <summary>When the newest of the images it belongs to was used last (RFC 3339), or null.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? LastUsed { get; set; }
}
