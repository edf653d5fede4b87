using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>A file's bytes to a socket without passing through the process (sendfile(2)).</summary>
public static unsafe class SendFile
{
    /// <summary>Sends what the socket has room for; it must be non-blocking. Interrupted calls are repeated.</summary>
    /// <param name="offset">In the file, moved on by what was sent.</param>
    /// <param name="count">Bytes; the kernel sends at most 2 GiB at once.</param>
    /// <returns>Bytes sent, 0 where the file ends at <paramref name="offset"/>, or a negated errno: -EAGAIN where the socket has no room.</returns>
    public static long TrySend(SafeHandle socket, SafeFileHandle file, ref long offset, long count)
    {
        fixed (long* position = &offset)
        {
            while (true)
            {
                nint sent = StreamNative.sendfile(socket, file, position, (nuint)count);
                if (sent >= 0)
                {
                    return sent;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    return -errno;
                }
            }
        }
    }
}
