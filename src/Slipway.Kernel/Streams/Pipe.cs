using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>A pipe (pipe(7)), both ends close-on-exec.</summary>
public readonly record struct Pipe(SafeFileHandle Reader, SafeFileHandle Writer)
{
    public static unsafe Pipe Create()
    {
        int* ends = stackalloc int[2];
        return StreamNative.pipe2(ends, StreamNative.O_CLOEXEC) == 0
            ? new Pipe(new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true))
            : throw new KernelException("pipe2", Marshal.GetLastPInvokeError());
    }
}
