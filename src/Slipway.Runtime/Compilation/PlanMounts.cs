using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// The mounts of a container. The parent makes each as a detached mount and creates its mount point; the child, after it has
/// pivoted, opens the canonical mount point without following anything and attaches the mount to that descriptor. File
/// systems that show the child's own namespaces (proc, sysfs, mqueue) are made in the child.
/// </summary>
/// <param name="made">Mounts that the child has made already: steps by destination.</param>
internal sealed class PlanMounts(LaunchPlan plan, PlanArgument root, SafeFileHandle rootfs, PlanContext context, IReadOnlyDictionary<string, int> made)
{
    private const uint MountPointPermissions = 0x1ED; // 0755, as runc creates them; files too.

    private static readonly Lazy<RootDirectory> s_hostSysfs = new(() => new HostPath("/sys").OpenRoot());

    // What LXCFS and its like replace. Anything else in procfs confines or describes the container, and the engine itself uses it
    // (CVE-2019-19921: a mount over /proc made the runtime write security labels into a file).
    private static readonly string[] s_replaceable =
    [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo",
        "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
    ];

    public RootView View { get; } = new(new RootDirectory(rootfs), context.UserNamespace?.Maps);

    /// <summary>The tmpfs prepared for /dev; null where /dev is something else, whose devices then are left alone.</summary>
    public SafeFileHandle? Dev { get; private set; }

    /// <summary>The devpts prepared for /dev/pts; null where that is something else.</summary>
    public SafeFileHandle? Devpts { get; private set; }

    public void Add(MountSpec mount)
    {
        try
        {
            AddCore(mount);
        }
        catch (KernelException e)
        {
            throw PlanException.Invalid($"error mounting \"{mount.Source}\" to rootfs at \"{mount.Destination}\": {e.Message}", e);
        }
    }

    private void AddCore(MountSpec mount)
    {
        string destination = mount.Destination.Length > 1 ? mount.Destination.TrimEnd('/') : mount.Destination;
        if (destination.Length < 2 || destination[0] != '/')
        {
            throw PlanException.Invalid($"invalid mount destination \"{mount.Destination}\": it must be absolute and not the root");
        }

        MountOptions options = MountOptions.Parse(mount.Options);
        SystemFolders.Check(rootfs, destination);
        string type = options.IsBind ? "bind" : mount.Type;
        switch (type)
        {
            case "proc" or "sysfs" or "mqueue":
                AddInChild(mount, destination, type, options);
                break;
            case "cgroup" or "cgroup2":
                AddCgroups(destination, options);
                break;
            case "bind":
                AddBind(mount, destination, options);
                break;
            default:
                SafeFileHandle fresh = Make(type, mount.Source, options);
                byte[] path = Attach(fresh, isDirectory: true, destination);
                Dev = destination == "/dev" ? (type == "tmpfs" ? fresh : null) : Dev;
                Devpts = path.AsSpan().SequenceEqual("/dev/pts"u8) ? (type == "devpts" ? fresh : null) : Devpts;
                break;
        }
    }

    private void AddInChild(MountSpec mount, string destination, string type, MountOptions options)
    {
        ResolvedPath target = EnsureTarget(destination, isDirectory: true);
        target.Descriptor?.Dispose();
        int step = made.TryGetValue(mount.Destination, out int before)
            ? before
            : plan.MakeFileSystem(type, mount.Source.Length == 0 ? type : mount.Source, options.Data, options.Set);
        AttachSteps(PlanArgument.ResultOf(step), target.Path, isDirectory: true);
        View.Add(target.Path, null, type switch { "proc" => PrivateProc.Root, "sysfs" => s_hostSysfs.Value, _ => null });
    }

    private void AddBind(MountSpec mount, string destination, MountOptions options)
    {
        if (options.Data.Count > 0)
        {
            throw PlanException.Invalid($"invalid option \"{options.Data[0]}\" of the bind mount at \"{mount.Destination}\"");
        }

        SafeFileHandle tree = Source(context, mount, options);
        try
        {
            Apply(tree, options);
            if (options.IsIdMapped || mount.UidMappings.Count > 0)
            {
                MapIds(tree, mount, context.UserNamespace);
            }
        }
        catch
        {
            tree.Dispose();
            throw;
        }

        Attach(tree, FileStatus.Of(tree).IsDirectory, destination);
        Dev = destination == "/dev" ? null : Dev;
        Devpts = destination is "/dev" or "/dev/pts" ? null : Devpts;
    }

    /// <summary>What a bind mount mounts, detached.</summary>
    internal static SafeFileHandle Source(PlanContext context, MountSpec mount, MountOptions options) =>
        context.DetachedMounts.TryGetValue(mount.Destination, out SafeFileHandle? detached) ? Descriptors.Duplicate(detached)
        : context.MountSources.TryGetValue(mount.Destination, out SafeFileHandle? source) ? MountTree.Clone(source, options.IsRecursiveBind)
        : MountTree.Clone(SourcePath(mount), options.IsRecursiveBind);

    /// <summary>With the ids the mount says, or those of the container's user namespace.</summary>
    internal static void MapIds(SafeFileHandle tree, MountSpec mount, UserNamespace? users)
    {
        using UserNamespace? made = mount.UidMappings.Count > 0 ? UserNamespace.Create(PlanUserNamespace.Maps(mount.UidMappings, mount.GidMappings), network: false) : null;
        UserNamespace ids = made ?? users
            ?? throw PlanException.Invalid($"the id-mapped mount at \"{mount.Destination}\" names no ids, and the container has no user namespace of its own");
        try
        {
            MountTree.MapIds(tree, ids.Descriptor, MountOptions.Parse(mount.Options).IsRecursivelyIdMapped);
        }
        catch (KernelException e) when (e.Errno == Errno.EINVAL)
        {
            throw PlanException.Invalid($"the file system of \"{mount.Source}\" does not support id-mapped mounts on this kernel", e);
        }
    }

    private static HostPath SourcePath(MountSpec mount) => mount.Source.StartsWith('/') && !mount.Source.Contains('\0', StringComparison.Ordinal)
        ? new HostPath(mount.Source)
        : throw PlanException.Invalid($"invalid source \"{mount.Source}\" of the bind mount at \"{mount.Destination}\": it must be absolute");

    internal static void Apply(SafeFileHandle tree, MountOptions options)
    {
        // A copy of a shared mount is its peer: what the container mounts inside would appear on the host. So private, unless asked for.
        (MountPropagation propagation, bool recursive) = options.Propagation == MountPropagation.Unchanged
            ? (MountPropagation.Private, true)
            : (options.Propagation, options.IsPropagationRecursive);
        MountTree.Change(tree, MountAttributeChange.Of(options.RecursiveSet, options.RecursiveClear, recursive ? propagation : MountPropagation.Unchanged), options.IsRecursiveBind);
        if ((options.Set | options.Clear) != MountAttributes.None || !recursive)
        {
            MountTree.Change(tree, MountAttributeChange.Of(options.Set, options.Clear, recursive ? MountPropagation.Unchanged : propagation), recursive: false);
        }
    }

    /// <summary>
    /// The container's own groups. They are bound from the host's hierarchies, not mounted anew: the same files, and no need for the child to be
    /// in its groups first.
    /// </summary>
    private void AddCgroups(string destination, MountOptions options)
    {
        if (context.CgroupDirectories is [{ Name: "" } unified])
        {
            Attach(BindCgroup(unified, options), isDirectory: true, destination);
            return;
        }

        SafeFileHandle tmpfs = FileSystemContext.Mount("tmpfs", options.Set & ~MountAttributes.ReadOnly, "source=tmpfs", "mode=755");
        byte[] path = Attach(tmpfs, isDirectory: true, destination);
        foreach (CgroupDirectory directory in context.CgroupDirectories)
        {
            DirectoryEntry.CreateDirectory(tmpfs, directory.Name, MountPointPermissions);
            SafeFileHandle bound = BindCgroup(directory, options);
            byte[] target = [.. path, (byte)'/', .. System.Text.Encoding.UTF8.GetBytes(directory.Name)];
            AttachSteps(plan.Own(bound), target, isDirectory: true);
            View.Add(target, bound);

            // cpu,cpuacct is also found as cpu and as cpuacct (Docker does the same).
            foreach (string name in directory.Name.Contains(',', StringComparison.Ordinal) ? directory.Name.Split(',') : [])
            {
                DirectoryEntry.CreateSymbolicLink(tmpfs, name, directory.Name);
            }
        }
    }

    private static SafeFileHandle BindCgroup(CgroupDirectory directory, MountOptions options)
    {
        SafeFileHandle tree = MountTree.Clone(directory.Directory, recursive: false);
        try
        {
            MountTree.Change(tree, MountAttributeChange.Of(options.Set, options.Clear, MountPropagation.Private), recursive: false);
            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }

    private SafeFileHandle Make(string type, string source, MountOptions options)
    {
        using var file = new FileSystemContext(type);
        file.Set("source", source.Length == 0 ? type : source);
        foreach (string option in options.Data)
        {
            file.Set(context.UserNamespace is { } users ? PlanUserNamespace.Translate(option, users.Maps) : option);
        }

        return file.Mount(options.Set);
    }

    /// <summary>Takes the mount, creates its mount point, adds the steps that attach it, and returns the canonical path.</summary>
    private byte[] Attach(SafeFileHandle mount, bool isDirectory, string destination)
    {
        PlanArgument owned = plan.Own(mount);
        ResolvedPath target = EnsureTarget(destination, isDirectory);
        target.Descriptor?.Dispose();
        RefuseInsideProc(target, mount);
        AttachSteps(owned, target.Path, isDirectory);
        View.Add(target.Path, mount);
        return target.Path;
    }

    /// <summary>A link in an image may lead any mount to /proc: its canonical place counts.</summary>
    private static void RefuseInsideProc(ResolvedPath target, SafeFileHandle mount)
    {
        string path = target.ToString();
        if (path == "/proc" ? Descriptors.FileSystemType(mount) != Descriptors.ProcSuperMagic
            : path.StartsWith("/proc/", StringComparison.Ordinal) && Array.IndexOf(s_replaceable, path) < 0)
        {
            throw PlanException.Invalid($"\"{path}\" cannot be mounted because it is inside /proc");
        }
    }

    private ResolvedPath EnsureTarget(string destination, bool isDirectory)
    {
        try
        {
            ResolvedPath target = View.Ensure(destination, isDirectory ? MissingPath.CreateDirectory : MissingPath.CreateFile, new NewEntry(MountPointPermissions));
            if (target.Path.Length > 1)
            {
                return target;
            }

            target.Descriptor?.Dispose();
            throw PlanException.Invalid($"invalid mount destination \"{destination}\": it is a link to the root");
        }
        catch (KernelException e) when (e.Errno is Errno.ENOTDIR or Errno.EISDIR)
        {
            throw PlanException.Invalid(
                $"cannot create mountpoint \"{destination}\": not a directory: Are you trying to mount a directory onto a file (or vice-versa)? "
                + "Check if the specified host path exists and is the expected type", e);
        }
    }

    private void AttachSteps(PlanArgument mount, byte[] path, bool isDirectory)
    {
        int target = plan.OpenBelow(root, path, OpenFlags.Path | (isDirectory ? OpenFlags.Directory : 0), Resolution.Canonical);
        plan.MoveMount(mount, PlanArgument.ResultOf(target), path);
    }
}
