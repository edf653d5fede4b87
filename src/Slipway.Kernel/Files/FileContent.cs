using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>The content of regular files, as the file system keeps it.</summary>
public static class FileContent
{
    private const nuint FICLONE = 0x40049409;
    private const int SEEK_DATA = 3;
    private const int SEEK_HOLE = 4;

    /// <summary>Makes an empty file share the blocks of another until either is written (ioctl_ficlone(2)).</summary>
    /// <returns>False where the file system cannot, or the files lie on two: nothing has happened.</returns>
    public static unsafe bool TryShare(SafeFileHandle source, SafeFileHandle target)
    {
        bool added = false;
        try
        {
            source.DangerousAddRef(ref added);
            return NativeFiles.Ioctl(target, FICLONE, (void*)source.DangerousGetHandle()) == 0;
        }
        finally
        {
            if (added)
            {
                source.DangerousRelease();
            }
        }
    }

    /// <summary>The next bytes at or after an offset that are not a hole (lseek(2), SEEK_DATA); where that is not known all are.</summary>
    /// <returns>False behind the last.</returns>
    public static bool TryFindData(SafeFileHandle file, long offset, out long start, out long end)
    {
        (start, end) = (NativeFiles.LSeek(file, offset, SEEK_DATA), 0);
        if (start < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno == Errno.ENXIO)
            {
                return false;
            }

            if (errno != Errno.EINVAL)
            {
                throw new KernelException("seek data", errno);
            }

            (start, end) = (offset, long.MaxValue);
            return true;
        }

        end = NativeFiles.LSeek(file, start, SEEK_HOLE);
        if (end < 0)
        {
            // Cut meanwhile: what is there is read until it ends.
            end = long.MaxValue;
        }

        return true;
    }
}
