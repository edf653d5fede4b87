using System.Net;
using System.Runtime.InteropServices;
using Slipway.Api;
using Slipway.Api.Daemon;
using Slipway.Engine.Containers.Cdi;
using Slipway.Engine.Telemetry;
using Slipway.Runtime.Confinement;

namespace Slipway.Engine.Daemon;

/// <summary>What the daemon needs to know of the rest of the engine.</summary>
internal sealed record DaemonParts
{
    /// <summary>Replaced as a whole when the configuration is reloaded.</summary>
    public required EngineOptions Options { get; set; }

    public required TimeProvider Time { get; init; }

    /// <summary>Names this engine, the same as long as its data root is.</summary>
    public required string Id { get; init; }

    public required Func<ContainerCounts> Containers { get; init; }

    public required Func<int> Images { get; init; }

    public required Func<int> EventListeners { get; init; }

    public required EngineMetrics Metrics { get; init; }

    /// <summary>What <c>host-gateway</c> stands for.</summary>
    public Func<IReadOnlyList<IPAddress>> HostGateways { get; init; } = static () => [];

    /// <summary>Events since the start.</summary>
    public required Func<long> Events { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Which limits the host can hold.</summary>
    public required ResourceSupport Limits { get; init; }

    /// <summary>1 (also for hybrid layouts) or 2.</summary>
    public required int CgroupVersion { get; init; }
}

internal readonly record struct ContainerCounts(int Running, int Paused, int Stopped);

/// <summary>/info and /version.</summary>
internal sealed class DaemonService(DaemonParts parts) : IDaemon
{
    private readonly HostFacts _host = HostFacts.Read();
    private readonly string _backingFilesystem = BackingFilesystem(parts.Options.DataRoot);

    public string Metrics() => MetricsText.Render(parts, _host);

    public bool IsExperimental => parts.Options.Experimental;

    public IReadOnlyList<IPAddress> HostGateways => parts.HostGateways();

    public string DataRoot => parts.Options.DataRoot;

    public SystemInfo Info()
    {
        ContainerCounts containers = parts.Containers();
        ResourceSupport limits = parts.Limits;
        bool forwarding = IsForwarding();
        return new SystemInfo
        {
            ID = parts.Id,
            Containers = containers.Running + containers.Paused + containers.Stopped,
            ContainersRunning = containers.Running,
            ContainersPaused = containers.Paused,
            ContainersStopped = containers.Stopped,
            Images = parts.Images(),
            DriverStatus =
            [
                ["Backing Filesystem", _backingFilesystem],
                ["Supports d_type", "true"],
                ["Using metacopy", "false"],
                ["Native Overlay Diff", "true"],
                ["userxattr", "false"],
            ],
            Plugins = new PluginsInfo { Authorization = parts.Options.AuthorizationPlugins.Count > 0 ? [.. parts.Options.AuthorizationPlugins] : null },
            MemoryLimit = limits.MemoryLimit,
            SwapLimit = limits.SwapLimit,
            CpuCfsPeriod = limits.CpuQuota,
            CpuCfsQuota = limits.CpuQuota,
            CPUShares = limits.CpuShares,
            CPUSet = limits.CpuSet,
            PidsLimit = limits.PidsLimit,
            OomKillDisable = limits.OomKillDisable,
            IPv4Forwarding = forwarding,
            Debug = parts.Options.Debug,
            ExperimentalBuild = IsExperimental,
            LoggingDriver = parts.Options.LogDriver,
            NFd = Directory.GetFiles("/proc/self/fd").Length,
            NGoroutines = ThreadPool.ThreadCount,
            SystemTime = Rfc3339.Format(parts.Time.GetUtcNow()),
            CgroupVersion = parts.CgroupVersion == 2 ? "2" : "1",
            NEventsListener = parts.EventListeners(),
            KernelVersion = _host.KernelVersion,
            OperatingSystem = _host.OperatingSystem,
            OSVersion = _host.OsVersion,
            Architecture = _host.Machine,
            RegistryConfig = RegistryShapes.Config(parts.Options.Registries),
            NCPU = _host.Cpus,
            MemTotal = _host.Memory,
            DockerRootDir = parts.Options.DataRoot,
            HttpProxy = RegistryShapes.WithoutPassword(parts.Options.HttpProxy ?? Variable("HTTP_PROXY")),
            HttpsProxy = RegistryShapes.WithoutPassword(parts.Options.HttpsProxy ?? Variable("HTTPS_PROXY")),
            NoProxy = parts.Options.NoProxy ?? Variable("NO_PROXY"),
            Name = Environment.MachineName,
            Labels = [.. parts.Options.Labels],
            ServerVersion = EngineVersion.Current,
            Runtimes = Runtimes(),
            DefaultRuntime = parts.Options.Defaults.Runtime,

            // A cgroup namespace is the default with cgroup v2 only, as in Docker.
            SecurityOptions =
            [
                "name=seccomp,profile=builtin",
                .. (ReadOnlySpan<string>)(parts.Options.UsernsRemap.Length > 0 ? ["name=userns"] : []),
                .. (ReadOnlySpan<string>)(parts.CgroupVersion == 2 ? ["name=cgroupns"] : []),
            ],
            CDISpecDirs = [.. parts.Options.CdiSpecDirectories],
            DiscoveredDevices = [.. CdiRegistry.Read(parts.Options.CdiSpecDirectories).Devices.Keys.Order(StringComparer.Ordinal).Select(name => new DiscoveredDevice("cdi", name))],
            Warnings = Warnings(limits, forwarding),
        };
    }

    public SystemVersion Version(string apiVersion, string minApiVersion)
    {
        string runtime = RuntimeInformation.FrameworkDescription;
        return new SystemVersion
        {
            Platform = new PlatformName("Slipway"),
            Components =
            [
                new ComponentVersion("Engine", EngineVersion.Current, new Dictionary<string, string>
                {
                    ["ApiVersion"] = apiVersion,
                    ["Arch"] = _host.Architecture,
                    ["BuildTime"] = EngineVersion.BuildTime,
                    ["Experimental"] = IsExperimental ? "true" : "false",
                    ["GitCommit"] = EngineVersion.Commit,
                    ["GoVersion"] = runtime,
                    ["KernelVersion"] = _host.KernelVersion,
                    ["MinAPIVersion"] = minApiVersion,
                    ["Os"] = "linux",
                }),
            ],
            Version = EngineVersion.Current,
            ApiVersion = apiVersion,
            MinAPIVersion = minApiVersion,
            GitCommit = EngineVersion.Commit,
            GoVersion = runtime,
            Arch = _host.Architecture,
            KernelVersion = _host.KernelVersion,
            BuildTime = EngineVersion.BuildTime,
            Experimental = IsExperimental ? true : null,
        };
    }

    private Dictionary<string, RuntimeInfo> Runtimes()
    {
        Dictionary<string, RuntimeInfo> runtimes = new() { [EngineOptions.OwnRuntime] = new RuntimeInfo { Path = parts.Options.SupervisorExecutable } };
        foreach ((string name, RuntimeDefinition runtime) in parts.Options.Runtimes)
        {
            runtimes[name] = new RuntimeInfo { Path = runtime.Path, Arguments = runtime.Arguments.Count > 0 ? [.. runtime.Arguments] : null };
        }

        return runtimes;
    }

    /// <summary>In Docker's words; null for none.</summary>
    private List<string>? Warnings(ResourceSupport limits, bool forwarding)
    {
        List<string> warnings = [];
        WarnUnless(limits.MemoryLimit, "No memory limit support");
        WarnUnless(limits.SwapLimit, "No swap limit support");
        WarnUnless(limits.OomKillDisable || parts.CgroupVersion == 2, "No oom kill disable support");
        WarnUnless(limits.CpuQuota, "No cpu cfs quota support");
        WarnUnless(limits.CpuQuota, "No cpu cfs period support");
        WarnUnless(limits.CpuShares, "No cpu shares support");
        WarnUnless(limits.CpuSet, "No cpuset support");
        WarnUnless(limits.PidsLimit, "No pids limit support");
        WarnUnless(forwarding, "IPv4 forwarding is disabled");
        return warnings.Count > 0 ? warnings : null;

        void WarnUnless(bool supported, string what)
        {
            if (!supported)
            {
                warnings.Add("WARNING: " + what);
            }
        }
    }

    private static bool IsForwarding() => File.ReadAllText("/proc/sys/net/ipv4/ip_forward").AsSpan().Trim() is "1";

    /// <summary>Docker's name for the file system below the data root: the ext family is one.</summary>
    private static string BackingFilesystem(string dataRoot)
    {
        string format = new DriveInfo(dataRoot).DriveFormat;
        return format.StartsWith("ext", StringComparison.Ordinal) ? "extfs" : format;
    }

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? Environment.GetEnvironmentVariable(name.ToLowerInvariant()) ?? "";
}
