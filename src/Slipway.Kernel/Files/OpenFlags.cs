using System.Runtime.InteropServices;

namespace Slipway.Kernel.Files;

/// <summary>O_* (open(2)). The values are those of x86-64; <see cref="OpenFlagsExtensions.ToNative"/> gives the machine's.</summary>
[Flags]
public enum OpenFlags
{
    ReadOnly = 0,
    WriteOnly = 1,
    ReadWrite = 2,
    Create = 0x40,
    Exclusive = 0x80,
    NoControllingTerminal = 0x100,
    Truncate = 0x200,
    Append = 0x400,
    NonBlocking = 0x800,
    Directory = 0x10000,
    NoFollow = 0x20000,

    /// <summary>O_NOATIME: reading leaves no trace; EPERM where the file is somebody else's and the caller may not act for him.</summary>
    NoAccessTime = 0x40000,
    CloseOnExec = 0x80000,

    /// <summary>O_PATH: names the file without opening it; no driver or FIFO notices.</summary>
    Path = 0x200000,

    /// <summary>O_TMPFILE: an unnamed file in the directory.</summary>
    TemporaryFile = 0x400000 | Directory,
}

/// <summary>RESOLVE_* (openat2(2)): how a path may be followed.</summary>
[Flags]
public enum Resolution
{
    None = 0,

    /// <summary>Not into another mount.</summary>
    NoCrossDevice = 0x1,

    /// <summary>Not through links like /proc/PID/fd/N, which jump anywhere.</summary>
    NoMagicLinks = 0x2,

    NoSymbolicLinks = 0x4,

    /// <summary>Fail rather than leave the directory.</summary>
    Beneath = 0x8,

    /// <summary>The directory is the root: absolute links and <c>..</c> stay inside.</summary>
    InRoot = 0x10,

    /// <summary>What a path given by a container or an image is resolved with.</summary>
    Contained = InRoot | NoMagicLinks,

    /// <summary>As <see cref="Contained"/>, for a path that is canonical already.</summary>
    Canonical = InRoot | NoMagicLinks | NoSymbolicLinks,
}

/// <summary>struct open_how (openat2(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct OpenHow(OpenFlags flags, uint mode, Resolution resolution)
{
    public readonly ulong Flags = (ulong)flags.ToNative();
    public readonly ulong Mode = mode;
    public readonly ulong Resolve = (ulong)resolution;

    public const int Size = 24;
}

public static class OpenFlagsExtensions
{
    /// <summary>The flags as this machine's kernel wants them.</summary>
    /// <remarks>arm64 has O_DIRECTORY and O_NOFOLLOW at other bits (arch/arm64/include/uapi/asm/fcntl.h).</remarks>
    public static int ToNative(this OpenFlags flags)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.Arm64)
        {
            return (int)flags;
        }

        int native = (int)(flags & ~(OpenFlags.Directory | OpenFlags.NoFollow));
        native |= flags.HasFlag(OpenFlags.Directory) ? 0x4000 : 0;
        native |= flags.HasFlag(OpenFlags.NoFollow) ? 0x8000 : 0;
        return native;
    }
}
