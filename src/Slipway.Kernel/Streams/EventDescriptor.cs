using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>A counter that wakes an epoll loop from other threads (eventfd(2)).</summary>
public sealed class EventDescriptor : IDisposable
{
    public EventDescriptor()
    {
        int descriptor = StreamNative.eventfd(0, StreamNative.EFD_CLOEXEC | StreamNative.EFD_NONBLOCK);
        if (descriptor < 0)
        {
            throw new KernelException("eventfd", Marshal.GetLastPInvokeError());
        }

        Handle = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    public SafeFileHandle Handle { get; }

    public void Signal()
    {
        ReadOnlySpan<byte> one = [1, 0, 0, 0, 0, 0, 0, 0];
        int result = DescriptorIO.Write(Handle, one);
        if (result is < 0 and not -Errno.EAGAIN)
        {
            throw new KernelException("write of an eventfd", -result);
        }
    }

    /// <summary>Resets the counter. A counter that is zero already stays so.</summary>
    public void Reset()
    {
        int result = DescriptorIO.Read(Handle, stackalloc byte[8]);
        if (result is < 0 and not -Errno.EAGAIN)
        {
            throw new KernelException("read of an eventfd", -result);
        }
    }

    public void Dispose() => Handle.Dispose();
}
