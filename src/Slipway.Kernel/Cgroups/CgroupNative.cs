using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>The system calls cgroupfs is driven by. Every path is one component below a directory descriptor.</summary>
internal static unsafe partial class CgroupNative
{
    public const int AT_FDCWD = -100;
    public const int AT_REMOVEDIR = 0x200;
    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_CLOEXEC = 0x80000;
    public const int O_PATH = 0x200000;
    public const int SIGKILL = 9;

    // fcntl.h gives these two other values on arm64 than on x86-64.
    public static readonly int O_DIRECTORY = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000 : 0x10000;
    public static readonly int O_NOFOLLOW = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x8000 : 0x20000;

    // asm-generic/unistd.h and syscall_64.tbl; the numbers of the pidfd calls are the same everywhere.
    private const long SYS_pidfd_send_signal = 424;
    private const long SYS_pidfd_open = 434;
    private static readonly long SYS_bpf = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 280 : 321;
    private static readonly long SYS_getdents64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 61 : 217;

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle OpenAt(SafeFileHandle directory, string name, int flags, uint mode = 0);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle Open(string path, int flags, uint mode = 0);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MkdirAt(SafeFileHandle directory, string name, uint mode);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UnlinkAt(SafeFileHandle directory, string name, int flags);

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int RenameAt(SafeFileHandle fromDirectory, string from, SafeFileHandle toDirectory, string to);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(SafeFileHandle file, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(SafeFileHandle file, byte* buffer, nuint count);

    /// <summary>getdents64(2): entries into <paramref name="buffer"/>; the bytes used, 0 at the end, -1 on error.</summary>
    public static int ReadDirectory(SafeFileHandle directory, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            return (int)SystemCall(SYS_getdents64, directory.DangerousGetHandle(), (nint)start, buffer.Length, 0);
        }
    }

    /// <summary>bpf(2).</summary>
    public static int Bpf(int command, void* attributes, uint size) => (int)SystemCall(SYS_bpf, command, (nint)attributes, (nint)size, 0);

    /// <summary>pidfd_open(2). The handle is invalid where no such process runs.</summary>
    public static SafeFileHandle PidfdOpen(int pid) => new((nint)SystemCall(SYS_pidfd_open, pid, 0, 0, 0), ownsHandle: true);

    /// <summary>pidfd_send_signal(2).</summary>
    public static int PidfdSendSignal(SafeFileHandle pidfd, int signal) =>
        (int)SystemCall(SYS_pidfd_send_signal, pidfd.DangerousGetHandle(), signal, 0, 0);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, nint first, nint second, nint third, nint fourth);
}
