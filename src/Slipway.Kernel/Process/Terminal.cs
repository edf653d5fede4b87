using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Descriptors;

namespace Slipway.Kernel.Process;

/// <summary>Pseudo-terminals (pty(7), ioctl_tty(2)).</summary>
public static unsafe class Terminal
{
    private const uint TIOCSPTLCK = 0x40045431;
    private const uint TIOCGPTPEER = 0x5441;
    private const uint TIOCGPTN = 0x80045430;
    private const uint TIOCSWINSZ = 0x5414;

    /// <summary>Opens a new master in a devpts instance and unlocks its slave.</summary>
    /// <param name="devpts">A directory descriptor of the devpts file system; it need not be mounted anywhere.</param>
    public static SafeFileHandle OpenMaster(SafeHandle devpts)
    {
        ArgumentNullException.ThrowIfNull(devpts);
        bool added = false;
        try
        {
            devpts.DangerousAddRef(ref added);
            return OpenMaster((int)devpts.DangerousGetHandle(), "ptmx");
        }
        finally
        {
            if (added)
            {
                devpts.DangerousRelease();
            }
        }
    }

    /// <summary>Opens a new master in the host's devpts and unlocks its slave.</summary>
    public static SafeFileHandle OpenMaster() => OpenMaster(DescriptorNative.AT_FDCWD, "/dev/ptmx");

    /// <summary>Opens the slave of <paramref name="master"/> without resolving a path (TIOCGPTPEER), not as a controlling terminal.</summary>
    public static SafeFileHandle OpenPeer(SafeHandle master)
    {
        int descriptor = DescriptorNative.ioctl(master, TIOCGPTPEER, (void*)(DescriptorNative.O_RDWR | DescriptorNative.O_NOCTTY | DescriptorNative.O_CLOEXEC));
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new KernelException("ioctl TIOCGPTPEER", Marshal.GetLastPInvokeError());
    }

    /// <summary>The slave's name in its devpts instance: N of <c>/dev/pts/N</c>.</summary>
    public static int PeerNumber(SafeHandle master)
    {
        int number;
        return DescriptorNative.ioctl(master, TIOCGPTN, &number) == 0
            ? number
            : throw new KernelException("ioctl TIOCGPTN", Marshal.GetLastPInvokeError());
    }

    /// <summary>Sets the window size; the foreground processes get SIGWINCH.</summary>
    public static void SetSize(SafeHandle master, ushort rows, ushort columns)
    {
        ushort* size = stackalloc ushort[4] { rows, columns, 0, 0 };
        if (DescriptorNative.ioctl(master, TIOCSWINSZ, size) != 0)
        {
            throw new KernelException("ioctl TIOCSWINSZ", Marshal.GetLastPInvokeError());
        }
    }

    private static SafeFileHandle OpenMaster(int directory, string name)
    {
        int descriptor = DescriptorNative.openat(directory, name, DescriptorNative.O_RDWR | DescriptorNative.O_NOCTTY | DescriptorNative.O_CLOEXEC, 0);
        if (descriptor < 0)
        {
            throw new KernelException($"open \"{name}\"", Marshal.GetLastPInvokeError());
        }

        var master = new SafeFileHandle(descriptor, ownsHandle: true);
        int unlocked = 0;
        if (DescriptorNative.ioctl(master, TIOCSPTLCK, &unlocked) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            master.Dispose();
            throw new KernelException("ioctl TIOCSPTLCK", errno);
        }

        return master;
    }
}
