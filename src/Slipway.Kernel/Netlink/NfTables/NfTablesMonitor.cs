using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Streams;
using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// Tells which tables are deleted, of whatever family and by whomever, in the network namespace of the thread that opens it (NFNLGRP_NFTABLES). One thread waits; any may
/// stop it.
/// </summary>
public sealed class NfTablesMonitor : IDisposable
{
    private const int NFNLGRP_NFTABLES = 7;
    private const int BufferSize = 64 * 1024;

    private readonly SafeFileHandle _socket;
    private readonly EventDescriptor _stop = new();
    private readonly byte[] _buffer = new byte[BufferSize];

    /// <exception cref="KernelException">The socket could not be opened, or its group not joined.</exception>
    public NfTablesMonitor()
    {
        _socket = NetlinkNative.Socket(NetlinkNative.AF_NETLINK, NetlinkNative.SOCK_RAW | NetlinkNative.SOCK_CLOEXEC, NETLINK_NETFILTER);
        NetlinkNative.SocketAddressNetlink address = new() { Family = NetlinkNative.AF_NETLINK, Groups = 1 << (NFNLGRP_NFTABLES - 1) };
        if (_socket.IsInvalid || NetlinkNative.Bind(_socket, address, 12) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            Dispose();
            throw new KernelException("join the notifications of nf_tables", errno);
        }
    }

    /// <summary>Waits for deletions.</summary>
    /// <returns>The tables' names; one that is empty says that some were missed; null: <see cref="Stop"/> was called.</returns>
    public IReadOnlyList<string>? Wait()
    {
        using Epoll epoll = new(2);
        epoll.Add(_stop.Handle, EpollEvents.In, 0);
        epoll.Add(_socket, EpollEvents.In, 1);
        List<ReadyDescriptor> ready = [];
        HashSet<string> deleted = [];
        while (deleted.Count == 0)
        {
            epoll.Wait(ready, timeoutMilliseconds: -1);
            if (ready.Any(descriptor => descriptor.Token == 0))
            {
                return null;
            }

            int length;
            while ((length = Receive()) != 0)
            {
                Parse(_buffer.AsSpan(0, Math.Max(length, 0)), deleted);
                if (length < 0)
                {
                    deleted.Add("");
                }
            }
        }

        return [.. deleted];
    }

    /// <summary>Ends the waiting, for good.</summary>
    public void Stop() => _stop.Signal();

    public void Dispose()
    {
        _socket.Dispose();
        _stop.Dispose();
    }

    private static void Parse(ReadOnlySpan<byte> datagram, HashSet<string> deleted)
    {
        NetlinkReader reader = new(datagram);
        while (reader.TryRead(out NetlinkMessage message))
        {
            if (message.Type == NfTablesBatch.MessageType(NFT_MSG_DELTABLE) && message.TryFixed(out NetfilterInfo _, out AttributeReader attributes))
            {
                deleted.Add(attributes.Text(NFTA_TABLE_NAME) ?? "");
            }
        }
    }

    /// <summary>The length of the next datagram; 0: there is none; negative: some were lost, because the socket's buffer was full.</summary>
    private int Receive()
    {
        nint received;
        int errno;
        do
        {
            received = NetlinkNative.Receive(_socket, _buffer, _buffer.Length, NetlinkNative.MSG_DONTWAIT);
            errno = received < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (errno == Errno.EINTR);

        return errno switch
        {
            0 => (int)received,
            Errno.EAGAIN => 0,
            Errno.ENOBUFS => -1,
            _ => throw new KernelException("receive notifications of nf_tables", errno),
        };
    }
}
