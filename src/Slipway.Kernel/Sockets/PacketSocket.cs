using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Streams;

namespace Slipway.Kernel.Sockets;

/// <summary>Who is at the other end, as the kernel recorded it when it connected (SO_PEERCRED, unix(7)).</summary>
/// <param name="Pid">In this process' pid namespace; 0 where the peer is in none that is visible here.</param>
public readonly record struct PeerCredentials(int Pid, uint Uid, uint Gid);

/// <summary>
/// A unix socket of packets that keeps their boundaries and carries descriptors (SOCK_SEQPACKET, SCM_RIGHTS; unix(7)). It
/// has a name in the file system, never an abstract one (CVE-2020-15257). One thread may send while another receives.
/// </summary>
public sealed unsafe class PacketSocket : IDisposable
{
    /// <summary>Descriptors that fit one packet (SCM_MAX_FD).</summary>
    public const int MaxDescriptors = 253;

    private const int AddressBytes = 110;
    private const int MaxPathBytes = 107;

    private PacketSocket(int descriptor)
    {
        Handle = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    public SafeFileHandle Handle { get; }

    /// <exception cref="KernelException">ENOENT or ECONNREFUSED where nobody listens.</exception>
    public static PacketSocket Connect(string path)
    {
        var socket = new PacketSocket(Open(0));
        try
        {
            using Address address = new(path);
            fixed (byte* pointer = address.Bytes)
            {
                if (SocketNative.connect(socket.Handle, pointer, AddressBytes) != 0)
                {
                    throw new KernelException($"connect to \"{path}\"", Marshal.GetLastPInvokeError());
                }
            }

            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Binds and listens; accepting does not block. The name must not exist. Its mode is 0600.</summary>
    public static PacketSocket Listen(string path)
    {
        var socket = new PacketSocket(Open(SocketNative.SOCK_NONBLOCK));
        try
        {
            using Address address = new(path);
            fixed (byte* pointer = address.Bytes)
            {
                if (SocketNative.bind(socket.Handle, pointer, AddressBytes) != 0)
                {
                    throw new KernelException($"bind to \"{path}\"", Marshal.GetLastPInvokeError());
                }
            }

            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            if (SocketNative.listen(socket.Handle, 16) != 0)
            {
                throw new KernelException($"listen on \"{path}\"", Marshal.GetLastPInvokeError());
            }

            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A connection that waits, non-blocking, or null.</summary>
    public PacketSocket? TryAccept()
    {
        int descriptor = SocketNative.accept4(Handle, null, null, SocketNative.SOCK_CLOEXEC | SocketNative.SOCK_NONBLOCK);
        if (descriptor >= 0)
        {
            return new PacketSocket(descriptor);
        }

        int errno = Marshal.GetLastPInvokeError();
        return errno is Errno.EAGAIN or Errno.EINTR or Errno.ECONNABORTED ? null : throw new KernelException("accept4", errno);
    }

    public PeerCredentials Peer()
    {
        PeerCredentials credentials;
        uint length = (uint)sizeof(PeerCredentials);
        return SocketNative.getsockopt(Handle, SocketNative.SOL_SOCKET, SocketNative.SO_PEERCRED, &credentials, &length) == 0
            ? credentials
            : throw new KernelException("getsockopt SO_PEERCRED", Marshal.GetLastPInvokeError());
    }

    /// <summary>Sends a packet with duplicates of <paramref name="descriptors"/>. Blocks where the socket does.</summary>
    /// <returns>0, or an errno: EAGAIN where a non-blocking socket is full, EPIPE or ECONNRESET where the peer is gone.</returns>
    public int Send(ReadOnlySpan<byte> packet, ReadOnlySpan<SafeHandle> descriptors)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors);
        int controlLength = descriptors.IsEmpty ? 0 : sizeof(SocketNative.ControlHeader) + Align(descriptors.Length * sizeof(int));
        byte* control = stackalloc byte[controlLength];
        int referenced = 0;
        try
        {
            if (controlLength > 0)
            {
                var header = (SocketNative.ControlHeader*)control;
                header->Length = (nuint)(sizeof(SocketNative.ControlHeader) + (descriptors.Length * sizeof(int)));
                header->Level = SocketNative.SOL_SOCKET;
                header->Type = SocketNative.SCM_RIGHTS;
                var numbers = (int*)(header + 1);
                foreach (SafeHandle descriptor in descriptors)
                {
                    bool added = false;
                    descriptor.DangerousAddRef(ref added);
                    numbers[referenced++] = (int)descriptor.DangerousGetHandle();
                }
            }

            fixed (byte* bytes = packet)
            {
                var vector = new SocketNative.IoVector { Base = bytes, Length = (nuint)packet.Length };
                var message = new SocketNative.MessageHeader
                {
                    Vectors = &vector,
                    VectorCount = 1,
                    Control = controlLength > 0 ? control : null,
                    ControlLength = (nuint)controlLength,
                };
                while (SocketNative.sendmsg(Handle, &message, SocketNative.MSG_NOSIGNAL) < 0)
                {
                    int errno = Marshal.GetLastPInvokeError();
                    if (errno != Errno.EINTR)
                    {
                        return errno;
                    }
                }

                return 0;
            }
        }
        finally
        {
            for (int i = 0; i < referenced; i++)
            {
                descriptors[i].DangerousRelease();
            }
        }
    }

    /// <summary>Receives a packet; its descriptors, close-on-exec, are added to <paramref name="descriptors"/> and owned by the caller.</summary>
    /// <returns>Its length; 0 at the peer's end; or a negated errno (-EAGAIN; -EMSGSIZE where it was longer than the buffer).</returns>
    public int Receive(Span<byte> packet, List<SafeFileHandle> descriptors)
    {
        ArgumentNullException.ThrowIfNull(descriptors);
        const int controlLength = 16 + (((MaxDescriptors * sizeof(int)) + 7) & ~7);
        byte* control = stackalloc byte[controlLength];
        fixed (byte* bytes = packet)
        {
            var vector = new SocketNative.IoVector { Base = bytes, Length = (nuint)packet.Length };
            var message = new SocketNative.MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = controlLength };
            nint received;
            while ((received = SocketNative.recvmsg(Handle, &message, SocketNative.MSG_CMSG_CLOEXEC)) < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    return -errno;
                }
            }

            var header = (SocketNative.ControlHeader*)control;
            if (message.ControlLength >= (nuint)sizeof(SocketNative.ControlHeader) && header->Level == SocketNative.SOL_SOCKET && header->Type == SocketNative.SCM_RIGHTS)
            {
                int count = ((int)header->Length - sizeof(SocketNative.ControlHeader)) / sizeof(int);
                foreach (int descriptor in new ReadOnlySpan<int>(header + 1, count))
                {
                    descriptors.Add(new SafeFileHandle(descriptor, ownsHandle: true));
                }
            }

            DescriptorsWereLost = (message.Flags & SocketNative.MSG_CTRUNC) != 0;
            return (message.Flags & SocketNative.MSG_TRUNC) == 0 ? (int)received : -Errno.EMSGSIZE;
        }
    }

    /// <summary>
    /// Whether descriptors of the packet that was received last did not arrive: this process may open no more (MSG_CTRUNC, recvmsg(2)). Those that did are there.
    /// </summary>
    public bool DescriptorsWereLost { get; private set; }

    /// <summary>Ends the connection for both directions; a thread that receives wakes up with 0.</summary>
    public void Shutdown() => _ = SocketNative.shutdown(Handle, SocketNative.SHUT_RDWR);

    public void Dispose() => Handle.Dispose();

    private static int Open(int flags)
    {
        int descriptor = SocketNative.socket(SocketNative.AF_UNIX, SocketNative.SOCK_SEQPACKET | SocketNative.SOCK_CLOEXEC | flags, 0);
        return descriptor >= 0 ? descriptor : throw new KernelException("socket", Marshal.GetLastPInvokeError());
    }

    private static int Align(int length) => (length + 7) & ~7;

    /// <summary>
    /// struct sockaddr_un. A path that does not fit its 108 bytes is reached through a descriptor of its directory.
    /// </summary>
    private readonly ref struct Address
    {
        private readonly SafeFileHandle? _directory;

        public Address(string path)
        {
            Bytes = new byte[AddressBytes];
            Bytes[0] = SocketNative.AF_UNIX;
            if (Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
            {
                _directory = OpenDirectory(Path.GetDirectoryName(path)!);
                path = $"/proc/self/fd/{_directory.DangerousGetHandle()}/{Path.GetFileName(path)}";
                if (Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
                {
                    throw new KernelException($"socket name \"{path}\"", Errno.ENAMETOOLONG);
                }
            }

            Encoding.UTF8.GetBytes(path, Bytes.AsSpan(2));
        }

        public byte[] Bytes { get; }

        public void Dispose() => _directory?.Dispose();

        private static SafeFileHandle OpenDirectory(string path)
        {
            const int O_PATH = 0x200000;
            int descriptor = StreamNative.openat(StreamNative.AT_FDCWD, path, O_PATH | StreamNative.O_CLOEXEC, 0);
            return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw new KernelException($"open \"{path}\"", Marshal.GetLastPInvokeError());
        }
    }
}
