using System.Text.Json;
using Slipway.Api.Disk;

namespace Slipway.Api.Volumes;

/// <summary>GET /volumes.</summary>
/// <param name="Warnings">Of drivers that could not be asked.</param>
public sealed record VolumeList(List<Volume> Volumes, List<string>? Warnings);

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
