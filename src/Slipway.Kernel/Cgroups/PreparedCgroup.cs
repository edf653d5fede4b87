using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>
/// Descriptors by which a new process joins a container's groups: it is cloned into <see cref="Unified"/>
/// (CLONE_INTO_CGROUP), and itself writes <c>0</c> to each of <see cref="Tasks"/> while it has one thread.
/// </summary>
/// <remarks>
/// The v1 files are <c>tasks</c>, not <c>cgroup.procs</c>: for a process that moves its only thread they mean the same, but a
/// write to the latter locks out all forks on the host and waits for an RCU grace period (kernel/cgroup/cgroup.c,
/// cgroup_procs_write_start), which costs 8 to 16 ms where nobody did so just before.
/// </remarks>
public sealed class PreparedCgroup(IReadOnlyList<SafeFileHandle> tasks, SafeFileHandle? unified) : IDisposable
{
    /// <summary>The v1 groups' <c>tasks</c> files, open for writing; empty on v2.</summary>
    public IReadOnlyList<SafeFileHandle> Tasks { get; } = tasks;

    /// <summary>The directory in the unified hierarchy; null on a host with cgroup v1 only.</summary>
    public SafeFileHandle? Unified { get; } = unified;

    public void Dispose()
    {
        Unified?.Dispose();
        foreach (SafeFileHandle task in Tasks)
        {
            task.Dispose();
        }
    }
}
