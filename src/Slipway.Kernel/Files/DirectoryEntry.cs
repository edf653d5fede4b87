using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>
/// Operations on one name in an open directory. The name is a single component and is never followed when it is a symbolic link, so
/// none of these can reach out of the directory, whoever changes it meanwhile.
/// </summary>
public static unsafe class DirectoryEntry
{
    /// <summary>Opens the entry; ELOOP where it is a symbolic link (unless with O_PATH, which names the link itself).</summary>
    public static SafeFileHandle Open(SafeFileHandle directory, PathName name, OpenFlags flags, uint mode = 0)
    {
        int errno = TryOpen(directory, name, flags, out SafeFileHandle? file, mode);
        return errno == 0 ? file! : throw Failure("open", name, errno);
    }

    /// <returns>0 or the error number.</returns>
    public static int TryOpen(SafeFileHandle directory, PathName name, OpenFlags flags, out SafeFileHandle? file, uint mode = 0)
    {
        RequireName(name);
        return NativeOpen.TryOpen(directory, name, flags | OpenFlags.NoFollow, mode, Resolution.Beneath | Resolution.NoMagicLinks, out file);
    }

    /// <summary>Creates a regular file and opens it for writing; EEXIST where the name is taken.</summary>
    /// <param name="mode">Permissions, before the umask.</param>
    public static SafeFileHandle CreateFile(SafeFileHandle directory, PathName name, uint mode) =>
        Open(directory, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, mode);

    /// <param name="mode">Permissions, before the umask.</param>
    public static void CreateDirectory(SafeFileHandle directory, PathName name, uint mode)
    {
        int errno = TryCreateDirectory(directory, name, mode);
        if (errno != 0)
        {
            throw Failure("mkdir", name, errno);
        }
    }

    /// <returns>0 or the error number.</returns>
    [SkipLocalsInit]
    public static int TryCreateDirectory(SafeFileHandle directory, PathName name, uint mode)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        return NativeFiles.MkdirAt(directory, name.TerminateName(entry), mode) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <param name="target">The link's text, of any form; it is stored, not followed.</param>
    [SkipLocalsInit]
    public static void CreateSymbolicLink(SafeFileHandle directory, PathName name, PathName target)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* text = stackalloc byte[PathName.MaximumLength];
        Check(NativeFiles.SymlinkAt(target.Terminate(text), directory, name.TerminateName(entry)), "symlink", name);
    }

    /// <summary>Links an existing entry, a symbolic link as itself, under a second name.</summary>
    [SkipLocalsInit]
    public static void CreateHardLink(SafeFileHandle directory, PathName name, SafeFileHandle newDirectory, PathName newName)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* newEntry = stackalloc byte[PathName.MaximumLength];
        Check(NativeFiles.LinkAt(directory, name.TerminateName(entry), newDirectory, newName.TerminateName(newEntry), 0), "link", newName);
    }

    /// <summary>Links the file behind a descriptor under a name: O_PATH or O_TMPFILE.</summary>
    [SkipLocalsInit]
    public static void CreateHardLink(SafeFileHandle file, SafeFileHandle newDirectory, PathName newName)
    {
        byte empty = 0;
        byte* newEntry = stackalloc byte[PathName.MaximumLength];
        Check(NativeFiles.LinkAt(file, &empty, newDirectory, newName.TerminateName(newEntry), NativeFiles.AT_EMPTY_PATH), "link", newName);
    }

    /// <summary>mknod(2): device node, FIFO, socket or empty file.</summary>
    /// <param name="permissions">Before the umask.</param>
    [SkipLocalsInit]
    public static void CreateNode(SafeFileHandle directory, PathName name, FileType type, uint permissions, DeviceNumber device = default)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        Check(NativeFiles.MknodAt(directory, name.TerminateName(entry), (uint)type | permissions, device.Encoded), "mknod", name);
    }

    /// <summary>Removes a name that is no directory.</summary>
    public static void Unlink(SafeFileHandle directory, PathName name)
    {
        int errno = TryUnlink(directory, name, 0);
        if (errno != 0)
        {
            throw Failure("unlink", name, errno);
        }
    }

    /// <summary>Removes an empty directory.</summary>
    public static void RemoveDirectory(SafeFileHandle directory, PathName name)
    {
        int errno = TryUnlink(directory, name, NativeFiles.AT_REMOVEDIR);
        if (errno != 0)
        {
            throw Failure("rmdir", name, errno);
        }
    }

    [SkipLocalsInit]
    internal static int TryUnlink(SafeFileHandle directory, PathName name, int flags)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        return NativeFiles.UnlinkAt(directory, name.TerminateName(entry), flags) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>renameat2(2).</summary>
    [SkipLocalsInit]
    public static void Rename(
        SafeFileHandle directory, PathName name, SafeFileHandle newDirectory, PathName newName, RenameFlags flags = RenameFlags.Replace)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* newEntry = stackalloc byte[PathName.MaximumLength];
        Check(NativeFiles.RenameAt2(directory, name.TerminateName(entry), newDirectory, newName.TerminateName(newEntry), (uint)flags), "rename", name);
    }

    [SkipLocalsInit]
    public static void ChangeOwner(SafeFileHandle directory, PathName name, uint userId, uint groupId)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        Check(NativeFiles.FChownAt(directory, name.TerminateName(entry), userId, groupId, NativeFiles.AT_SYMLINK_NOFOLLOW), "chown", name);
    }

    /// <summary>chmod of the entry itself; EOPNOTSUPP where it is a symbolic link.</summary>
    [SkipLocalsInit]
    public static void ChangeMode(SafeFileHandle directory, PathName name, uint permissions)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        name.TerminateName(entry);
        if (NativeFiles.FChmodAt2(NativeFiles.SYS_fchmodat2, directory, entry, permissions, NativeFiles.AT_SYMLINK_NOFOLLOW) == 0)
        {
            return;
        }

        int errno = Marshal.GetLastPInvokeError();
        if (errno != Errno.ENOSYS)
        {
            throw Failure("chmod", name, errno);
        }

        using SafeFileHandle file = Open(directory, name, OpenFlags.Path);
        Descriptors.ChangeMode(file, permissions);
    }

    [SkipLocalsInit]
    public static void SetTimes(SafeFileHandle directory, PathName name, FileTime access, FileTime modification)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        FileTime* times = stackalloc FileTime[2];
        times[0] = access;
        times[1] = modification;
        Check(NativeFiles.UtimensAt(directory, name.TerminateName(entry), times, NativeFiles.AT_SYMLINK_NOFOLLOW), "utimensat", name);
    }

    /// <summary>The text of a symbolic link.</summary>
    public static byte[] ReadLink(SafeFileHandle directory, PathName name)
    {
        RequireName(name);
        return ReadLinkCore(directory, name, "readlink");
    }

    [SkipLocalsInit]
    internal static byte[] ReadLinkCore(SafeFileHandle directory, PathName name, string operation)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* text = stackalloc byte[PathName.MaximumLength];
        nint length = NativeFiles.ReadLinkAt(directory, name.Terminate(entry), text, PathName.MaximumLength);
        if (length < 0)
        {
            throw Failure(operation, name, Marshal.GetLastPInvokeError());
        }

        return new Span<byte>(text, (int)length).ToArray();
    }

    private static void RequireName(PathName name)
    {
        if (!name.IsEntryName)
        {
            throw new KernelException($"\"{name.ToString()}\" is not a name inside a directory", Errno.EINVAL);
        }
    }

    private static void Check(int result, string operation, PathName name)
    {
        if (result < 0)
        {
            throw Failure(operation, name, Marshal.GetLastPInvokeError());
        }
    }

    [StackTraceHidden]
    private static KernelException Failure(string operation, PathName name, int errno) => new($"{operation} \"{name.ToString()}\"", errno);
}

/// <summary>RENAME_* (renameat2(2)).</summary>
public enum RenameFlags
{
    /// <summary>An existing target is replaced.</summary>
    Replace = 0,

    /// <summary>EEXIST where the target exists.</summary>
    NoReplace = 1,

    /// <summary>Both names are swapped.</summary>
    Exchange = 2,
}
