using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>Plain reading and writing. Results are as the kernel's: a count, or a negated errno; interrupted calls are repeated.</summary>
public static unsafe class DescriptorIO
{
    /// <returns>Bytes read, 0 at the end, or a negated errno (-EAGAIN where a non-blocking descriptor has nothing).</returns>
    public static int Read(SafeHandle descriptor, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            while (true)
            {
                nint count = StreamNative.read(descriptor, pointer, (nuint)buffer.Length);
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
                nint count = StreamNative.write(descriptor, pointer, (nuint)buffer.Length);
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
        int flags = StreamNative.fcntl(descriptor, StreamNative.F_GETFL, 0);
        if (flags < 0 || StreamNative.fcntl(descriptor, StreamNative.F_SETFL, flags | StreamNative.O_NONBLOCK) < 0)
        {
            throw new KernelException("fcntl O_NONBLOCK", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Bytes that can be read now from a pipe or a socket (FIONREAD).</summary>
    public static int Available(SafeHandle descriptor)
    {
        int count = 0;
        return StreamNative.ioctl(descriptor, StreamNative.FIONREAD, &count) == 0
            ? count
            : throw new KernelException("ioctl FIONREAD", Marshal.GetLastPInvokeError());
    }

    /// <summary>Waits until data and size of a file are on the disk (fdatasync(2)).</summary>
    public static void SyncData(SafeHandle file)
    {
        if (StreamNative.fdatasync(file) != 0)
        {
            throw new KernelException("fdatasync", Marshal.GetLastPInvokeError());
        }
    }
}
