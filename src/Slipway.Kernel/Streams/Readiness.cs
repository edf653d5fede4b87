using System.Runtime.InteropServices;

namespace Slipway.Kernel.Streams;

/// <summary>Waits for one descriptor (poll(2)), on the calling thread.</summary>
public static unsafe class Readiness
{
    private const short POLLIN = 1;
    private const short POLLOUT = 4;

    /// <summary>Until there is something to read, an end or an error; false where the time passed or a signal came before.</summary>
    public static bool WaitToRead(SafeHandle descriptor, int milliseconds) => Wait(descriptor, POLLIN, milliseconds);

    /// <summary>Until there is room to write, or an error; false where the time passed or a signal came before.</summary>
    public static bool WaitToWrite(SafeHandle descriptor, int milliseconds) => Wait(descriptor, POLLOUT, milliseconds);

    /// <summary>Waits for nothing but time (nanosleep(2)); a signal may end it early.</summary>
    /// <param name="microseconds">Below a second.</param>
    public static void Pause(int microseconds)
    {
        var time = new StreamNative.TimeSpecification { Nanoseconds = microseconds * 1000L };
        if (StreamNative.nanosleep(&time, null) != 0 && Marshal.GetLastPInvokeError() is var errno and not Errno.EINTR)
        {
            throw new KernelException("nanosleep", errno);
        }
    }

    private static bool Wait(SafeHandle descriptor, short events, int milliseconds)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        bool held = false;
        try
        {
            descriptor.DangerousAddRef(ref held);
            var wanted = new StreamNative.PollDescriptor { Descriptor = (int)descriptor.DangerousGetHandle(), Events = events };
            int ready = StreamNative.poll(&wanted, 1, milliseconds);
            int errno = ready < 0 ? Marshal.GetLastPInvokeError() : 0;
            return errno is 0 or Errno.EINTR ? ready > 0 : throw new KernelException("poll", errno);
        }
        finally
        {
            if (held)
            {
                descriptor.DangerousRelease();
            }
        }
    }
}
