using System.Text.Json.Serialization;

namespace Slipway.Api.Containers;

/// <summary>An item of GET /containers/json.</summary>
public sealed record ContainerSummary
{
    public required string Id { get; set; }

    public List<string> Names { get; set; } = [];

    public string Image { get; set; } = "";

    public string ImageID { get; set; } = "";

    public string Command { get; set; } = "";

    /// <summary>Seconds since 1970.</summary>
    public long Created { get; set; }

    public List<PortSummary> Ports { get; set; } = [];

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? SizeRw { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? SizeRootFs { get; set; }

    public Dictionary<string, string> Labels { get; set; } = [];

    public string State { get; set; } = "";

    /// <summary>For people: <c>Up 5 minutes</c>.</summary>
    public string Status { get; set; } = "";

    public SummaryHostConfig HostConfig { get; set; } = new();

    public SummaryNetworkSettings NetworkSettings { get; set; } = new();

    public List<MountPoint> Mounts { get; set; } = [];
}

public sealed record PortSummary
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IP { get; set; }

    public ushort PrivatePort { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ushort PublicPort { get; set; }

    public string Type { get; set; } = "tcp";
}

public sealed record SummaryHostConfig
{
    public string NetworkMode { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Dictionary<string, string>? Annotations { get; set; }
}

public sealed record SummaryNetworkSettings
{
    public Dictionary<string, EndpointSettings?> Networks { get; set; } = [];
}

/// <summary>GET /containers/{id}/top.</summary>
public sealed record ContainerTop(List<string> Titles, List<List<string>> Processes);

/// <summary>POST /containers/{id}/wait.</summary>
public sealed record ContainerWaitResponse(long StatusCode)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public WaitError? Error { get; set; }
}

public sealed record WaitError(string Message);
