using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Runtime.Confinement;

namespace Slipway.Runtime.Compilation;

/// <summary>What the engine has prepared for a container. Descriptors marked consumed belong to the plan from the call on, also when it fails.</summary>
public sealed record PlanContext
{
    /// <summary>A detached mount of the root file system, writable: mount points are created in it. Consumed.</summary>
    public required SafeFileHandle Rootfs { get; init; }

    /// <summary>The network namespace to join; null: as the specification says. Consumed.</summary>
    public SafeFileHandle? NetworkNamespace { get; init; }

    /// <summary>Kernel parameters that <see cref="NetworkNamespace"/> has already, by name: they need not be set again. Null: not known.</summary>
    public IReadOnlyDictionary<string, string>? NetworkSettings { get; init; }

    /// <summary>
    /// The user namespace that the specification's mappings describe; the root file system is mounted with its ids already. Null: the engine's own.
    /// Not consumed.
    /// </summary>
    public UserNamespace? UserNamespace { get; init; }

    /// <summary>The control groups to join. Consumed.</summary>
    public PreparedCgroup? Cgroup { get; init; }

    /// <summary>The container's own directories in the host's hierarchies, for a mount of type <c>cgroup</c>.</summary>
    public IReadOnlyList<CgroupDirectory> CgroupDirectories { get; init; } = [];

    /// <summary>The seccomp filter to install, or null.</summary>
    public SeccompProgram? Seccomp { get; init; }

    /// <summary>Sources of bind mounts by destination, where the source was opened before (a volume's subpath); instead of the source's path. Not consumed.</summary>
    public IReadOnlyDictionary<string, SafeFileHandle> MountSources { get; init; } = new Dictionary<string, SafeFileHandle>();

    /// <summary>Detached mounts to use for bind mounts as they are, by destination; instead of the source's path. Not consumed.</summary>
    public IReadOnlyDictionary<string, SafeFileHandle> DetachedMounts { get; init; } = new Dictionary<string, SafeFileHandle>();

    /// <summary>Whether standard input is a pipe of the container's own (and not /dev/null), to be given to its user.</summary>
    public bool StdinIsPipe { get; init; }

    /// <summary>Where the process waits for hooks; null where the container has none. Its socket is consumed.</summary>
    public HookPause? Hooks { get; init; }

    /// <summary>Whether the first process is <see cref="InitProgram"/>, which starts the specification's.</summary>
    public bool Init { get; init; }
}

/// <summary>What the engine has prepared for an exec.</summary>
public sealed record ExecContext
{
    /// <summary>The container's init process. Not consumed.</summary>
    public required SafeFileHandle Pidfd { get; init; }

    /// <summary>Of the init process, in this process' pid namespace.</summary>
    public required int Pid { get; init; }

    /// <summary>The types of namespaces that differ from the host's: those of the container's specification (user excepted).</summary>
    public required IReadOnlyList<string> Namespaces { get; init; }

    /// <summary>The init process' user namespace where that is not the engine's own. Not consumed.</summary>
    public UserNamespace? UserNamespace { get; init; }

    /// <inheritdoc cref="PlanContext.Cgroup"/>
    public PreparedCgroup? Cgroup { get; init; }

    /// <inheritdoc cref="PlanContext.Seccomp"/>
    public SeccompProgram? Seccomp { get; init; }

    /// <inheritdoc cref="PlanContext.StdinIsPipe"/>
    public bool StdinIsPipe { get; init; }
}

/// <summary>A container's directory in a mounted hierarchy.</summary>
/// <param name="Name">Where it appears below /sys/fs/cgroup (<c>memory</c>, <c>cpu,cpuacct</c>, <c>systemd</c>); empty for the unified hierarchy.</param>
public sealed record CgroupDirectory(string Name, HostPath Directory)
{
    /// <summary>A container's directories: those of cgroup v1 where there are any, else the unified one.</summary>
    /// <param name="cgroupsPath">Relative to each hierarchy's root: <c>slipway/ab12…</c>.</param>
    public static IReadOnlyList<CgroupDirectory> Of(IReadOnlyList<CgroupMount> mounts, string cgroupsPath)
    {
        bool v1 = mounts.Any(mount => mount.Controllers.Count > 0);
        return
        [
            .. mounts.Where(mount => mount.IsUnified != v1).Select(mount => new CgroupDirectory(
                mount.IsUnified ? "" : mount.Name ?? string.Join(',', mount.Controllers),
                new HostPath($"{mount.MountPoint.TrimEnd('/')}/{cgroupsPath.Trim('/')}"))),
        ];
    }
}

/// <summary>A plan, and the terminal it uses.</summary>
/// <param name="Terminal">The master side, for the supervisor, whose OpenPeer gives the three standard streams; null without terminal.</param>
public sealed record CompiledPlan(LaunchPlan Plan, SafeFileHandle? Terminal) : IDisposable
{
    public void Dispose()
    {
        Plan.Dispose();
        Terminal?.Dispose();
    }
}
