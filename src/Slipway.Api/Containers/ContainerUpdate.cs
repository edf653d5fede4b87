using System.Text.Json.Serialization;

namespace Slipway.Api.Containers;

/// <summary>POST /containers/{id}/update: what is zero, empty or null stays as it is.</summary>
public sealed record ContainerUpdateRequest : Resources
{
    public RestartPolicy RestartPolicy { get; set; } = new();

    // What follows is Slipway's own.

    /// <summary>Ports to publish besides, as in the host configuration.</summary>
    public Dictionary<string, List<PortBinding>?>? PublishAdd { get; set; }

    /// <summary>Ports to publish no more: <c>80/tcp</c>, or <c>8080:80/tcp</c> for that of one host port.</summary>
    public List<string>? PublishRemove { get; set; }

    /// <summary>Mounts to attach.</summary>
    public List<Mount>? MountsAdd { get; set; }

    /// <summary>Destinations of mounts to detach.</summary>
    public List<string>? MountsRemove { get; set; }

    /// <summary>Of the next start: <c>NAME=value</c> sets, <c>NAME</c> takes away.</summary>
    public List<string>? Env { get; set; }

    /// <summary>Labels to set.</summary>
    public Dictionary<string, string>? Labels { get; set; }

    /// <summary>Keys of labels to take away.</summary>
    public List<string>? LabelsRemove { get; set; }

    [JsonIgnore]
    public JudgedObjects? Judged { get; set; }
}

/// <param name="Warnings">Null where there are none.</param>
public sealed record ContainerUpdateResponse(IReadOnlyList<string>? Warnings);
