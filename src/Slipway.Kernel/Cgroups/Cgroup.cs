using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>
/// The control groups of one container: a directory in every hierarchy of its <see cref="CgroupRoot"/>. Those of a container that exists are opened when they
/// are needed first. Used by one thread at a time.
/// </summary>
public sealed class Cgroup : IDisposable
{
    private const int FreezeAttempts = 1000;

    private static readonly TimeSpan DeleteTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FreezeTimeout = TimeSpan.FromSeconds(10);

    private readonly CgroupRoot _root;
    private readonly SafeFileHandle?[] _directories;

    /// <summary>By hierarchy, whether it was tried to open the directory; null: all are open.</summary>
    private readonly bool[]? _tried;

    /// <param name="directories">One in each hierarchy.</param>
    internal Cgroup(CgroupRoot root, string name, SafeFileHandle?[] directories)
    {
        _root = root;
        _directories = directories;
        Name = name;
    }

    /// <summary>Of a container that may have groups.</summary>
    internal Cgroup(CgroupRoot root, string name)
        : this(root, name, new SafeFileHandle?[root.Hierarchy.Branches.Count]) => _tried = new bool[_directories.Length];

    /// <summary>Below the <see cref="CgroupRoot"/>.</summary>
    public string Name { get; }

    /// <summary>Relative to the top of every hierarchy: <c>slipway/ab12…</c>.</summary>
    public string Path => $"{_root.Path}/{Name}";

    public CgroupMode Mode => _root.Mode;

    /// <summary>Whether there is one in any hierarchy.</summary>
    internal bool Exists => Enumerable.Range(0, _directories.Length).Any(i => At(i) is not null);

    /// <summary>
    /// Writes settings in order. The kernel checks some against each other (memory against memory plus swap, quota against
    /// period): what it refuses with EINVAL is tried again after the others.
    /// </summary>
    /// <exception cref="KernelException">A value was refused.</exception>
    public void Apply(IReadOnlyList<CgroupSetting> settings)
    {
        List<CgroupSetting>? refused = null;
        foreach (CgroupSetting setting in settings)
        {
            switch (TryWrite(setting))
            {
                case 0:
                    break;
                case Errno.EINVAL:
                    (refused ??= []).Add(setting);
                    break;
                case int errno:
                    throw Refused(setting, errno);
            }
        }

        foreach (CgroupSetting setting in refused ?? [])
        {
            if (TryWrite(setting) is not 0 and int errno)
            {
                throw Refused(setting, errno);
            }
        }
    }

    /// <summary>Restricts access to device nodes, instead of what was set before.</summary>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public void SetDevices(DeviceAccess access)
    {
        if (Mode == CgroupMode.V2)
        {
            DeviceProgram.Attach(Unified() ?? throw Gone("cgroup2"), access);
        }
        else if (Directory("devices.list") is { } directory)
        {
            CgroupFiles.WriteAll(directory, access.ChangesFrom(CgroupFiles.TryRead(directory, "devices.list") ?? ""));
        }
    }

    /// <summary>The content of a file (<c>memory.stat</c>), or null where its controller or the file is missing.</summary>
    public string? TryRead(string file) => Directory(file) is { } directory ? CgroupFiles.TryRead(directory, file) : null;

    /// <summary>What a new process needs to join. Owned by the caller.</summary>
    public PreparedCgroup Prepare()
    {
        List<SafeFileHandle> tasks = [];
        SafeFileHandle? unified = null;
        try
        {
            for (int i = 0; i < _directories.Length; i++)
            {
                SafeFileHandle directory = At(i) ?? throw Gone(_root.Describe(i, Name));
                if (_root.Hierarchy.Branches[i].Mount.IsUnified)
                {
                    unified = CgroupFiles.TryOpenDirectory(directory, ".") ?? throw Gone(_root.Describe(i, Name));
                }
                else
                {
                    tasks.Add(CgroupFiles.TryOpen(directory, "tasks", CgroupNative.O_WRONLY) ?? throw Gone(_root.Describe(i, Name)));
                }
            }

            return new PreparedCgroup(tasks, unified);
        }
        catch
        {
            unified?.Dispose();
            tasks.ForEach(task => task.Dispose());
            throw;
        }
    }

    /// <summary>Processes in the group and in those below it, as this process' pid namespace numbers them.</summary>
    public IReadOnlyList<int> ProcessIds()
    {
        HashSet<int> pids = [];
        SafeFileHandle? directory = Unified() ?? Directory("pids.max") ?? Enumerable.Range(0, _directories.Length).Select(At).FirstOrDefault(candidate => candidate is not null);
        if (directory is not null)
        {
            Collect(directory);
        }

        return [.. pids];

        void Collect(SafeFileHandle group)
        {
            foreach (string pid in CgroupHierarchy.Words(CgroupFiles.TryRead(group, "cgroup.procs")))
            {
                pids.Add(int.Parse(pid, CultureInfo.InvariantCulture));
            }

            foreach (string name in CgroupFiles.ListGroups(group))
            {
                using SafeFileHandle? child = CgroupFiles.TryOpenDirectory(group, name);
                if (child is not null)
                {
                    Collect(child);
                }
            }
        }
    }

    /// <summary>Stops all processes of the group where they are (docker pause), and returns when they stand.</summary>
    /// <exception cref="KernelException">EAGAIN: they did not within ten seconds; they run again. ENOENT: the group is gone.</exception>
    public Task FreezeAsync(TimeProvider clock, CancellationToken cancellationToken) =>
        _root.Hierarchy.UsesFreezerController ? FreezeV1Async(clock, cancellationToken) : FreezeUnifiedAsync(clock, cancellationToken);

    /// <summary>Lets frozen processes run again. Does nothing where none is frozen.</summary>
    public void Thaw()
    {
        if (_root.Hierarchy.UsesFreezerController)
        {
            CgroupFiles.Write(Directory("freezer.state") ?? throw Gone("freezer"), "freezer.state", "THAWED");
        }
        else
        {
            CgroupFiles.Write(Unified() ?? throw Gone("cgroup2"), "cgroup.freeze", "0");
        }
    }

    public bool IsFrozen() => _root.Hierarchy.UsesFreezerController
        ? TryRead("freezer.state")?.StartsWith("FROZEN", StringComparison.Ordinal) == true
        : Unified() is { } unified && CgroupFiles.FindKey(CgroupFiles.TryRead(unified, "cgroup.events"), "frozen") == 1;

    /// <summary>SIGKILL to every process, also to those that are forked meanwhile. Returns when all were sent it, not when all have ended.</summary>
    public async Task KillAsync(TimeProvider clock, CancellationToken cancellationToken)
    {
        // cgroup.kill (kernel 5.14) is atomic against forks, and works in a hierarchy without controllers.
        if (Unified() is { } unified && CgroupFiles.TryWrite(unified, "cgroup.kill", "1") == 0)
        {
            return;
        }

        bool frozen = false;
        try
        {
            await FreezeAsync(clock, cancellationToken).ConfigureAwait(false);
            frozen = true;
        }
        catch (KernelException)
        {
            // A group that forks faster than it freezes is killed all the same: repeatedly, below.
        }

        KillEach();
        if (frozen)
        {
            Thaw();
        }
    }

    /// <summary>
    /// Removes the groups, and those the container made below. Waits up to ten seconds for processes that are ending; any that
    /// stay are killed. Nothing happens where they are gone already.
    /// </summary>
    /// <exception cref="KernelException">EBUSY: processes are left that do not end.</exception>
    public async ValueTask DeleteAsync(TimeProvider clock, CancellationToken cancellationToken)
    {
        long start = clock.GetTimestamp();
        for (TimeSpan pause = TimeSpan.FromMilliseconds(1); ; pause = pause < TimeSpan.FromMilliseconds(50) ? pause * 2 : pause)
        {
            int busy = -1;
            for (int i = 0; i < _directories.Length; i++)
            {
                if (At(i) is not null && CgroupTree.TryRemove(_root.Directory(i), Name) is not 0 and int errno)
                {
                    busy = errno == Errno.EBUSY ? i : throw new KernelException($"remove control group \"{_root.Describe(i, Name)}\"", errno);
                }
            }

            if (busy < 0)
            {
                return;
            }

            if (clock.GetElapsedTime(start) > DeleteTimeout)
            {
                throw new KernelException($"remove control group \"{_root.Describe(busy, Name)}\"", Errno.EBUSY);
            }

            await Task.Delay(pause, clock, cancellationToken).ConfigureAwait(false);
            if (clock.GetElapsedTime(start) > DeleteTimeout / 10)
            {
                KillEach();
            }
        }
    }

    /// <summary>How many of its processes the kernel has killed because the memory limit was reached.</summary>
    public ulong OomKills() =>
        CgroupFiles.FindKey(TryRead(Mode == CgroupMode.V2 ? "memory.events" : "memory.oom_control"), "oom_kill") ?? 0;

    public void Dispose()
    {
        foreach (SafeFileHandle? directory in _directories)
        {
            directory?.Dispose();
        }
    }

    /// <summary>The directory in a hierarchy; null where there is none.</summary>
    private SafeFileHandle? At(int branch)
    {
        if (_tried is not null && !_tried[branch])
        {
            _directories[branch] = CgroupFiles.TryOpenDirectory(_root.Directory(branch), Name);
            _tried[branch] = true;
        }

        return _directories[branch];
    }

    /// <summary>The directory of the hierarchy to which a file's controller belongs.</summary>
    private SafeFileHandle? Directory(string file)
    {
        if (Mode == CgroupMode.V2)
        {
            return Unified();
        }

        ReadOnlySpan<char> controller = file.AsSpan(0, file.IndexOf('.', StringComparison.Ordinal));
        for (int i = 0; i < _directories.Length; i++)
        {
            foreach (string candidate in _root.Hierarchy.Branches[i].Mount.Controllers)
            {
                if (controller.SequenceEqual(candidate))
                {
                    return At(i);
                }
            }
        }

        return null;
    }

    private SafeFileHandle? Unified()
    {
        for (int i = 0; i < _directories.Length; i++)
        {
            if (_root.Hierarchy.Branches[i].Mount.IsUnified)
            {
                return At(i);
            }
        }

        return null;
    }

    private int TryWrite(CgroupSetting setting)
    {
        int errno = Directory(setting.File) is { } directory ? CgroupFiles.TryWrite(directory, setting.File, setting.Value) : Errno.ENOENT;
        return errno == Errno.ENOENT && setting.Optional ? 0 : errno;
    }

    private KernelException Refused(CgroupSetting setting, int errno) => new($"set {setting.File} of control group \"{Path}\" to \"{setting.Value}\"", errno);

    private KernelException Gone(string what) => new($"open control group \"{Path}\" ({what})", Errno.ENOENT);

    /// <summary>
    /// freezer-subsystem.rst: a group may stay FREEZING while processes appear in it, and is then asked again; an occasional
    /// thaw lets forks that are under way end.
    /// </summary>
    private async Task FreezeV1Async(TimeProvider clock, CancellationToken cancellationToken)
    {
        SafeFileHandle directory = Directory("freezer.state") ?? throw Gone("freezer");
        try
        {
            for (int attempt = 1; attempt <= FreezeAttempts; attempt++)
            {
                if (attempt % 50 == 0)
                {
                    CgroupFiles.Write(directory, "freezer.state", "THAWED");
                    await Task.Delay(TimeSpan.FromMilliseconds(10), clock, cancellationToken).ConfigureAwait(false);
                }

                CgroupFiles.Write(directory, "freezer.state", "FROZEN");
                if (CgroupFiles.TryRead(directory, "freezer.state")?.StartsWith("FROZEN", StringComparison.Ordinal) == true)
                {
                    return;
                }
            }
        }
        catch
        {
            _ = CgroupFiles.TryWrite(directory, "freezer.state", "THAWED");
            throw;
        }

        CgroupFiles.Write(directory, "freezer.state", "THAWED");
        throw new KernelException($"freeze control group \"{Path}\"", Errno.EAGAIN);
    }

    private async Task FreezeUnifiedAsync(TimeProvider clock, CancellationToken cancellationToken)
    {
        SafeFileHandle directory = Unified() ?? throw Gone("cgroup2");
        CgroupFiles.Write(directory, "cgroup.freeze", "1");
        long start = clock.GetTimestamp();
        try
        {
            while (CgroupFiles.FindKey(CgroupFiles.TryRead(directory, "cgroup.events"), "frozen") != 1)
            {
                if (clock.GetElapsedTime(start) > FreezeTimeout)
                {
                    throw new KernelException($"freeze control group \"{Path}\"", Errno.EAGAIN);
                }

                await Task.Delay(TimeSpan.FromMilliseconds(1), clock, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            _ = CgroupFiles.TryWrite(directory, "cgroup.freeze", "0");
            throw;
        }
    }

    /// <summary>Kills process by process, by pidfd: a number that was reused since it was listed is no longer in the list when read again.</summary>
    private void KillEach()
    {
        const int rounds = 100;
        HashSet<int> killed = [];
        for (int round = 0; round < rounds; round++)
        {
            int[] fresh = [.. ProcessIds().Where(pid => pid > 0 && !killed.Contains(pid))];
            if (fresh.Length == 0)
            {
                return;
            }

            foreach (int pid in fresh)
            {
                using SafeFileHandle process = CgroupNative.PidfdOpen(pid);
                if (process.IsInvalid || !ProcessIds().Contains(pid))
                {
                    continue;
                }

                if (CgroupNative.PidfdSendSignal(process, CgroupNative.SIGKILL) != 0 && Marshal.GetLastPInvokeError() is not Errno.ESRCH and var errno)
                {
                    throw new KernelException($"kill process {pid} of control group \"{Path}\"", errno);
                }

                killed.Add(pid);
            }
        }
    }
}
