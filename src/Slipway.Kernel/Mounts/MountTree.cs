using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>
/// Mounts by descriptor. A detached mount is a descriptor nobody can reach by a path; it vanishes with its last descriptor unless
/// it was attached.
/// </summary>
public static unsafe class MountTree
{
    /// <summary>A detached copy of the mount at a host path (bind mount), starting with the file or directory of the path.</summary>
    /// <param name="recursive">With the mounts below it.</param>
    [SkipLocalsInit]
    public static SafeFileHandle Clone(HostPath source, bool recursive)
    {
        byte* path = stackalloc byte[PathName.MaximumLength];
        return Clone(NativeOpen.CurrentDirectory, ((PathName)source.Value).Terminate(path), 0, recursive, source.Value);
    }

    /// <summary>As <see cref="Clone(HostPath, bool)"/> of what a descriptor names, wherever that lies now.</summary>
    public static SafeFileHandle Clone(SafeFileHandle source, bool recursive)
    {
        byte empty = 0;
        return Clone(source, &empty, NativeMounts.AT_EMPTY_PATH, recursive, "descriptor");
    }

    /// <summary>Changes a mount's attributes and propagation.</summary>
    /// <param name="tree">A descriptor of the mount's root.</param>
    /// <param name="recursive">All mounts below too.</param>
    public static void Change(SafeFileHandle tree, MountAttributeChange change, bool recursive)
    {
        byte empty = 0;
        int flags = NativeMounts.AT_EMPTY_PATH | (recursive ? NativeMounts.AT_RECURSIVE : 0);
        Check(NativeMounts.MountSetattr(NativeMounts.SYS_mount_setattr, tree, &empty, flags, &change, MountAttributeChange.Size), "mount_setattr");
    }

    /// <summary>
    /// Shows the files of a detached mount with the ids of a user namespace: what belongs to an id inside on disk belongs to the id that stands for
    /// it outside, and the other way round for what is written.
    /// </summary>
    /// <param name="recursive">The mounts below too.</param>
    /// <exception cref="KernelException">EINVAL: the file system cannot (Linux 5.12 began with ext4, XFS and FAT); EPERM: it is mapped already.</exception>
    public static void MapIds(SafeFileHandle tree, SafeFileHandle userNamespace, bool recursive)
    {
        byte empty = 0;
        int flags = NativeMounts.AT_EMPTY_PATH | (recursive ? NativeMounts.AT_RECURSIVE : 0);
        bool added = false;
        try
        {
            userNamespace.DangerousAddRef(ref added);
            var change = new MountAttributeChange(MountAttributes.IdMapped, MountAttributes.None, userNamespace: (ulong)userNamespace.DangerousGetHandle());
            Check(NativeMounts.MountSetattr(NativeMounts.SYS_mount_setattr, tree, &empty, flags, &change, MountAttributeChange.Size), "mount_setattr of an id map");
        }
        finally
        {
            if (added)
            {
                userNamespace.DangerousRelease();
            }
        }
    }

    /// <summary>Attaches a detached mount on the file or directory behind a descriptor.</summary>
    public static void Attach(SafeFileHandle tree, SafeFileHandle target)
    {
        byte empty = 0;
        const int Flags = NativeMounts.MOVE_MOUNT_F_EMPTY_PATH | NativeMounts.MOVE_MOUNT_T_EMPTY_PATH;
        Check(NativeMounts.MoveMount(NativeMounts.SYS_move_mount, tree, &empty, target, &empty, Flags), "move_mount");
    }

    /// <summary>umount2(2) of a host path, not followed (UMOUNT_NOFOLLOW).</summary>
    /// <param name="detach">MNT_DETACH: also while it is in use.</param>
    [SkipLocalsInit]
    public static void Unmount(HostPath target, bool detach)
    {
        byte* path = stackalloc byte[PathName.MaximumLength];
        ((PathName)target.Value).Terminate(path);
        Check(NativeMounts.Umount2(path, 8 | (detach ? 2 : 0)), $"umount \"{target}\"");
    }

    internal static SafeFileHandle Clone(SafeFileHandle directory, byte* path, int flags, bool recursive, string display)
    {
        flags |= NativeMounts.OPEN_TREE_CLONE | NativeMounts.OPEN_TREE_CLOEXEC | (recursive ? NativeMounts.AT_RECURSIVE : 0);
        nint descriptor = NativeMounts.OpenTree(NativeMounts.SYS_open_tree, directory, path, flags);
        if (descriptor < 0)
        {
            throw new KernelException($"open_tree \"{display}\"", Marshal.GetLastPInvokeError());
        }

        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    private static void Check(nint result, string operation)
    {
        if (result < 0)
        {
            throw new KernelException(operation, Marshal.GetLastPInvokeError());
        }
    }
}
