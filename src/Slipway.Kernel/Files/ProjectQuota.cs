using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>
/// Project quotas (quotactl(2), PRJQUOTA): a file belongs to a project by a number of its inode, what is made in a directory that hands its number on belongs to the
/// directory's, and the file system bounds what a project's files take together. ext4 and XFS have them where they are mounted with <c>prjquota</c>. By quotactl_fd(2), Linux 5.14:
/// no device has to be named.
/// </summary>
public static class ProjectQuota
{
    /// <summary>The project of files that are in none.</summary>
    public const uint NoProject = 0;

    private const int BlockSize = 512;

    /// <summary>Whether the file system holds projects to their limits.</summary>
    /// <param name="file">Any on the file system.</param>
    public static unsafe bool IsEnforced(SafeFileHandle file)
    {
        // A file system, or a kernel, without quotas says so in several ways: ENOSYS, EINVAL, EOPNOTSUPP.
        NativeQuota.State state;
        return NativeQuota.Control(file, NativeQuota.Q_XGETQSTAT, 0, &state) == 0 && (state.Flags & NativeQuota.FS_QUOTA_PDQ_ENFD) != 0;
    }

    /// <summary>Whether nothing belongs to a project and nothing bounds it: nobody on this file system has the number.</summary>
    public static bool IsUnused(SafeFileHandle file, uint project) =>
        Get(file, project) is not { } quota
        || (quota.BlockHardLimit | quota.BlockSoftLimit | quota.InodeHardLimit | quota.InodeSoftLimit | quota.BlockCount | quota.InodeCount) == 0;

    /// <summary>Bytes that the files of a project may take together; null where there is no limit.</summary>
    public static long? LimitOf(SafeFileHandle file, uint project) =>
        Get(file, project) is { BlockHardLimit: > 0 } quota ? (long)quota.BlockHardLimit * BlockSize : null;

    /// <summary>Bounds what the files of a project take together.</summary>
    /// <param name="bytes">Rounded up to blocks of 512; null: no bound.</param>
    public static unsafe void SetLimit(SafeFileHandle file, uint project, long? bytes)
    {
        var blocks = (ulong)(((bytes ?? 0) + BlockSize - 1) / BlockSize);
        NativeQuota.DiskQuota quota = new()
        {
            Version = NativeQuota.FS_DQUOT_VERSION,
            Flags = NativeQuota.FS_PROJ_QUOTA,
            FieldMask = NativeQuota.FS_DQ_BHARD | NativeQuota.FS_DQ_BSOFT,
            Id = project,
            BlockHardLimit = blocks,
            BlockSoftLimit = blocks,
        };
        if (NativeQuota.Control(file, NativeQuota.Q_XSETQLIM, project, &quota) != 0)
        {
            throw new KernelException($"limit project {project}", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>The project of a file or directory; <see cref="NoProject"/> also where the file system knows none.</summary>
    /// <param name="file">Open, not only named (O_PATH).</param>
    public static unsafe uint Of(SafeFileHandle file)
    {
        NativeQuota.FileAttributes attributes;
        return NativeFiles.Ioctl(file, NativeQuota.FS_IOC_FSGETXATTR, &attributes) == 0 ? attributes.Project : NoProject;
    }

    /// <summary>Puts a directory, and what will be made in it, into a project.</summary>
    /// <param name="directory">Open, not only named (O_PATH).</param>
    public static unsafe void Assign(SafeFileHandle directory, uint project)
    {
        NativeQuota.FileAttributes attributes;
        if (NativeFiles.Ioctl(directory, NativeQuota.FS_IOC_FSGETXATTR, &attributes) == 0)
        {
            attributes.Flags |= NativeQuota.FS_XFLAG_PROJINHERIT;
            attributes.Project = project;
            if (NativeFiles.Ioctl(directory, NativeQuota.FS_IOC_FSSETXATTR, &attributes) == 0)
            {
                return;
            }
        }

        throw new KernelException($"put a directory into project {project}", Marshal.GetLastPInvokeError());
    }

    /// <summary>Null where the file system has no record of the project.</summary>
    private static unsafe NativeQuota.DiskQuota? Get(SafeFileHandle file, uint project)
    {
        NativeQuota.DiskQuota quota;
        if (NativeQuota.Control(file, NativeQuota.Q_XGETQUOTA, project, &quota) == 0)
        {
            return quota;
        }

        // XFS has no record before the first use; ext4 makes one up.
        int errno = Marshal.GetLastPInvokeError();
        return errno == Errno.ENOENT ? null : throw new KernelException($"quota of project {project}", errno);
    }
}

/// <summary>include/uapi/linux/{quota,dqblk_xfs,fs}.h.</summary>
internal static unsafe partial class NativeQuota
{
    internal const nuint FS_IOC_FSGETXATTR = 0x801c581f;
    internal const nuint FS_IOC_FSSETXATTR = 0x401c5820;
    internal const uint FS_XFLAG_PROJINHERIT = 0x200;

    internal const int Q_XGETQUOTA = 0x5803;
    internal const int Q_XSETQLIM = 0x5804;
    internal const int Q_XGETQSTAT = 0x5805;
    internal const ushort FS_QUOTA_PDQ_ENFD = 1 << 5;
    internal const sbyte FS_DQUOT_VERSION = 1;
    internal const sbyte FS_PROJ_QUOTA = 2;
    internal const ushort FS_DQ_BSOFT = 1 << 2;
    internal const ushort FS_DQ_BHARD = 1 << 3;

    private const int PRJQUOTA = 2;

    // The same on every architecture with the generic table (asm-generic/unistd.h), x86-64 included.
    private const int SYS_quotactl_fd = 443;

    /// <summary>A command for project quotas; QCMD of sys/quota.h.</summary>
    internal static nint Control(SafeHandle file, int command, uint project, void* argument) =>
        QuotactlFd(SYS_quotactl_fd, file, (nuint)(uint)((command << 8) | PRJQUOTA), project, argument);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint QuotactlFd(nint number, SafeHandle file, nuint command, nuint id, void* argument);

    /// <summary>struct fsxattr, 28 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 28)]
    internal struct FileAttributes
    {
        internal uint Flags;
        private uint _extentSize;
        private uint _extents;
        internal uint Project;
    }

    /// <summary>struct fs_disk_quota, 112 bytes; what follows is of timers and warnings. Blocks have 512 bytes, whatever the file system's.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 112)]
    internal struct DiskQuota
    {
        internal sbyte Version;
        internal sbyte Flags;
        internal ushort FieldMask;
        internal uint Id;
        internal ulong BlockHardLimit;
        internal ulong BlockSoftLimit;
        internal ulong InodeHardLimit;
        internal ulong InodeSoftLimit;
        internal ulong BlockCount;
        internal ulong InodeCount;
    }

    /// <summary>struct fs_quota_stat, 80 bytes; where the quotas are kept follows.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 80)]
    internal struct State
    {
        private sbyte _version;
        internal ushort Flags;
    }
}
