using System.Text.Json.Serialization;

namespace Slipway.Api.Daemon;

/// <summary>GET /info.</summary>
public sealed record SystemInfo
{
    public string ID { get; set; } = "";

    public int Containers { get; set; }

    public int ContainersRunning { get; set; }

    public int ContainersPaused { get; set; }

    public int ContainersStopped { get; set; }

    public int Images { get; set; }

    public string Driver { get; set; } = "overlay2";

    public List<List<string>> DriverStatus { get; set; } = [];

    public PluginsInfo Plugins { get; set; } = new();

    public bool MemoryLimit { get; set; }

    public bool SwapLimit { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool KernelMemoryTCP { get; set; }

    public bool CpuCfsPeriod { get; set; }

    public bool CpuCfsQuota { get; set; }

    public bool CPUShares { get; set; }

    public bool CPUSet { get; set; }

    public bool PidsLimit { get; set; }

    public bool IPv4Forwarding { get; set; }

    public bool Debug { get; set; }

    public int NFd { get; set; }

    public bool OomKillDisable { get; set; }

    public int NGoroutines { get; set; }

    public string SystemTime { get; set; } = Rfc3339.Zero;

    public string LoggingDriver { get; set; } = "json-file";

    public string CgroupDriver { get; set; } = "cgroupfs";

    public string CgroupVersion { get; set; } = "1";

    public int NEventsListener { get; set; }

    public string KernelVersion { get; set; } = "";

    public string OperatingSystem { get; set; } = "";

    public string OSVersion { get; set; } = "";

    public string OSType { get; set; } = "linux";

    public string Architecture { get; set; } = "";

    public string IndexServerAddress { get; set; } = "https://index.docker.io/v1/";

    public RegistryConfig RegistryConfig { get; set; } = new();

    public int NCPU { get; set; }

    public long MemTotal { get; set; }

    public List<string>? GenericResources { get; set; }

    public string DockerRootDir { get; set; } = "";

    public string HttpProxy { get; set; } = "";

    public string HttpsProxy { get; set; } = "";

    public string NoProxy { get; set; } = "";

    public string Name { get; set; } = "";

    public List<string> Labels { get; set; } = [];

    public bool ExperimentalBuild { get; set; }

    public string ServerVersion { get; set; } = "";

    public Dictionary<string, RuntimeInfo> Runtimes { get; set; } = [];

    public string DefaultRuntime { get; set; } = "slipway";

    public SwarmInfo Swarm { get; set; } = new();

    public bool LiveRestoreEnabled { get; set; } = true;

    public string Isolation { get; set; } = "";

    public string InitBinary { get; set; } = "docker-init";

    public CommitInfo ContainerdCommit { get; set; } = new("");

    public CommitInfo RuncCommit { get; set; } = new("");

    public CommitInfo InitCommit { get; set; } = new("");

    public List<string> SecurityOptions { get; set; } = [];

    public List<string> CDISpecDirs { get; set; } = [];

    public List<DiscoveredDevice>? DiscoveredDevices { get; set; }

    public List<string>? Warnings { get; set; }
}

/// <param name="Source">The driver that gives it.</param>
public sealed record DiscoveredDevice(string Source, string ID);

public sealed record PluginsInfo
{
    public List<string> Volume { get; set; } = ["local"];

    public List<string> Network { get; set; } = ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"];

    public List<string>? Authorization { get; set; }

    public List<string> Log { get; set; } = ["fluentd", "gelf", "journald", "json-file", "local", "syslog"];
}

public sealed record RegistryConfig
{
    public List<string> InsecureRegistryCIDRs { get; set; } = ["::1/128", "127.0.0.0/8"];

    public Dictionary<string, RegistryIndexConfig> IndexConfigs { get; set; } = [];

    public List<string>? Mirrors { get; set; }
}

public sealed record RegistryIndexConfig(string Name, List<string> Mirrors, bool Secure, bool Official);

public sealed record RuntimeInfo
{
    [JsonPropertyName("path")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Path { get; set; }

    [JsonPropertyName("runtimeArgs")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public List<string>? Arguments { get; set; }
}

public sealed record SwarmInfo
{
    public string NodeID { get; set; } = "";

    public string NodeAddr { get; set; } = "";

    public string LocalNodeState { get; set; } = "inactive";

    public bool ControlAvailable { get; set; }

    public string Error { get; set; } = "";

    public List<string>? RemoteManagers { get; set; }
}

public sealed record CommitInfo(string ID);

/// <summary>GET /version.</summary>
public sealed record SystemVersion
{
    public PlatformName Platform { get; set; } = new("");

    public List<ComponentVersion> Components { get; set; } = [];

    public string Version { get; set; } = "";

    public string ApiVersion { get; set; } = "";

    public string MinAPIVersion { get; set; } = "";

    public string GitCommit { get; set; } = "";

    public string GoVersion { get; set; } = "";

    public string Os { get; set; } = "linux";

    public string Arch { get; set; } = "";

    public string KernelVersion { get; set; } = "";

    public string BuildTime { get; set; } = "";

    /// <summary>Left out where it is not so.</summary>
    public bool? Experimental { get; set; }
}

public sealed record PlatformName(string Name);

public sealed record ComponentVersion(string Name, string Version, Dictionary<string, string> Details);
