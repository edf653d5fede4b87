using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>FITRIM (ioctl_fitrim(2), struct fstrim_range of include/uapi/linux/fs.h): a file system tells its device which blocks are free.</summary>
public static class FileSystemTrim
{
    private const nuint FITRIM = 0xc0185879;

    /// <param name="directory">Any on the file system, open and not only named (O_PATH).</param>
    /// <exception cref="KernelException">The file system or its device has no use for it (EOPNOTSUPP), or it failed.</exception>
    public static unsafe void Run(SafeFileHandle directory)
    {
        Range range = new() { Length = ulong.MaxValue };
        if (NativeFiles.Ioctl(directory, FITRIM, &range) != 0)
        {
            throw new KernelException("FITRIM", Marshal.GetLastPInvokeError());
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Range
    {
        internal ulong Start;
        internal ulong Length;
        internal ulong MinimumLength;
    }
}
