using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>The file type bits of st_mode (inode(7)).</summary>
public enum FileType : uint
{
    None = 0,
    Fifo = 0x1000,
    CharacterDevice = 0x2000,
    Directory = 0x4000,
    BlockDevice = 0x6000,
    RegularFile = 0x8000,
    SymbolicLink = 0xA000,
    Socket = 0xC000,
}

/// <summary>Seconds and nanoseconds since the epoch (struct timespec). <see cref="Now"/> and <see cref="Unchanged"/> as utimensat(2) has them.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct FileTime(long Seconds, long Nanoseconds)
{
    public static FileTime Now => new(0, 0x3fffffff);

    public static FileTime Unchanged => new(0, 0x3ffffffe);
}

/// <summary>What statx(2) says of a file, a symbolic link never followed.</summary>
public readonly record struct FileStatus
{
    public FileType Type { get; init; }

    /// <summary>Permissions with set-id and sticky bits: 07777.</summary>
    public uint Permissions { get; init; }

    public uint UserId { get; init; }

    public uint GroupId { get; init; }

    /// <summary>Bytes.</summary>
    public long Size { get; init; }

    /// <summary>Units of 512 bytes.</summary>
    public long Blocks { get; init; }

    public uint LinkCount { get; init; }

    public ulong Inode { get; init; }

    /// <summary>Of the file system the file lies on.</summary>
    public DeviceNumber Device { get; init; }

    /// <summary>Of a device node.</summary>
    public DeviceNumber SpecialDevice { get; init; }

    /// <summary>0 where the kernel (before 5.8) does not tell.</summary>
    public ulong MountId { get; init; }

    /// <summary>Whether it is the root of a mount.</summary>
    public bool IsMountRoot { get; init; }

    public FileTime AccessTime { get; init; }

    public FileTime ModificationTime { get; init; }

    public FileTime ChangeTime { get; init; }

    public bool IsDirectory => Type == FileType.Directory;

    public bool IsRegularFile => Type == FileType.RegularFile;

    public bool IsSymbolicLink => Type == FileType.SymbolicLink;

    /// <summary>Whether both are the same file.</summary>
    public bool IsSameFile(in FileStatus other) => Inode == other.Inode && Device == other.Device;

    /// <summary>Of an open file; O_PATH descriptors too.</summary>
    public static FileStatus Of(SafeFileHandle file) => Of(file, default, NativeFiles.AT_EMPTY_PATH);

    /// <summary>Of a name in a directory.</summary>
    public static FileStatus Of(SafeFileHandle directory, PathName name) => Of(directory, name, 0);

    /// <summary>Of a name in a directory, or null where there is none.</summary>
    public static FileStatus? TryOf(SafeFileHandle directory, PathName name)
    {
        int errno = Call(directory, name, 0, out FileStatus status);
        return errno switch
        {
            0 => status,
            Errno.ENOENT => null,
            _ => throw new KernelException($"stat \"{name.ToString()}\"", errno),
        };
    }

    private static FileStatus Of(SafeFileHandle directory, PathName name, int flags)
    {
        int errno = Call(directory, name, flags, out FileStatus status);
        return errno == 0 ? status : throw new KernelException($"stat \"{name.ToString()}\"", errno);
    }

    [SkipLocalsInit]
    private static unsafe int Call(SafeFileHandle directory, PathName name, int flags, out FileStatus status)
    {
        byte* path = stackalloc byte[PathName.MaximumLength];
        if (flags == NativeFiles.AT_EMPTY_PATH)
        {
            path[0] = 0;
        }
        else
        {
            name.TerminateName(path);
        }

        NativeFiles.StatxBuffer buffer;
        const uint Wanted = NativeFiles.STATX_BASIC_STATS | NativeFiles.STATX_MNT_ID;
        if (NativeFiles.Statx(directory, path, flags | NativeFiles.AT_SYMLINK_NOFOLLOW | NativeFiles.AT_NO_AUTOMOUNT, Wanted, &buffer) < 0)
        {
            status = default;
            return Marshal.GetLastPInvokeError();
        }

        status = new FileStatus
        {
            Type = (FileType)(buffer.Mode & 0xF000u),
            Permissions = buffer.Mode & 0xFFFu,
            UserId = buffer.Uid,
            GroupId = buffer.Gid,
            Size = (long)buffer.Size,
            Blocks = (long)buffer.Blocks,
            LinkCount = buffer.LinkCount,
            Inode = buffer.Inode,
            Device = new DeviceNumber(buffer.DevMajor, buffer.DevMinor),
            SpecialDevice = new DeviceNumber(buffer.RdevMajor, buffer.RdevMinor),
            MountId = (buffer.Mask & NativeFiles.STATX_MNT_ID) != 0 ? buffer.MountId : 0,
            IsMountRoot = (buffer.Attributes & NativeFiles.STATX_ATTR_MOUNT_ROOT) != 0,
            AccessTime = new FileTime(buffer.AccessTime.Seconds, buffer.AccessTime.Nanoseconds),
            ModificationTime = new FileTime(buffer.ModificationTime.Seconds, buffer.ModificationTime.Nanoseconds),
            ChangeTime = new FileTime(buffer.ChangeTime.Seconds, buffer.ChangeTime.Nanoseconds),
        };
        return 0;
    }
}

/// <summary>A device number (makedev(3)).</summary>
public readonly record struct DeviceNumber(uint Major, uint Minor)
{
    /// <summary>As mknod(2) takes it: glibc's dev_t.</summary>
    internal ulong Encoded =>
        (Minor & 0xffUL) | ((Major & 0xfffUL) << 8) | (((ulong)Minor & 0xffffff00UL) << 12) | (((ulong)Major & 0xfffff000UL) << 32);
}
