namespace Slipway.Oci.Runtime;

/// <summary>The runtime specification's <c>config.json</c> (runtime-spec 1.2, config.md): the contract between Engine and Runtime.</summary>
public sealed record Spec
{
    public string OciVersion { get; init; } = "1.2.0";

    public required ProcessSpec Process { get; init; }

    public required RootSpec Root { get; init; }

    public string? Hostname { get; init; }

    public string? Domainname { get; init; }

    /// <summary>In the order in which they are made.</summary>
    public IReadOnlyList<MountSpec> Mounts { get; init; } = [];

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    public HooksSpec? Hooks { get; init; }

    public required LinuxSpec Linux { get; init; }
}

/// <param name="Path">Where the root file system lies, or empty where it is given as a descriptor.</param>
public sealed record RootSpec(string Path, bool Readonly = false);

/// <summary>The process (config.md, "Process").</summary>
public sealed record ProcessSpec
{
    public bool Terminal { get; init; }

    public ConsoleSize? ConsoleSize { get; init; }

    public required UserSpec User { get; init; }

    public required IReadOnlyList<string> Args { get; init; }

    public IReadOnlyList<string> Env { get; init; } = [];

    public string Cwd { get; init; } = "/";

    public CapabilitySets? Capabilities { get; init; }

    public IReadOnlyList<RlimitSpec> Rlimits { get; init; } = [];

    public bool NoNewPrivileges { get; init; }

    public int? OomScoreAdj { get; init; }

    public string? ApparmorProfile { get; init; }

    public string? SelinuxLabel { get; init; }
}

public sealed record ConsoleSize(uint Height, uint Width);

public sealed record UserSpec(uint Uid, uint Gid)
{
    public uint? Umask { get; init; }

    public IReadOnlyList<uint> AdditionalGids { get; init; } = [];
}

/// <summary>Capability names (<c>CAP_CHOWN</c>) by set.</summary>
public sealed record CapabilitySets
{
    public IReadOnlyList<string> Bounding { get; init; } = [];

    public IReadOnlyList<string> Effective { get; init; } = [];

    public IReadOnlyList<string> Inheritable { get; init; } = [];

    public IReadOnlyList<string> Permitted { get; init; } = [];

    public IReadOnlyList<string> Ambient { get; init; } = [];
}

/// <param name="Type"><c>RLIMIT_NOFILE</c> and so on.</param>
public sealed record RlimitSpec(string Type, ulong Soft, ulong Hard);

/// <summary>A mount (config.md, "Mounts"). Options are fstab(5) words plus bind, rbind, the propagation words, and <c>ro</c>/<c>rro</c>.</summary>
public sealed record MountSpec(string Destination, string Type, string Source, IReadOnlyList<string> Options)
{
    /// <summary>
    /// For an id-mapped mount: the ids of the source's files (<see cref="IdMappingSpec.ContainerID"/>) and those they show with, as the host counts
    /// (<see cref="IdMappingSpec.HostID"/>). Empty: the source's own, or with the option <c>idmap</c> those of the container's user namespace.
    /// </summary>
    public IReadOnlyList<IdMappingSpec> UidMappings { get; init; } = [];

    /// <inheritdoc cref="UidMappings"/>
    public IReadOnlyList<IdMappingSpec> GidMappings { get; init; } = [];
}

/// <summary>config-linux.md.</summary>
public sealed record LinuxSpec
{
    public IReadOnlyList<NamespaceSpec> Namespaces { get; init; } = [];

    public IReadOnlyList<IdMappingSpec> UidMappings { get; init; } = [];

    public IReadOnlyList<IdMappingSpec> GidMappings { get; init; } = [];

    public IReadOnlyList<DeviceSpec> Devices { get; init; } = [];

    /// <summary>Relative to the root of every hierarchy, without a leading slash: <c>slipway/ab12…</c>.</summary>
    public string CgroupsPath { get; init; } = "";

    public ResourcesSpec? Resources { get; init; }

    public SeccompSpec? Seccomp { get; init; }

    public IReadOnlyDictionary<string, string> Sysctl { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<string> MaskedPaths { get; init; } = [];

    public IReadOnlyList<string> ReadonlyPaths { get; init; } = [];

    public string? RootfsPropagation { get; init; }
}

/// <param name="Type">pid, network, mount, ipc, uts, user, cgroup.</param>
/// <param name="Path">A namespace file to join; null for a new one.</param>
public sealed record NamespaceSpec(string Type, string? Path = null);

public sealed record IdMappingSpec(uint ContainerID, uint HostID, uint Size);

/// <param name="Type"><c>c</c>, <c>b</c> or <c>p</c>.</param>
public sealed record DeviceSpec(string Path, string Type, long Major, long Minor, uint FileMode = 0x1B6, uint Uid = 0, uint Gid = 0);

/// <summary>Control group limits (config-linux.md, "Control groups"). Null: not set.</summary>
public sealed record ResourcesSpec
{
    public IReadOnlyList<DeviceCgroupRule> Devices { get; init; } = [];

    public MemoryResources? Memory { get; init; }

    public CpuResources? Cpu { get; init; }

    public PidsResources? Pids { get; init; }

    public BlockIOResources? BlockIO { get; init; }

    public IReadOnlyList<HugepageLimit> HugepageLimits { get; init; } = [];

    /// <summary>cgroup v2 files written as they are.</summary>
    public IReadOnlyDictionary<string, string>? Unified { get; init; }
}

/// <param name="Type"><c>a</c>, <c>c</c> or <c>b</c>.</param>
/// <param name="Major">Null: any.</param>
/// <param name="Access">Of <c>rwm</c>.</param>
public sealed record DeviceCgroupRule(bool Allow, string Type, long? Major, long? Minor, string Access);

/// <summary>Bytes; -1 is no limit.</summary>
public sealed record MemoryResources
{
    public long? Limit { get; init; }

    public long? Reservation { get; init; }

    /// <summary>Memory and swap together, as cgroup v1 counts.</summary>
    public long? Swap { get; init; }

    public long? Kernel { get; init; }

    public ulong? Swappiness { get; init; }

    public bool? DisableOOMKiller { get; init; }
}

/// <summary>Times in microseconds.</summary>
public sealed record CpuResources
{
    public ulong? Shares { get; init; }

    public long? Quota { get; init; }

    public ulong? Period { get; init; }

    public long? RealtimeRuntime { get; init; }

    public ulong? RealtimePeriod { get; init; }

    public string? Cpus { get; init; }

    public string? Mems { get; init; }
}

public sealed record PidsResources(long Limit);

public sealed record BlockIOResources
{
    public ushort? Weight { get; init; }

    public IReadOnlyList<WeightDevice> WeightDevice { get; init; } = [];

    public IReadOnlyList<ThrottleDevice> ThrottleReadBpsDevice { get; init; } = [];

    public IReadOnlyList<ThrottleDevice> ThrottleWriteBpsDevice { get; init; } = [];

    public IReadOnlyList<ThrottleDevice> ThrottleReadIOPSDevice { get; init; } = [];

    public IReadOnlyList<ThrottleDevice> ThrottleWriteIOPSDevice { get; init; } = [];
}

public sealed record WeightDevice(long Major, long Minor, ushort Weight);

public sealed record ThrottleDevice(long Major, long Minor, ulong Rate);

public sealed record HugepageLimit(string PageSize, ulong Limit);

/// <summary>config-linux.md, "Seccomp".</summary>
public sealed record SeccompSpec
{
    public required string DefaultAction { get; init; }

    public uint? DefaultErrnoRet { get; init; }

    public IReadOnlyList<string> Architectures { get; init; } = [];

    public IReadOnlyList<string> Flags { get; init; } = [];

    public IReadOnlyList<SeccompRule> Syscalls { get; init; } = [];
}

public sealed record SeccompRule
{
    public required IReadOnlyList<string> Names { get; init; }

    public required string Action { get; init; }

    public uint? ErrnoRet { get; init; }

    public IReadOnlyList<SeccompArgument> Args { get; init; } = [];
}

/// <param name="Op"><c>SCMP_CMP_EQ</c> and so on; for <c>SCMP_CMP_MASKED_EQ</c> Value is the mask and ValueTwo the datum.</param>
public sealed record SeccompArgument(uint Index, ulong Value, ulong ValueTwo, string Op);
