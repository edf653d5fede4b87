using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// A netlink socket with requests and answers on it. It belongs for ever to the network namespace of the thread that opened it.
/// One thread at a time may use a session.
/// </summary>
/// <remarks>
/// The kernel works on a request inside send(2), so the answers are there when it returns: receiving does not wait for anybody.
/// </remarks>
public abstract class NetlinkSession : IDisposable
{
    private const int ReceiveBufferSize = 32 * 1024;

    private readonly SafeFileHandle _socket;
    private byte[] _buffer = new byte[ReceiveBufferSize];

    /// <param name="protocol">NETLINK_ROUTE (0), NETLINK_NETFILTER (12).</param>
    /// <exception cref="KernelException">The socket could not be opened.</exception>
    protected NetlinkSession(int protocol)
    {
        _socket = NetlinkNative.Socket(NetlinkNative.AF_NETLINK, NetlinkNative.SOCK_RAW | NetlinkNative.SOCK_CLOEXEC, protocol);
        if (_socket.IsInvalid)
        {
            throw new KernelException("socket AF_NETLINK", Marshal.GetLastPInvokeError());
        }

        NetlinkNative.SocketAddressNetlink address = new() { Family = NetlinkNative.AF_NETLINK };
        if (NetlinkNative.Bind(_socket, address, 12) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            _socket.Dispose();
            throw new KernelException("bind AF_NETLINK", errno);
        }

        // Explanations of errors, without the request repeated before them. Old kernels refuse: then errors are terser.
        SetOption(NetlinkNative.SOL_NETLINK, NetlinkNative.NETLINK_EXT_ACK, 1);
        SetOption(NetlinkNative.SOL_NETLINK, NetlinkNative.NETLINK_CAP_ACK, 1);
        SetOption(NetlinkNative.SOL_NETLINK, NetlinkNative.NETLINK_GET_STRICT_CHK, 1);
    }

    /// <param name="socket">Answers in the kernel's place; not owned.</param>
    private protected NetlinkSession(SafeFileHandle socket) => _socket = socket;

    /// <summary>The socket's port id, which the kernel names as the origin of what it tells others of changes. No other socket of the namespace has it.</summary>
    /// <exception cref="KernelException">The socket is none of netlink.</exception>
    public uint Port()
    {
        int length = 12;
        return NetlinkNative.GetSocketName(_socket, out NetlinkNative.SocketAddressNetlink address, ref length) == 0 && length == 12
            ? address.Port
            : throw new KernelException("getsockname AF_NETLINK", Marshal.GetLastPInvokeError());
    }

    /// <summary>Makes room for requests of many messages, and for an acknowledgement of each. It is a limit: nothing is kept ready for it.</summary>
    private protected void AllowLarge(int bytes)
    {
        SetOption(NetlinkNative.SOL_SOCKET, NetlinkNative.SO_SNDBUFFORCE, bytes);
        SetOption(NetlinkNative.SOL_SOCKET, NetlinkNative.SO_RCVBUFFORCE, bytes);
    }

    /// <summary>Reused for every request of this session.</summary>
    protected NetlinkWriter Writer { get; } = new();

    public void Dispose()
    {
        _socket.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Sends everything written and waits for the acknowledgements. All messages are tried, as the kernel does;
    /// the first failure is thrown.
    /// </summary>
    protected void Execute(NetlinkWriter writer)
    {
        Send(writer.Written);
        IReadOnlyList<(uint Sequence, string Operation)> expected = writer.Acknowledged;
        KernelException? failure = null;
        for (int answered = 0; answered < expected.Count;)
        {
            NetlinkReader reader = new(Receive());
            while (reader.TryRead(out NetlinkMessage message))
            {
                if (message.Type != NetlinkMessage.Error || message.Sequence < writer.FirstSequence)
                {
                    continue; // an answer to an earlier request that failed as a whole
                }

                (int errno, string? explanation) = message.Result();
                if (!Find(expected, message.Sequence, out string operation))
                {
                    if (errno != 0)
                    {
                        // The start of an nf_tables batch is not asked about; if it is answered, nothing else will be.
                        throw failure ?? Failure("commit", errno, explanation);
                    }

                    continue;
                }

                answered++;
                if (errno != 0)
                {
                    failure ??= Failure(operation, errno, explanation);
                }
            }
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>Sends the one get request written and returns what <paramref name="parse"/> makes of the answers. A list that changed while it was read is read again.</summary>
    /// <exception cref="KernelException">The kernel refused. ENOENT or ENODEV of a single get: there is no such object.</exception>
    protected List<T> Query<T>(NetlinkWriter writer, string operation, Parser<T> parse)
        where T : class
    {
        // A list that never holds still is used as it is the last time: its users compare and correct.
        const int Attempts = 5;
        List<T> results = [];
        for (int attempt = 1; !TryQuery(writer, operation, parse, results) && attempt < Attempts; attempt++)
        {
            results.Clear();
        }

        return results;
    }

    /// <summary>Makes an object of a message; null for one that is something else.</summary>
    protected delegate T? Parser<T>(NetlinkMessage message)
        where T : class;

    /// <returns>False if the kernel says that the list is inconsistent.</returns>
    private bool TryQuery<T>(NetlinkWriter writer, string operation, Parser<T> parse, List<T> results)
        where T : class
    {
        Send(writer.Written);
        uint sequence = writer.LastSequence;
        bool consistent = true;
        while (true)
        {
            NetlinkReader reader = new(Receive());
            while (reader.TryRead(out NetlinkMessage message))
            {
                if (message.Sequence != sequence)
                {
                    continue;
                }

                consistent &= (message.Flags & NetlinkFlags.DumpInterrupted) == 0;
                if (message.Type is NetlinkMessage.Error or NetlinkMessage.Done)
                {
                    (int errno, string? explanation) = message.Result();
                    return errno == 0 ? consistent : throw Failure(operation, errno, explanation);
                }

                if (parse(message) is { } result)
                {
                    results.Add(result);
                }
            }
        }
    }

    private static KernelException Failure(string operation, int errno, string? explanation) =>
        new(explanation is null ? operation : $"{operation} ({explanation})", errno);

    private static bool Find(IReadOnlyList<(uint Sequence, string Operation)> expected, uint sequence, out string operation)
    {
        // Sequence numbers of one writer ascend, though messages without an acknowledgement leave gaps.
        foreach ((uint candidate, string text) in expected)
        {
            if (candidate == sequence)
            {
                operation = text;
                return true;
            }
        }

        operation = "";
        return false;
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (NetlinkNative.Send(_socket, bytes, bytes.Length, 0) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
            {
                throw new KernelException("send to netlink", errno);
            }
        }
    }

    /// <summary>One datagram. A first look tells its size, so that none is cut off. None there means that the answer was not what its request asks for.</summary>
    private ReadOnlySpan<byte> Receive()
    {
        nint size = ReceiveOnce([], NetlinkNative.MSG_PEEK | NetlinkNative.MSG_TRUNC | NetlinkNative.MSG_DONTWAIT);
        if (size > _buffer.Length)
        {
            _buffer = new byte[size];
        }

        return _buffer.AsSpan(0, (int)ReceiveOnce(_buffer, 0));
    }

    private nint ReceiveOnce(Span<byte> buffer, int flags)
    {
        while (true)
        {
            nint received = NetlinkNative.Receive(_socket, buffer, buffer.Length, flags);
            if (received >= 0)
            {
                return received;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
            {
                throw new KernelException("receive from netlink", errno == Errno.EAGAIN ? Errno.EPROTO : errno);
            }
        }
    }

    private void SetOption(int level, int option, int value) => _ = NetlinkNative.SetSocketOption(_socket, level, option, value, sizeof(int));
}
