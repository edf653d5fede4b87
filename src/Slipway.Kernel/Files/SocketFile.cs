using System.Runtime.InteropServices;

namespace Slipway.Kernel.Files;

/// <summary>What .NET's sockets lack: the group of a unix socket's file, and close-on-exec for descriptors that were inherited.</summary>
public static partial class SocketFile
{
    private const int F_SETFD = 2;
    private const int FD_CLOEXEC = 1;
    private const uint Unchanged = uint.MaxValue;

    /// <summary>Gives a file on the host to a group (lchown(2)); its user stays.</summary>
    /// <exception cref="KernelException">The call failed.</exception>
    public static void SetGroup(string path, uint gid)
    {
        if (lchown(path, Unchanged, gid) < 0)
        {
            throw new KernelException($"lchown \"{path}\"", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Closes the descriptor in programs this process executes (fcntl(2), F_SETFD).</summary>
    /// <exception cref="KernelException">The call failed: the descriptor is not open.</exception>
    public static void CloseOnExec(int descriptor)
    {
        if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0)
        {
            throw new KernelException($"fcntl F_SETFD on descriptor {descriptor}", Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int lchown(string path, uint owner, uint group);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int descriptor, int command, int argument);
}
