using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>
/// A file or directory inside a detached mount as a detached mount of its own. Kernels before 6.15 clone only what is attached in the caller's mount
/// namespace (fs/namespace.c, __do_loopback), so the mount is attached for a moment in one that only a thread has.
/// </summary>
public static unsafe class MountPart
{
    /// <param name="mount">Attached where nobody sees it, and gone afterwards; the descriptor stays the caller's.</param>
    /// <param name="path">Relative; links on its way must not lead out.</param>
    /// <exception cref="KernelException">EXDEV: it leads out; ENOENT, ENOTDIR: there is no such thing.</exception>
    public static SafeFileHandle Take(SafeFileHandle mount, string path)
    {
        // unshare(CLONE_NEWNS) changes the calling thread only, for good: the thread ends with it.
        SafeFileHandle? part = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                part = TakeHere(mount, path);
            }
            catch (KernelException e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        }, 256 * 1024)
        { Name = "mount part", IsBackground = true };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return part!;
    }

    private static SafeFileHandle TakeHere(SafeFileHandle mount, string path)
    {
        Check(NativeMounts.Unshare(NativeMounts.CLONE_NEWNS), "unshare the mount namespace");
        fixed (byte* root = "/\0"u8)
        {
            Check(NativeMounts.Mount(null, root, null, NativeMounts.MS_REC | NativeMounts.MS_PRIVATE, null), "make the mounts private");
        }

        // Any directory will do as a place: the namespace is this thread's.
        using (SafeFileHandle place = new HostPath("/proc").Open(OpenFlags.Path | OpenFlags.Directory))
        {
            MountTree.Attach(mount, place);
        }

        // Not disposed: the mount is the caller's.
        int errno = new RootDirectory(mount).TryOpen(path, OpenFlags.Path, out SafeFileHandle? found, resolution: Resolution.Beneath);
        if (errno != 0)
        {
            throw new KernelException($"open \"{path}\"", errno);
        }

        using (found)
        {
            return MountTree.Clone(found!, recursive: false);
        }
    }

    private static void Check(int result, string operation)
    {
        if (result < 0)
        {
            throw new KernelException(operation, Marshal.GetLastPInvokeError());
        }
    }
}
