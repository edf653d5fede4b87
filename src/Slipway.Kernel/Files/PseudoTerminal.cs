using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>The master side of a pseudo terminal of a given devpts instance (pty(7)).</summary>
public sealed unsafe partial class PseudoTerminal : IDisposable
{
    private const nuint TIOCSPTLCK = 0x40045431;
    private const nuint TIOCGPTN = 0x80045430;
    private const nuint TIOCGPTPEER = 0x5441;
    private const nuint TIOCSWINSZ = 0x5414;

    private PseudoTerminal(SafeFileHandle master, int number)
    {
        Master = master;
        Number = number;
    }

    /// <summary>Owned by this object.</summary>
    public SafeFileHandle Master { get; }

    /// <summary>The name of the other side in its devpts: <c>/dev/pts/Number</c>.</summary>
    public int Number { get; }

    /// <summary>Makes a terminal in a devpts instance.</summary>
    /// <param name="devpts">The root of its mount; checked to be one. May be a container's: no name in it is followed.</param>
    public static PseudoTerminal Create(SafeFileHandle devpts)
    {
        if (Descriptors.FileSystemType(devpts) != Descriptors.DevptsSuperMagic)
        {
            throw new KernelException("make a terminal: /dev/pts is no devpts", Errno.EINVAL);
        }

        SafeFileHandle master = DirectoryEntry.Open(devpts, "ptmx"u8, OpenFlags.ReadWrite);
        try
        {
            int unlocked = 0;
            int number = 0;
            Check(Ioctl(master, TIOCSPTLCK, &unlocked), "TIOCSPTLCK");
            Check(Ioctl(master, TIOCGPTN, &number), "TIOCGPTN");
            return new PseudoTerminal(master, number);
        }
        catch
        {
            master.Dispose();
            throw;
        }
    }

    /// <summary>Opens the other side without its name (TIOCGPTPEER, ioctl_tty(2)).</summary>
    public static SafeFileHandle OpenPeer(SafeFileHandle master)
    {
        int descriptor = Ioctl(master, TIOCGPTPEER, (void*)(nint)(OpenFlags.ReadWrite | OpenFlags.NoControllingTerminal | OpenFlags.CloseOnExec).ToNative());
        Check(descriptor, "TIOCGPTPEER");
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    public static void SetWindowSize(SafeFileHandle master, ushort rows, ushort columns)
    {
        // struct winsize: rows, columns, and two pixel sizes nobody uses.
        ushort* size = stackalloc ushort[4] { rows, columns, 0, 0 };
        Check(Ioctl(master, TIOCSWINSZ, size), "TIOCSWINSZ");
    }

    public void Dispose() => Master.Dispose();

    private static void Check(int result, string operation)
    {
        if (result < 0)
        {
            throw new KernelException(operation, Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(SafeHandle file, nuint request, void* argument);
}
