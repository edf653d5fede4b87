using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// Mounts that come into a running container, and go. Paths are resolved here, by descriptor, below the root that the container's first process
/// has; the child that enters the mount namespace gets the descriptors and resolves nothing. So whatever a container puts in the place of a
/// mount point while it is looked for, the mount lands on what was found inside its root (CVE-2021-30465, CVE-2023-27561 and kin).
/// </summary>
public static class RunningMounts
{
    private const uint MountPointPermissions = 0x1ED; // 0755
    private const int CLONE_NEWNS = 0x20000;
    private const int MNT_DETACH = 2;
    private const int UMOUNT_NOFOLLOW = 8;

    // What the kernel and the engine provide there confines the container, or describes it.
    private static readonly string[] s_reserved = ["/proc", "/sys", "/dev"];

    /// <summary>A detached mount of a file system (<c>tmpfs</c>).</summary>
    public static SafeFileHandle Make(string type, IReadOnlyList<string> options)
    {
        MountOptions parsed = MountOptions.Parse(options);
        return FileSystemContext.Mount(type, parsed.Set, [$"source={type}", .. parsed.Data]);
    }

    /// <summary>Gives a detached mount the attributes that its option words say.</summary>
    public static void Apply(SafeFileHandle tree, IReadOnlyList<string> options) => PlanMounts.Apply(tree, MountOptions.Parse(options));

    /// <summary>Shows the files of a bind that says so with other ids; nothing happens for any other mount.</summary>
    public static void MapIds(SafeFileHandle tree, MountSpec mount, UserNamespace? users)
    {
        if (mount.UidMappings.Count > 0 || MountOptions.Parse(mount.Options).IsIdMapped)
        {
            PlanMounts.MapIds(tree, mount, users);
        }
    }

    /// <summary>Attaches a detached mount; its mount point is made where it is missing.</summary>
    /// <param name="users">Of the container's user namespace, whose root owns a mount point that is made; null: the host's root does.</param>
    /// <exception cref="PlanException">The destination leads into what the engine provides, or is no place for such a mount.</exception>
    /// <exception cref="KernelException">The kernel refused; nothing is attached.</exception>
    public static async Task AttachAsync(NamespaceView container, SafeFileHandle tree, string destination, IdMaps? users)
    {
        ResolvedPath target = EnsureTarget(container.Root, destination, FileStatus.Of(tree).IsDirectory, users?.Root ?? (0, 0));
        using SafeFileHandle place = target.Descriptor!;
        RefuseReserved(target.ToString());
        using LaunchPlan plan = BriefProcess.Begin();
        PlanArgument mount = plan.Own(Descriptors.Duplicate(tree));
        PlanArgument descriptor = plan.Own(Descriptors.Duplicate(place));
        Enter(plan, container);
        plan.MoveMount(mount, descriptor, target.Path);
        await BriefProcess.RunAsync(plan).ConfigureAwait(false);
    }

    /// <summary>Takes off the mount at a destination. What has files of it open keeps them.</summary>
    /// <param name="isExpected">Whether the root of the mount that is there is the one that is meant: a container may have put another in its place.</param>
    /// <returns>False where it is not there, or not the one.</returns>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public static async Task<bool> DetachAsync(NamespaceView container, string destination, Func<SafeFileHandle, bool> isExpected)
    {
        ResolvedPath target;
        try
        {
            target = container.Root.Resolve(destination);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP)
        {
            return false;
        }

        using SafeFileHandle root = target.Descriptor!;
        FileStatus status = FileStatus.Of(root);
        if (!status.IsMountRoot || IsReserved(target.ToString()) || !isExpected(root))
        {
            return false;
        }

        using LaunchPlan plan = BriefProcess.Begin();
        if (status.IsDirectory)
        {
            // The root of the mount itself, wherever it is by now.
            PlanArgument directory = plan.Own(Descriptors.Duplicate(root));
            Enter(plan, container);
            plan.Add($"fchdir \"{target}\"", SystemCall.Fchdir, [directory]);
            plan.Add($"umount2 \"{target}\"", SystemCall.Umount2, [plan.Text("."), MNT_DETACH]);
        }
        else
        {
            // A file has no path of its own; but while something is mounted on a name, the name cannot be renamed or removed in its namespace.
            using SafeFileHandle parent = container.Root.OpenParent(target.Path, out ReadOnlySpan<byte> name);
            PlanArgument text = plan.Terminated(name);
            PlanArgument directory = plan.Own(Descriptors.Duplicate(parent));
            Enter(plan, container);
            plan.Add($"fchdir above \"{target}\"", SystemCall.Fchdir, [directory]);
            plan.Add($"umount2 \"{target}\"", SystemCall.Umount2, [text, MNT_DETACH | UMOUNT_NOFOLLOW]);
        }

        await BriefProcess.RunAsync(plan).ConfigureAwait(false);
        return true;
    }

    private static void Enter(LaunchPlan plan, NamespaceView container) =>
        plan.Add("setns mnt", SystemCall.Setns, [plan.Own(container.DuplicateNamespace()), CLONE_NEWNS]);

    private static ResolvedPath EnsureTarget(RootDirectory root, string destination, bool isDirectory, (uint UserId, uint GroupId) owner)
    {
        try
        {
            // Before anything is made there.
            ResolvedPath found = root.Ensure(destination, MissingPath.Tell, default);
            found.Descriptor?.Dispose();
            RefuseReserved(found.ToString());
            return isDirectory
                ? root.EnsureDirectory(destination, MountPointPermissions, owner.UserId, owner.GroupId)
                : root.EnsureFile(destination, MountPointPermissions, owner.UserId, owner.GroupId);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOTDIR or Errno.EISDIR)
        {
            throw PlanException.Invalid($"cannot create mountpoint \"{destination}\": not a directory: a directory is mounted onto directories, a file onto files", e);
        }
    }

    private static void RefuseReserved(string path)
    {
        if (IsReserved(path))
        {
            throw PlanException.Invalid($"\"{path}\" cannot be mounted in a running container: it is the root or inside {string.Join(", ", s_reserved)}");
        }
    }

    private static bool IsReserved(string path) => path == "/" || Array.Exists(s_reserved, reserved => path == reserved || path.StartsWith(reserved + "/", StringComparison.Ordinal));
}
