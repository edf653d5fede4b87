using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>libc's functions for memory, waiting, namespaces and terminals (man sections 2 and 3 of the same names).</summary>
internal static unsafe partial class ProcessNative
{
    public const int PROT_READ = 1;
    public const int PROT_WRITE = 2;
    public const int PROT_EXEC = 4;
    public const int MAP_SHARED = 1;
    public const int MAP_PRIVATE = 2;
    public const int MAP_ANONYMOUS = 0x20;

    public const int P_PIDFD = 3;
    public const int WNOHANG = 1;
    public const int WEXITED = 4;
    public const int WNOWAIT = 0x01000000;
    public const int __WALL = 0x40000000;
    public const int CLD_EXITED = 1;

    public const int PR_SET_DUMPABLE = 4;

    public static readonly void* MAP_FAILED = (void*)-1;

    // System call numbers of calls that old C libraries do not wrap; equal on all architectures since 5.0.
    private const int SYS_pidfd_send_signal = 424;
    private const int SYS_pidfd_open = 434;

    [LibraryImport("libc", SetLastError = true)]
    public static partial void* mmap(void* address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int mprotect(void* address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int munmap(void* address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int waitid(int idType, int id, SignalInfo* info, int options);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int setns(int descriptor, int kind);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int prctl(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ioctl(int descriptor, nuint request, void* argument);

    public static int pidfd_open(int pid, uint flags) => (int)syscall(SYS_pidfd_open, pid, (nint)flags, 0, 0);

    public static int pidfd_send_signal(int pidfd, int signal) => (int)syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0);

    public static int futex(uint* word, int operation, uint value, TimeSpecification* timeout) =>
        (int)syscall(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 98 : 202, (nint)word, operation, (nint)value, (nint)timeout);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint argument1, nint argument2, nint argument3, nint argument4);

    /// <summary>struct timespec of the kernel, 64-bit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct TimeSpecification
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>siginfo_t as waitid fills it on 64-bit (bits/types/siginfo_t.h).</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    public struct SignalInfo
    {
        public int Number;
        public int Error;
        public int Code;
        private readonly int _padding;
        public int Pid;
        public uint Uid;
        public int Status;
    }
}
