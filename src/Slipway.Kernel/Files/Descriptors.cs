using System.Buffers.Text;
using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>Operations on an open descriptor.</summary>
public static class Descriptors
{
    public const long ProcSuperMagic = 0x9fa0;
    public const long DevptsSuperMagic = 0x1cd1;
    public const long TmpfsMagic = 0x01021994;
    public const long OverlayfsSuperMagic = 0x794c7630;
    public const long SysfsMagic = 0x62656572;

    // include/uapi/linux/magic.h; mqueue and configfs have theirs in ipc/mqueue.c and fs/configfs/mount.c.
    private static readonly FrozenSet<long> s_kernelFileSystems = new long[]
    {
        ProcSuperMagic, SysfsMagic, DevptsSuperMagic,
        0x27e0eb, // cgroup
        0x63677270, // cgroup2
        0x64626720, // debugfs
        0x74726163, // tracefs
        0x73636673, // securityfs
        0x62656570, // configfs
        0xcafe4a11, // bpf
        0xde5e81e4, // efivarfs
        0x6165676c, // pstore
        0x42494e4d, // binfmt_misc
        0xf97cff8c, // selinuxfs
        0x43415d53, // smackfs
        0x19800202, // mqueue
        0x6e736673, // nsfs
        0x65735543, // the control file system of FUSE
    }.ToFrozenSet();

    /// <summary>Held open, so that reopening a file does not look up <c>/proc</c>, <c>self</c> and the directory each time.</summary>
    private static readonly Lazy<SafeFileHandle> s_ownDescriptors =
        new(() => NativeOpen.Open(NativeOpen.CurrentDirectory, "/proc/self/fd"u8, OpenFlags.Path | OpenFlags.Directory, 0, Resolution.None));

    /// <summary>The magic number of the file system the file lies on (statfs(2), f_type).</summary>
    public static unsafe long FileSystemType(SafeFileHandle file)
    {
        NativeFiles.StatFsBuffer buffer;
        Check(NativeFiles.FStatFs(file, &buffer), "statfs");
        return buffer.Type;
    }

    /// <summary>Whether the file lies on one of the file systems through which the kernel tells of itself and is configured: nothing there is data.</summary>
    public static bool IsOnKernelFileSystem(SafeFileHandle file) => s_kernelFileSystems.Contains(FileSystemType(file));

    /// <summary>Whether the mount of the file, or its file system, is read-only.</summary>
    public static unsafe bool IsOnReadOnlyMount(SafeFileHandle file)
    {
        NativeFiles.StatFsBuffer buffer;
        Check(NativeFiles.FStatFs(file, &buffer), "statfs");
        return (buffer.Flags & NativeFiles.ST_RDONLY) != 0;
    }

    /// <summary>Bytes free to an unprivileged user on the file's file system.</summary>
    public static unsafe long FreeSpace(SafeFileHandle file)
    {
        NativeFiles.StatFsBuffer buffer;
        Check(NativeFiles.FStatFs(file, &buffer), "statfs");
        return (long)buffer.BlocksAvailable * buffer.BlockSize;
    }

    /// <summary>
    /// Asks the file system to spread the subdirectories of a directory over the disk, since they have nothing to do with each other
    /// (ioctl_iflags(2), FS_TOPDIR_FL). With ext4 this also keeps new files away from where many were deleted just now, which an inode search without
    /// a journal walks over one by one. Nothing happens on a file system that has no such attribute.
    /// </summary>
    public static unsafe void SpreadSubdirectories(SafeFileHandle directory)
    {
        int flags;
        if (NativeFiles.Ioctl(directory, NativeFiles.FS_IOC_GETFLAGS, &flags) == 0 && (flags & NativeFiles.FS_TOPDIR_FL) == 0)
        {
            flags |= NativeFiles.FS_TOPDIR_FL;
            _ = NativeFiles.Ioctl(directory, NativeFiles.FS_IOC_SETFLAGS, &flags);
        }
    }

    /// <summary>A second descriptor of the same open file.</summary>
    public static SafeFileHandle Duplicate(SafeHandle file)
    {
        int descriptor = NativeFiles.Fcntl(file, NativeFiles.F_DUPFD_CLOEXEC, 3);
        Check(descriptor, "dup");
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Opens the file behind an O_PATH descriptor: the very file, not whatever has its name now.</summary>
    [SkipLocalsInit]
    public static SafeFileHandle Reopen(SafeFileHandle file, OpenFlags flags)
    {
        Span<byte> name = stackalloc byte[MaximumProcPath];
        Utf8Formatter.TryFormat((int)file.DangerousGetHandle(), name, out int length);
        return NativeOpen.Open(s_ownDescriptors.Value, name[..length], flags, 0, Resolution.None);
    }

    /// <summary>
    /// Reads a regular file to its end.
    /// </summary>
    /// <param name="maximum">Bytes; a longer file is an error (EFBIG), not a cut one.</param>
    [SkipLocalsInit]
    public static unsafe byte[] ReadToEnd(SafeFileHandle file, int maximum)
    {
        long size = FileStatus.Of(file).Size;
        if (size > maximum)
        {
            throw new KernelException($"read a file of more than {maximum} bytes", Errno.EFBIG);
        }

        // Files of procfs have size 0; others may grow while they are read.
        byte[] buffer = new byte[Math.Min(maximum, Math.Max(size, 1024)) + 1];
        int length = 0;
        while (true)
        {
            nint count;
            fixed (byte* start = &buffer[length])
            {
                count = NativeFiles.Read(file, start, buffer.Length - length);
            }

            if (count < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno == Errno.EINTR)
                {
                    continue;
                }

                throw new KernelException("read", errno);
            }

            if (count == 0)
            {
                return length == buffer.Length ? buffer : buffer[..length];
            }

            length += (int)count;
            if (length > maximum)
            {
                throw new KernelException($"read a file of more than {maximum} bytes", Errno.EFBIG);
            }

            if (length == buffer.Length)
            {
                Array.Resize(ref buffer, Math.Min(buffer.Length * 4, maximum + 1));
            }
        }
    }

    /// <summary>Writes all bytes at the file position.</summary>
    public static unsafe void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            nint count;
            fixed (byte* start = bytes)
            {
                count = NativeFiles.Write(file, start, bytes.Length);
            }

            if (count >= 0)
            {
                bytes = bytes[(int)count..];
            }
            else if (Marshal.GetLastPInvokeError() is int errno and not Errno.EINTR)
            {
                throw new KernelException("write", errno);
            }
        }
    }

    /// <summary>Reads at an offset (pread(2)): one call where .NET's own first asks what kind of file it is.</summary>
    /// <returns>Bytes read; 0 at the end.</returns>
    public static unsafe int ReadAt(SafeFileHandle file, Span<byte> buffer, long offset)
    {
        while (true)
        {
            nint count;
            fixed (byte* start = buffer)
            {
                count = NativeFiles.PRead(file, start, buffer.Length, offset);
            }

            if (count >= 0)
            {
                return (int)count;
            }

            if (Marshal.GetLastPInvokeError() is int errno and not Errno.EINTR)
            {
                throw new KernelException("read", errno);
            }
        }
    }

    /// <summary>Writes all bytes at an offset (pwrite(2)): one call where .NET's own first asks what kind of file it is.</summary>
    public static unsafe void WriteAt(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            nint count;
            fixed (byte* start = bytes)
            {
                count = NativeFiles.PWrite(file, start, bytes.Length, offset);
            }

            if (count >= 0)
            {
                bytes = bytes[(int)count..];
                offset += count;
            }
            else if (Marshal.GetLastPInvokeError() is int errno and not Errno.EINTR)
            {
                throw new KernelException("write", errno);
            }
        }
    }

    /// <summary>Locks the file (flock(2)) until the descriptor is closed, however the process ends; false where somebody else has it locked.</summary>
    public static bool TryLock(SafeFileHandle file)
    {
        if (NativeFiles.FLock(file, NativeFiles.LOCK_EX | NativeFiles.LOCK_NB) == 0)
        {
            return true;
        }

        int errno = Marshal.GetLastPInvokeError();
        return errno == Errno.EAGAIN ? false : throw new KernelException("flock", errno);
    }

    /// <summary>fsync(2). For a directory: its entries.</summary>
    public static void Sync(SafeFileHandle file) => Check(NativeFiles.FSync(file), "fsync");

    /// <summary>syncfs(2): the whole file system.</summary>
    public static void SyncFileSystem(SafeFileHandle file) => Check(NativeFiles.SyncFs(file), "syncfs");

    /// <summary>fchmod(2), also for an O_PATH descriptor (through /proc/self/fd; a link fails with EOPNOTSUPP).</summary>
    [SkipLocalsInit]
    public static unsafe void ChangeMode(SafeFileHandle file, uint permissions)
    {
        byte empty = 0;
        if (NativeFiles.FChmodAt2(NativeFiles.SYS_fchmodat2, file, &empty, permissions, NativeFiles.AT_EMPTY_PATH) == 0)
        {
            return;
        }

        int errno = Marshal.GetLastPInvokeError();
        if (errno == Errno.ENOSYS)
        {
            // Before Linux 6.6. chmod(2) of the magic link acts on the file itself.
            byte* path = stackalloc byte[MaximumProcPath];
            FormatProcPath(file, new Span<byte>(path, MaximumProcPath));
            errno = NativeFiles.Chmod(path, permissions) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }

        if (errno != 0)
        {
            throw new KernelException($"chmod {Convert.ToString(permissions, 8)}", errno);
        }
    }

    /// <summary>fchown(2), also for an O_PATH descriptor, a symbolic link's included.</summary>
    public static unsafe void ChangeOwner(SafeFileHandle file, uint userId, uint groupId)
    {
        byte empty = 0;
        Check(NativeFiles.FChownAt(file, &empty, userId, groupId, NativeFiles.AT_EMPTY_PATH), "chown");
    }

    /// <summary>utimensat(2) on the descriptor itself, an O_PATH one included (Linux 5.8).</summary>
    public static unsafe void SetTimes(SafeFileHandle file, FileTime access, FileTime modification)
    {
        byte empty = 0;
        FileTime* times = stackalloc FileTime[2] { access, modification };
        Check(NativeFiles.UtimensAt(file, &empty, times, NativeFiles.AT_EMPTY_PATH), "utimensat");
    }

    /// <summary>The target of the symbolic link behind an O_PATH descriptor.</summary>
    public static byte[] ReadLink(SafeFileHandle link) => DirectoryEntry.ReadLinkCore(link, ""u8, "readlink");

    internal const int MaximumProcPath = 40;

    /// <summary>Writes <c>/proc/self/fd/N</c> and a NUL. Returns the length without it.</summary>
    /// <remarks>The host's /proc is trusted: only one with privileges over the host could mount something else there.</remarks>
    internal static int FormatProcPath(SafeFileHandle file, Span<byte> buffer)
    {
        "/proc/self/fd/"u8.CopyTo(buffer);
        Utf8Formatter.TryFormat((int)file.DangerousGetHandle(), buffer[14..], out int digits);
        buffer[14 + digits] = 0;
        return 14 + digits;
    }

    private static void Check(int result, string operation)
    {
        if (result < 0)
        {
            throw new KernelException(operation, Marshal.GetLastPInvokeError());
        }
    }
}
