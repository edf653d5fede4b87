using System.Text.Json;
using Slipway.Api.Disk;

namespace Slipway.Api.Volumes;

/// <summary>GET /volumes.</summary>
/// <param name="Warnings">Of drivers that could not be asked.</param>
public sealed record VolumeList(List<Volume> Volumes, List<string>? Warnings);

/// <summary>POST /slipway/volumes/{name}/copy.</summary>
public sealed record VolumeCopyRequest
{
    /// <summary>Of the new volume. Empty: made of the other's name and the time.</summary>
    public string? Name { get; set; }

    public Dictionary<string, string>? Labels { get; set; }

    /// <summary>Of the new volume, as <c>2g</c>; empty: that of the other.</summary>
    public string? Size { get; set; }

    /// <summary>Containers only read the new volume.</summary>
    public bool Snapshot { get; set; }

    /// <summary>Whether the containers that have the volume mounted are paused meanwhile; without, what they write may be in the copy in part.</summary>
    public bool Pause { get; set; } = true;
}

/// <summary>POST /volumes/create.</summary>
public sealed record VolumeCreateRequest
{
    /// <summary>Empty: a name is made up, and the volume counts as anonymous.</summary>
    public string? Name { get; set; }

    /// <summary>Empty: <c>local</c>, or that of the volume which is already there.</summary>
    public string? Driver { get; set; }

    public Dictionary<string, string>? DriverOpts { get; set; }

    public Dictionary<string, string>? Labels { get; set; }

    /// <summary>Given only for volumes of a swarm.</summary>
    public JsonElement? ClusterVolumeSpec { get; set; }
}
