using System.Text.Json.Serialization;

namespace Slipway.Api.Containers;

/// <summary>GET /containers/{id}/json.</summary>
public sealed record ContainerInspect
{
    public required string Id { get; set; }

    public required string Created { get; set; }

    public string Path { get; set; } = "";

    public List<string> Args { get; set; } = [];

    public required ContainerState State { get; set; }

    /// <summary>The image's id (config digest).</summary>
    public required string Image { get; set; }

    public string ResolvConfPath { get; set; } = "";

    public string HostnamePath { get; set; } = "";

    public string HostsPath { get; set; } = "";

    public string LogPath { get; set; } = "";

    /// <summary>With a leading slash.</summary>
    public required string Name { get; set; }

    public int RestartCount { get; set; }

    public string Driver { get; set; } = "overlay2";

    public string Platform { get; set; } = "linux";

    public string MountLabel { get; set; } = "";

    public string ProcessLabel { get; set; } = "";

    public string AppArmorProfile { get; set; } = "";

    public List<string>? ExecIDs { get; set; }

    public required HostConfig HostConfig { get; set; }

    public required GraphDriverData GraphDriver { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? SizeRw { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? SizeRootFs { get; set; }

    public List<MountPoint> Mounts { get; set; } = [];

    public required ContainerConfig Config { get; set; }

    public required NetworkSettings NetworkSettings { get; set; }
}

public sealed record ContainerState
{
    /// <summary>created, running, paused, restarting, removing, exited, dead.</summary>
    public required string Status { get; set; }

    public bool Running { get; set; }

    public bool Paused { get; set; }

    public bool Restarting { get; set; }

    public bool OOMKilled { get; set; }

    public bool Dead { get; set; }

    public int Pid { get; set; }

    public int ExitCode { get; set; }

    public string Error { get; set; } = "";

    public string StartedAt { get; set; } = Rfc3339.Zero;

    public string FinishedAt { get; set; } = Rfc3339.Zero;

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Health? Health { get; set; }
}

public sealed record Health
{
    public string Status { get; set; } = "none";

    public int FailingStreak { get; set; }

    public List<HealthcheckResult>? Log { get; set; }
}

public sealed record HealthcheckResult(string Start, string End, int ExitCode, string Output);

public sealed record GraphDriverData
{
    public Dictionary<string, string>? Data { get; set; }

    public string Name { get; set; } = "overlay2";
}

public sealed record MountPoint
{
    public string Type { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; set; }

    public string Source { get; set; } = "";

    public string Destination { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Driver { get; set; }

    public string Mode { get; set; } = "";

    public bool RW { get; set; }

    public string Propagation { get; set; } = "";
}

public sealed record NetworkSettings
{
    public string Bridge { get; set; } = "";

    public string SandboxID { get; set; } = "";

    public string SandboxKey { get; set; } = "";

    public Dictionary<string, List<PortBinding>?>? Ports { get; set; } = [];

    public bool HairpinMode { get; set; }

    public string LinkLocalIPv6Address { get; set; } = "";

    public int LinkLocalIPv6PrefixLen { get; set; }

    public List<string>? SecondaryIPAddresses { get; set; }

    public List<string>? SecondaryIPv6Addresses { get; set; }

    public string EndpointID { get; set; } = "";

    public string Gateway { get; set; } = "";

    public string GlobalIPv6Address { get; set; } = "";

    public int GlobalIPv6PrefixLen { get; set; }

    public string IPAddress { get; set; } = "";

    public int IPPrefixLen { get; set; }

    public string IPv6Gateway { get; set; } = "";

    public string MacAddress { get; set; } = "";

    public Dictionary<string, EndpointSettings?> Networks { get; set; } = [];
}

/// <summary>A container's place on one network (API "EndpointSettings").</summary>
public sealed record EndpointSettings
{
    public EndpointIPAMConfig? IPAMConfig { get; set; }

    public List<string>? Links { get; set; }

    public List<string>? Aliases { get; set; }

    public string MacAddress { get; set; } = "";

    public Dictionary<string, string>? DriverOpts { get; set; }

    public int GwPriority { get; set; }

    public string NetworkID { get; set; } = "";

    public string EndpointID { get; set; } = "";

    public string Gateway { get; set; } = "";

    public string IPAddress { get; set; } = "";

    public int IPPrefixLen { get; set; }

    public string IPv6Gateway { get; set; } = "";

    public string GlobalIPv6Address { get; set; } = "";

    public int GlobalIPv6PrefixLen { get; set; }

    public List<string>? DNSNames { get; set; }
}

public sealed record EndpointIPAMConfig
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IPv4Address { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IPv6Address { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public List<string>? LinkLocalIPs { get; set; }
}
