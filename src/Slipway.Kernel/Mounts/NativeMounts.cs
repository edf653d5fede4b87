using System.Runtime.InteropServices;

namespace Slipway.Kernel.Mounts;

/// <summary>The mount system calls. The newer ones by number: glibc has them since 2.36 only.</summary>
internal static unsafe partial class NativeMounts
{
    // The same on every architecture with the generic table.
    internal const int SYS_open_tree = 428;
    internal const int SYS_move_mount = 429;
    internal const int SYS_fsopen = 430;
    internal const int SYS_fsconfig = 431;
    internal const int SYS_fsmount = 432;
    internal const int SYS_mount_setattr = 442;

    internal const int AT_EMPTY_PATH = 0x1000;
    internal const int AT_RECURSIVE = 0x8000;
    internal const int OPEN_TREE_CLONE = 1;
    internal const int OPEN_TREE_CLOEXEC = 0x80000;
    internal const int MOVE_MOUNT_F_EMPTY_PATH = 0x4;
    internal const int MOVE_MOUNT_T_EMPTY_PATH = 0x40;
    internal const int FSOPEN_CLOEXEC = 1;
    internal const int FSMOUNT_CLOEXEC = 1;
    internal const int FSCONFIG_SET_FLAG = 0;
    internal const int FSCONFIG_SET_STRING = 1;
    internal const int FSCONFIG_SET_FD = 5;
    internal const int FSCONFIG_CMD_CREATE = 6;
    internal const int CLONE_NEWNS = 0x20000;
    internal const ulong MS_REC = 0x4000;
    internal const ulong MS_PRIVATE = 1 << 18;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint OpenTree(nint number, SafeHandle directory, byte* path, nint flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint MoveMount(nint number, SafeHandle from, byte* fromPath, SafeHandle to, byte* toPath, nint flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint FsOpen(nint number, byte* type, nint flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint FsConfig(nint number, SafeHandle context, nint command, byte* key, byte* value, nint auxiliary);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint FsMount(nint number, SafeHandle context, nint flags, nint attributes);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint MountSetattr(nint number, SafeHandle tree, byte* path, nint flags, MountAttributeChange* change, nint size);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true)]
    internal static partial int Mount(byte* source, byte* target, byte* type, ulong flags, byte* data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true)]
    internal static partial int Umount2(byte* target, int flags);

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    internal static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    internal static partial nint Read(SafeHandle file, byte* buffer, nint size);
}
