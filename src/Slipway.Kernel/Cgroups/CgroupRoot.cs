using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>
/// The group below which an engine's containers have theirs: <c>slipway</c>, or what <c>--cgroup-parent</c> says. Holds a
/// descriptor in every hierarchy, so that making a container's groups is one mkdirat each.
/// </summary>
public sealed class CgroupRoot : IDisposable
{
    /// <summary>Controllers of v2 that containers need (cgroup-v2.rst, "Enabling and Disabling").</summary>
    private static readonly string[] DelegatedControllers = ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"];

    private readonly CgroupHierarchy _hierarchy;
    private readonly SafeFileHandle[] _directories;

    private CgroupRoot(CgroupHierarchy hierarchy, string path, SafeFileHandle[] directories, IReadOnlySet<string> controllers)
    {
        _hierarchy = hierarchy;
        _directories = directories;
        Path = path;
        Controllers = controllers;
    }

    /// <summary>Relative to the top of every hierarchy, without a leading slash.</summary>
    public string Path { get; }

    /// <summary>Controllers that groups below this one really have. On v2 one may be missing although the host has it: it was not delegated.</summary>
    public IReadOnlySet<string> Controllers { get; }

    public CgroupMode Mode => _hierarchy.Mode;

    internal CgroupHierarchy Hierarchy => _hierarchy;

    /// <summary>Opens the group, making it and its parents where missing; on v2 passes the controllers down to it and to its children.</summary>
    /// <param name="path">Components separated by slashes; a leading slash is ignored.</param>
    /// <exception cref="ArgumentException">Not such a path.</exception>
    /// <exception cref="KernelException">A group on the way cannot be made, or (v2) cannot have children: it holds processes of its own, or is threaded.</exception>
    public static CgroupRoot Open(CgroupHierarchy hierarchy, string path)
    {
        string[] components = Components(path);
        if (components.Length == 0)
        {
            throw new ArgumentException("containers cannot be put into the top control group", nameof(path));
        }

        SafeFileHandle[] directories = new SafeFileHandle[hierarchy.Branches.Count];
        HashSet<string> controllers = [.. hierarchy.Controllers];
        try
        {
            for (int i = 0; i < directories.Length; i++)
            {
                CgroupHierarchy.Branch branch = hierarchy.Branches[i];
                directories[i] = OpenPath(branch, components, branch.Mount.IsUnified && hierarchy.Mode == CgroupMode.V2);
                if (branch.HasCpuset)
                {
                    // cpuset.rst section 1.10: children then start with the parent's CPUs and memory nodes instead of none.
                    CgroupFiles.Write(directories[i], "cgroup.clone_children", "1");
                }
                else if (branch.Mount.IsUnified && hierarchy.Mode == CgroupMode.V2)
                {
                    controllers.IntersectWith(CgroupHierarchy.Words(CgroupFiles.TryRead(directories[i], "cgroup.subtree_control")));
                }
            }
        }
        catch
        {
            foreach (SafeFileHandle? directory in directories)
            {
                directory?.Dispose();
            }

            throw;
        }

        return new CgroupRoot(hierarchy, string.Join('/', components), directories, controllers);
    }

    /// <summary>
    /// Opens <paramref name="name"/> below this process' own v2 group, which its service manager has delegated
    /// (<c>Delegate=yes</c>). A group with controllers for its children may hold no processes (cgroup-v2.rst, "No Internal
    /// Process Constraint"), so those in it are first moved to a leaf beside, <c>engine</c>.
    /// </summary>
    public static CgroupRoot OpenDelegated(CgroupHierarchy hierarchy, string name)
    {
        string own = CgroupHierarchy.OwnUnifiedGroup() ?? throw new KernelException("find the delegated control group", Errno.ENOENT);
        if (own.EndsWith("/engine", StringComparison.Ordinal))
        {
            own = own[..^"/engine".Length];
        }

        using (SafeFileHandle service = OpenPath(hierarchy.Branches.Single(branch => branch.Mount.IsUnified), Components(own), false))
        using (SafeFileHandle leaf = Descend(service, "engine", $"{own}/engine"))
        {
            // Processes may be forked while they are moved: until none is left.
            for (string[] pids; (pids = CgroupHierarchy.Words(CgroupFiles.TryRead(service, "cgroup.procs"))).Length > 0;)
            {
                foreach (string pid in pids)
                {
                    int errno = CgroupFiles.TryWrite(leaf, "cgroup.procs", pid);
                    if (errno is not (0 or Errno.ESRCH))
                    {
                        throw new KernelException($"move process {pid} to control group \"{own}/engine\"", errno);
                    }
                }
            }
        }

        return Open(hierarchy, $"{own}/{name}");
    }

    /// <summary>Makes the groups of a container.</summary>
    /// <exception cref="KernelException">They exist (EEXIST), or cannot be made; none is left.</exception>
    public Cgroup Create(string name)
    {
        CheckName(name);
        return new Cgroup(this, name, Make(name, new SafeFileHandle?[_directories.Length], _ => true));
    }

    /// <summary>
    /// Makes groups ahead of need, which <see cref="TryName"/> gives to a container. Only v1 hierarchies let a group be renamed
    /// (cgroup1_rename in kernel/cgroup/cgroup-v1.c), so there are none in the unified one; false where that is all there is.
    /// </summary>
    /// <exception cref="KernelException">They cannot be made; none is left.</exception>
    public bool TryCreateSpare(string name)
    {
        CheckName(name);
        if (Mode == CgroupMode.V2)
        {
            return false;
        }

        foreach (SafeFileHandle? directory in Make(name, new SafeFileHandle?[_directories.Length], branch => !branch.Mount.IsUnified))
        {
            directory?.Dispose();
        }

        return true;
    }

    /// <summary>Makes spare groups a container's. Null: they could not be, and are gone.</summary>
    /// <exception cref="KernelException">The container has groups already (EEXIST), or its group in the unified hierarchy cannot be made; the spare ones are gone.</exception>
    public Cgroup? TryName(string spare, string name)
    {
        CheckName(spare);
        CheckName(name);
        int errno = 0;
        int renamed = 0;
        for (; renamed < _directories.Length && errno == 0; renamed++)
        {
            if (!_hierarchy.Branches[renamed].Mount.IsUnified && CgroupNative.RenameAt(_directories[renamed], spare, _directories[renamed], name) != 0)
            {
                errno = Marshal.GetLastPInvokeError();
            }
        }

        if (errno == 0)
        {
            SafeFileHandle?[] directories = Renamed(name);
            try
            {
                return new Cgroup(this, name, Make(name, directories, branch => branch.Mount.IsUnified));
            }
            catch
            {
                Array.ForEach(directories, directory => directory?.Dispose());
                TryDelete(name);
                throw;
            }
        }

        for (int i = 0; i < _directories.Length; i++)
        {
            if (!_hierarchy.Branches[i].Mount.IsUnified)
            {
                _ = CgroupNative.UnlinkAt(_directories[i], i < renamed - 1 ? name : spare, CgroupNative.AT_REMOVEDIR);
            }
        }

        return errno == Errno.EEXIST ? throw new KernelException($"make control group \"{Describe(renamed - 1, name)}\"", errno) : null;
    }

    /// <summary>The directories of groups that were spare ones.</summary>
    private SafeFileHandle?[] Renamed(string name) =>
        [.. _directories.Select((directory, i) => _hierarchy.Branches[i].Mount.IsUnified ? null : CgroupFiles.TryOpenDirectory(directory, name))];

    /// <summary>Makes groups in some of the hierarchies, and opens them. What fails leaves none of them.</summary>
    private SafeFileHandle?[] Make(string name, SafeFileHandle?[] directories, Func<CgroupHierarchy.Branch, bool> wanted)
    {
        List<int> made = [];
        try
        {
            for (int i = 0; i < directories.Length; i++)
            {
                if (!wanted(_hierarchy.Branches[i]))
                {
                    continue;
                }

                if (CgroupNative.MkdirAt(_directories[i], name, 0x1ED) != 0)
                {
                    throw new KernelException($"make control group \"{Describe(i, name)}\"", Marshal.GetLastPInvokeError());
                }

                made.Add(i);
                SafeFileHandle directory = CgroupFiles.TryOpenDirectory(_directories[i], name)
                    ?? throw new KernelException($"open control group \"{Describe(i, name)}\"", Errno.ENOENT);
                directories[i] = directory;
                if (_hierarchy.Branches[i].HasCpuset)
                {
                    InheritCpuset(_directories[i], directory);
                }
            }

            return directories;
        }
        catch
        {
            foreach (int i in made)
            {
                directories[i]?.Dispose();
                _ = CgroupNative.UnlinkAt(_directories[i], name, CgroupNative.AT_REMOVEDIR);
            }

            throw;
        }
    }

    /// <summary>Opens what there is of a container's groups, or null where no hierarchy has one.</summary>
    public Cgroup? TryOpen(string name)
    {
        CheckName(name);
        Cgroup group = new(this, name);
        if (group.Exists)
        {
            return group;
        }

        group.Dispose();
        return null;
    }

    /// <summary>Removes a container's groups that no process ever joined. False where some hierarchy refuses; see <see cref="Cgroup.DeleteAsync"/> for those in use.</summary>
    public bool TryDelete(string name)
    {
        CheckName(name);
        bool removed = true;
        foreach (SafeFileHandle directory in _directories)
        {
            removed &= CgroupTree.TryRemove(directory, name) == 0;
        }

        return removed;
    }

    /// <summary>Names of all groups below this one, in any hierarchy: what a restarted engine compares with its database.</summary>
    public IReadOnlyList<string> ListChildren()
    {
        SortedSet<string> names = new(StringComparer.Ordinal);
        foreach (SafeFileHandle directory in _directories)
        {
            names.UnionWith(CgroupFiles.ListGroups(directory));
        }

        return [.. names];
    }

    /// <summary>Removes the group itself, where it has no children; its parents stay. False where some hierarchy refuses.</summary>
    public bool TryDelete()
    {
        string[] components = Components(Path);
        bool removed = true;
        foreach (CgroupHierarchy.Branch branch in _hierarchy.Branches)
        {
            using SafeFileHandle parent = OpenPath(branch, components.AsSpan(..^1), false);
            removed &= CgroupNative.UnlinkAt(parent, components[^1], CgroupNative.AT_REMOVEDIR) == 0 || Marshal.GetLastPInvokeError() == Errno.ENOENT;
        }

        return removed;
    }

    public void Dispose()
    {
        foreach (SafeFileHandle directory in _directories)
        {
            directory.Dispose();
        }
    }

    internal SafeFileHandle Directory(int branch) => _directories[branch];

    internal string Describe(int branch, string name) => $"{_hierarchy.Branches[branch].Mount.MountPoint}/{Path}/{name}";

    private static string[] Components(string path)
    {
        string[] components = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        foreach (string component in components)
        {
            CheckName(component);
        }

        return components;
    }

    private static void CheckName(string name)
    {
        if (name is "" or "." or ".." || name.AsSpan().IndexOfAny('/', '\0', '\n') >= 0 || name.Length > 255)
        {
            throw new ArgumentException($"invalid control group name \"{name}\"", nameof(name));
        }
    }

    private static SafeFileHandle OpenPath(CgroupHierarchy.Branch branch, ReadOnlySpan<string> components, bool passControllers)
    {
        SafeFileHandle current = CgroupFiles.TryOpenDirectory(branch.Root, ".") ?? throw new KernelException($"open {branch.Mount.MountPoint}", Errno.ENOENT);
        string path = branch.Mount.MountPoint;
        try
        {
            foreach (string component in components)
            {
                if (passControllers)
                {
                    PassControllers(current, path);
                }

                path = $"{path}/{component}";
                SafeFileHandle next = Descend(current, component, path);
                if (branch.HasCpuset)
                {
                    InheritCpuset(current, next);
                }

                current.Dispose();
                current = next;
            }

            if (passControllers)
            {
                PassControllers(current, path);
            }

            return current;
        }
        catch
        {
            current.Dispose();
            throw;
        }
    }

    /// <summary>Opens a group, making it where missing.</summary>
    private static SafeFileHandle Descend(SafeFileHandle parent, string name, string path)
    {
        if (CgroupFiles.TryOpenDirectory(parent, name) is { } existing)
        {
            return existing;
        }

        if (CgroupNative.MkdirAt(parent, name, 0x1ED) != 0 && Marshal.GetLastPInvokeError() is not Errno.EEXIST and var errno)
        {
            throw new KernelException($"make control group \"{path}\"", errno);
        }

        return CgroupFiles.TryOpenDirectory(parent, name) ?? throw new KernelException($"open control group \"{path}\"", Errno.ENOENT);
    }

    /// <summary>Enables for a group's children the controllers it has. Which of them succeeded is read back by the caller.</summary>
    private static void PassControllers(SafeFileHandle group, string path)
    {
        string[] enabled = CgroupHierarchy.Words(CgroupFiles.TryRead(group, "cgroup.subtree_control"));
        string[] missing = [.. CgroupHierarchy.Words(CgroupFiles.TryRead(group, "cgroup.controllers")).Intersect(DelegatedControllers).Except(enabled)];
        if (missing.Length == 0)
        {
            return;
        }

        switch (CgroupFiles.TryWrite(group, "cgroup.subtree_control", string.Join(' ', missing.Select(name => $"+{name}"))))
        {
            case 0:
                return;
            case Errno.EBUSY:
                throw new KernelException(
                    $"enable controllers below control group \"{path}\": it holds processes of its own; choose another --cgroup-parent, or let the service manager delegate one",
                    Errno.EBUSY);
            case Errno.EOPNOTSUPP:
                throw new KernelException(
                    $"enable controllers below control group \"{path}\": it is of the threaded kind and cannot hold containers; choose another --cgroup-parent",
                    Errno.EOPNOTSUPP);
        }

        // One refused controller refuses the whole line (cpu does while realtime processes run outside the top group): try each.
        foreach (string controller in missing)
        {
            _ = CgroupFiles.TryWrite(group, "cgroup.subtree_control", $"+{controller}");
        }
    }

    /// <summary>Gives a group without CPUs or memory nodes those of its parent: a cpuset group that has none takes no process (cpuset.rst).</summary>
    private static void InheritCpuset(SafeFileHandle parent, SafeFileHandle group)
    {
        foreach (string file in (ReadOnlySpan<string>)["cpuset.cpus", "cpuset.mems"])
        {
            if (string.IsNullOrWhiteSpace(CgroupFiles.TryRead(group, file)) && CgroupFiles.TryRead(parent, file)?.Trim() is { Length: > 0 } inherited)
            {
                CgroupFiles.Write(group, file, inherited);
            }
        }
    }
}
