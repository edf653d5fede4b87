using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>A system call by name; <see cref="SystemCalls.Number"/> gives its number on this architecture.</summary>
public enum SystemCall
{
    Read, Write, Close, CloseRange, Dup3, Fcntl, Ioctl, OpenAt, OpenAt2, MkdirAt, MknodAt, SymlinkAt, UnlinkAt, FchmodAt, FchownAt, Fchown,
    Chdir, Fchdir, Chroot, PivotRoot, Mount, Umount2, FsOpen, FsConfig, FsMount, MoveMount, OpenTree, MountSetattr, Statx,
    Unshare, Setns, Sethostname, Setdomainname, Setsid, Setpgid, Umask, Prctl, Prlimit64, Setgroups, Setresuid, Setresgid, Capset,
    Seccomp, RtSigaction, RtSigprocmask, Socket, Sendto, Recvfrom, Setpriority, IoprioSet, SchedSetscheduler, SchedSetaffinity,
    Personality, Keyctl, Execve, ExecveAt, ExitGroup, Kill, Getpid, Ppoll, Munmap,
}

/// <summary>System call numbers (arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h).</summary>
public static class SystemCalls
{
    /// <summary>The number of <paramref name="call"/> on <paramref name="architecture"/>.</summary>
    public static int Number(SystemCall call, Architecture architecture) => architecture switch
    {
        Architecture.X64 => Pair(call).X64,
        Architecture.Arm64 => Pair(call).Arm64,
        _ => throw new PlatformNotSupportedException($"Slipway launches containers on x86-64 and arm64, not on {architecture}"),
    };

    private static (int X64, int Arm64) Pair(SystemCall call) => call switch
    {
        SystemCall.Read => (0, 63),
        SystemCall.Write => (1, 64),
        SystemCall.Close => (3, 57),
        SystemCall.CloseRange => (436, 436),
        SystemCall.Dup3 => (292, 24),
        SystemCall.Fcntl => (72, 25),
        SystemCall.Ioctl => (16, 29),
        SystemCall.OpenAt => (257, 56),
        SystemCall.OpenAt2 => (437, 437),
        SystemCall.MkdirAt => (258, 34),
        SystemCall.MknodAt => (259, 33),
        SystemCall.SymlinkAt => (266, 36),
        SystemCall.UnlinkAt => (263, 35),
        SystemCall.FchmodAt => (268, 53),
        SystemCall.FchownAt => (260, 54),
        SystemCall.Fchown => (93, 55),
        SystemCall.Chdir => (80, 49),
        SystemCall.Fchdir => (81, 50),
        SystemCall.Chroot => (161, 51),
        SystemCall.PivotRoot => (155, 41),
        SystemCall.Mount => (165, 40),
        SystemCall.Umount2 => (166, 39),
        SystemCall.FsOpen => (430, 430),
        SystemCall.FsConfig => (431, 431),
        SystemCall.FsMount => (432, 432),
        SystemCall.MoveMount => (429, 429),
        SystemCall.OpenTree => (428, 428),
        SystemCall.MountSetattr => (442, 442),
        SystemCall.Statx => (332, 291),
        SystemCall.Unshare => (272, 97),
        SystemCall.Setns => (308, 268),
        SystemCall.Sethostname => (170, 161),
        SystemCall.Setdomainname => (171, 162),
        SystemCall.Setsid => (112, 157),
        SystemCall.Setpgid => (109, 154),
        SystemCall.Umask => (95, 166),
        SystemCall.Prctl => (157, 167),
        SystemCall.Prlimit64 => (302, 261),
        SystemCall.Setgroups => (116, 159),
        SystemCall.Setresuid => (117, 147),
        SystemCall.Setresgid => (119, 149),
        SystemCall.Capset => (126, 91),
        SystemCall.Seccomp => (317, 277),
        SystemCall.RtSigaction => (13, 134),
        SystemCall.RtSigprocmask => (14, 135),
        SystemCall.Socket => (41, 198),
        SystemCall.Sendto => (44, 206),
        SystemCall.Recvfrom => (45, 207),
        SystemCall.Setpriority => (141, 140),
        SystemCall.IoprioSet => (251, 30),
        SystemCall.SchedSetscheduler => (144, 119),
        SystemCall.SchedSetaffinity => (203, 122),
        SystemCall.Personality => (135, 92),
        SystemCall.Keyctl => (250, 219),
        SystemCall.Execve => (59, 221),
        SystemCall.ExecveAt => (322, 281),
        SystemCall.ExitGroup => (231, 94),
        SystemCall.Kill => (62, 129),
        SystemCall.Getpid => (39, 172),
        SystemCall.Ppoll => (271, 73),
        SystemCall.Munmap => (11, 215),
        _ => throw new ArgumentOutOfRangeException(nameof(call)),
    };
}
