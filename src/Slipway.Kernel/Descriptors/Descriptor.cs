using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Descriptors;

/// <summary>Plain reading and writing. Results are as the kernel's: a count, or a negated errno; interrupted calls are repeated.</summary>
public static unsafe class Descriptor
{
    /// <returns>Bytes read, 0 at the end, or a negated errno (-EAGAIN where a non-blocking descriptor has nothing).</returns>
    public static int Read(SafeHandle descriptor, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            while (true)
            {
                nint count = DescriptorNative.read(descriptor, pointer, (nuint)buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    return -errno;
                }
            }
        }
    }

    /// <returns>Bytes written, perhaps fewer than given, or a negated errno.</returns>
    public static int Write(SafeHandle descriptor, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            while (true)
            {
                nint count = DescriptorNative.write(descriptor, pointer, (nuint)buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    return -errno;
                }
            }
        }
    }

    /// <summary>Sets O_NONBLOCK on the open file description, which duplicates share.</summary>
    public static void SetNonBlocking(SafeHandle descriptor)
    {
        int flags = DescriptorNative.fcntl(descriptor, DescriptorNative.F_GETFL, 0);
        if (flags < 0 || DescriptorNative.fcntl(descriptor, DescriptorNative.F_SETFL, flags | DescriptorNative.O_NONBLOCK) < 0)
        {
            throw new KernelException("fcntl O_NONBLOCK", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Bytes that can be read now from a pipe or a socket (FIONREAD).</summary>
    public static int Available(SafeHandle descriptor)
    {
        int count = 0;
        return DescriptorNative.ioctl(descriptor, DescriptorNative.FIONREAD, &count) == 0
            ? count
            : throw new KernelException("ioctl FIONREAD", Marshal.GetLastPInvokeError());
    }

    /// <summary>Waits until data and size of a file are on the disk (fdatasync(2)).</summary>
    public static void SyncData(SafeHandle file)
    {
        if (DescriptorNative.fdatasync(file) != 0)
        {
            throw new KernelException("fdatasync", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>
    /// Opens a file for appending, made with mode 0640 where it does not exist. A symbolic link in its last component is refused (ELOOP):
    /// a log is never written where a link leads.
    /// </summary>
    public static SafeFileHandle OpenAppend(string path)
    {
        int descriptor = DescriptorNative.openat(
            DescriptorNative.AT_FDCWD,
            path,
            DescriptorNative.O_WRONLY | DescriptorNative.O_APPEND | DescriptorNative.O_CREAT | DescriptorNative.O_CLOEXEC | DescriptorNative.O_NOFOLLOW,
            0x1A0);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new KernelException($"open \"{path}\"", Marshal.GetLastPInvokeError());
    }
}
