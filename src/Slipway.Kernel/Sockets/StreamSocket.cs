using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Sockets;

/// <summary>Stream sockets between two processes, without blocking and without SIGPIPE.</summary>
public static unsafe class StreamSocket
{
    /// <summary>Two connected unix stream sockets (socketpair(2)), close-on-exec.</summary>
    public static (SafeFileHandle Near, SafeFileHandle Far) CreatePair()
    {
        int* ends = stackalloc int[2];
        return SocketNative.socketpair(SocketNative.AF_UNIX, SocketNative.SOCK_STREAM | SocketNative.SOCK_CLOEXEC, 0, ends) == 0
            ? (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true))
            : throw new KernelException("socketpair", Marshal.GetLastPInvokeError());
    }

    /// <summary>Who connected a unix socket.</summary>
    /// <exception cref="KernelException">It is no connected socket.</exception>
    public static PeerCredentials Peer(SafeHandle socket)
    {
        PeerCredentials credentials;
        uint length = (uint)sizeof(PeerCredentials);
        return SocketNative.getsockopt(socket, SocketNative.SOL_SOCKET, SocketNative.SO_PEERCRED, &credentials, &length) == 0
            ? credentials
            : throw new KernelException("getsockopt SO_PEERCRED", Marshal.GetLastPInvokeError());
    }

    /// <summary>Bytes the kernel holds for a slow peer before a sender has to wait; beyond net.core.wmem_max where the process may (socket(7), SO_SNDBUFFORCE).</summary>
    public static void SetSendBuffer(SafeHandle socket, int bytes)
    {
        if (SocketNative.setsockopt(socket, SocketNative.SOL_SOCKET, SocketNative.SO_SNDBUFFORCE, &bytes, sizeof(int)) != 0
            && SocketNative.setsockopt(socket, SocketNative.SOL_SOCKET, SocketNative.SO_SNDBUF, &bytes, sizeof(int)) != 0)
        {
            throw new KernelException("setsockopt SO_SNDBUF", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Whether the peer of a unix socket has read all that was sent to it (unix(7), SIOCOUTQ).</summary>
    /// <exception cref="KernelException">It is no such socket.</exception>
    public static bool IsAllRead(SafeHandle socket)
    {
        int memory;
        return SocketNative.ioctl(socket, SocketNative.SIOCOUTQ, &memory) == 0 ? memory == 0 : throw new KernelException("ioctl SIOCOUTQ", Marshal.GetLastPInvokeError());
    }

    /// <returns>Bytes taken by the kernel, or a negated errno: -EAGAIN where its buffer is full.</returns>
    public static int TrySend(SafeHandle socket, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* pointer = bytes)
        {
            nint count = SocketNative.send(socket, pointer, (nuint)bytes.Length, SocketNative.MSG_DONTWAIT | SocketNative.MSG_NOSIGNAL);
            return count >= 0 ? (int)count : -Marshal.GetLastPInvokeError();
        }
    }

    /// <returns>Bytes received, 0 at the peer's end, or a negated errno: -EAGAIN where there is nothing.</returns>
    public static int TryReceive(SafeHandle socket, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            nint count = SocketNative.recv(socket, pointer, (nuint)buffer.Length, SocketNative.MSG_DONTWAIT);
            return count >= 0 ? (int)count : -Marshal.GetLastPInvokeError();
        }
    }
}
