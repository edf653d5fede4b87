using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>
/// The control group hierarchies of this host, opened once. Groups are made in those that a container is put into: all v1
/// hierarchies with a controller the engine sets or reads, and the unified one.
/// </summary>
public sealed class CgroupHierarchy : IDisposable
{
    /// <summary>v1 controllers that limit or account for containers. Nothing in the Engine API reaches the others (net_cls, perf_event…).</summary>
    private static readonly string[] UsedControllers = ["cpu", "cpuacct", "cpuset", "memory", "devices", "pids", "blkio", "hugetlb"];

    private static readonly Version UnifiedFreezerSince = new(5, 2);

    private readonly List<Branch> _branches = [];

    private CgroupHierarchy(IReadOnlyList<CgroupMount> mounts)
    {
        bool unified = mounts.Any(mount => mount.IsUnified);
        Mode = !mounts.Any(mount => mount.Controllers.Count > 0) ? CgroupMode.V2 : unified ? CgroupMode.Hybrid : CgroupMode.V1;

        // cgroup.freeze needs no controller, so a unified hierarchy spares the v1 freezer: one directory and one migration less.
        UsesFreezerController = Mode == CgroupMode.V1 || (Mode == CgroupMode.Hybrid && Environment.OSVersion.Version < UnifiedFreezerSince);
        HashSet<string> controllers = [];
        foreach (CgroupMount mount in mounts)
        {
            // systemd finds a service's processes by the unified hierarchy, or by its named one where that is all there is.
            bool used = mount.IsUnified
                || mount.Controllers.Any(controller => UsedControllers.Contains(controller) || (controller == "freezer" && UsesFreezerController))
                || (mount.Name == "systemd" && !unified);
            if (!used)
            {
                continue;
            }

            SafeFileHandle root = CgroupNative.Open(mount.MountPoint, CgroupNative.O_PATH | CgroupNative.O_DIRECTORY | CgroupNative.O_CLOEXEC);
            if (root.IsInvalid)
            {
                int errno = Marshal.GetLastPInvokeError();
                Dispose();
                throw new KernelException($"open the control group hierarchy \"{mount.MountPoint}\"", errno);
            }

            _branches.Add(new Branch(mount, root));
            controllers.UnionWith(mount.Controllers);
            if (mount.IsUnified && Mode == CgroupMode.V2)
            {
                controllers.UnionWith(Words(CgroupFiles.TryRead(root, "cgroup.controllers")));
            }
        }

        Controllers = controllers;
        Mounts = [.. _branches.Select(branch => branch.Mount)];
    }

    public CgroupMode Mode { get; }

    /// <summary>Usable controllers under the kernel's names: <c>blkio</c> on v1 is <c>io</c> on v2; v2 has no <c>devices</c> and <c>freezer</c>, they are built in.</summary>
    public IReadOnlySet<string> Controllers { get; }

    /// <summary>The hierarchies in which groups are made.</summary>
    public IReadOnlyList<CgroupMount> Mounts { get; }

    internal IReadOnlyList<Branch> Branches => _branches;

    internal bool UsesFreezerController { get; }

    /// <summary>The hierarchies this process sees.</summary>
    /// <exception cref="KernelException">None is mounted, or one cannot be opened.</exception>
    public static CgroupHierarchy Detect() => Open(CgroupMount.Parse(File.ReadAllText("/proc/self/mountinfo")));

    /// <summary>Opens given hierarchies.</summary>
    /// <exception cref="KernelException">None is given, or one cannot be opened.</exception>
    public static CgroupHierarchy Open(IReadOnlyList<CgroupMount> mounts) =>
        mounts.Count > 0 ? new CgroupHierarchy(mounts) : throw new KernelException("find control groups: no cgroup file system is mounted", Errno.ENOENT);

    /// <summary>The group of this process in the unified hierarchy, without a leading slash; null where there is no such hierarchy.</summary>
    public static string? OwnUnifiedGroup() =>
        File.ReadLines("/proc/self/cgroup").FirstOrDefault(line => line.StartsWith("0::/", StringComparison.Ordinal))?[4..];

    public void Dispose()
    {
        foreach (Branch branch in _branches)
        {
            branch.Root.Dispose();
        }
    }

    internal static string[] Words(string? text) => text?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <summary>A hierarchy and the descriptor of its top group.</summary>
    internal sealed record Branch(CgroupMount Mount, SafeFileHandle Root)
    {
        public bool HasCpuset { get; } = Mount.Controllers.Contains("cpuset");
    }
}
