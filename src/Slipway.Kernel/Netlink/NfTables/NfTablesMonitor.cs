using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Streams;
using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>Something of a table was deleted.</summary>
/// <param name="IsWhole">The table itself, not what is in it.</param>
public readonly record struct NfTablesDeletion(NfTablesFamily Family, string Table, bool IsWhole)
{
    /// <summary>Some deletions were missed: any table may have lost anything.</summary>
    public static NfTablesDeletion Missed { get; } = new(default, "", IsWhole: true);
}

/// <summary>
/// Tells which tables are deleted, or lose rules, chains, sets or elements, of whatever family, in the network namespace of the thread that opens it (NFNLGRP_NFTABLES).
/// One thread waits; any may stop it.
/// </summary>
public sealed class NfTablesMonitor : IDisposable
{
    private const int NFNLGRP_NFTABLES = 7;
    private const int BufferSize = 64 * 1024;

    /// <summary>A limit, like that of sessions: what a transaction changed arrives at once.</summary>
    private const int DefaultBacklog = 32 << 20;

    private readonly SafeFileHandle _socket;
    private readonly EventDescriptor _stop = new();
    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly Func<uint, bool> _isOwn;

    /// <param name="isOwn">Whether a port id is that of a session whose changes are not to be told.</param>
    /// <param name="backlog">Bytes that wait to be read; the kernel counts twice as many, with what it keeps beside them.</param>
    /// <exception cref="KernelException">The socket could not be opened, or its group not joined.</exception>
    public NfTablesMonitor(Func<uint, bool> isOwn, int backlog = DefaultBacklog)
    {
        _isOwn = isOwn;
        _socket = NetlinkNative.Socket(NetlinkNative.AF_NETLINK, NetlinkNative.SOCK_RAW | NetlinkNative.SOCK_CLOEXEC, NETLINK_NETFILTER);
        NetlinkNative.SocketAddressNetlink address = new() { Family = NetlinkNative.AF_NETLINK, Groups = 1 << (NFNLGRP_NFTABLES - 1) };
        if (_socket.IsInvalid || NetlinkNative.Bind(_socket, address, 12) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            Dispose();
            throw new KernelException("join the notifications of nf_tables", errno);
        }

        _ = NetlinkNative.SetSocketOption(_socket, NetlinkNative.SOL_SOCKET, NetlinkNative.SO_RCVBUFFORCE, backlog, sizeof(int));
    }

    /// <summary>Waits for the end of a transaction that deletes something.</summary>
    /// <returns>Null: <see cref="Stop"/> was called.</returns>
    public HashSet<NfTablesDeletion>? Wait()
    {
        using Epoll epoll = new(2);
        epoll.Add(_stop.Handle, EpollEvents.In, 0);
        epoll.Add(_socket, EpollEvents.In, 1);
        List<ReadyDescriptor> ready = [];
        HashSet<NfTablesDeletion> deleted = [];
        bool ended = false;
        while (deleted.Count == 0 || !ended)
        {
            epoll.Wait(ready, timeoutMilliseconds: -1);
            if (ready.Any(descriptor => descriptor.Token == 0))
            {
                return null;
            }

            ended = Drain(deleted) ?? ended;
        }

        return deleted;
    }

    /// <summary>Lets time pass, and adds what is deleted meanwhile.</summary>
    /// <returns>False: <see cref="Stop"/> was called.</returns>
    public bool Collect(HashSet<NfTablesDeletion> deleted, TimeSpan duration)
    {
        using Epoll epoll = new(1);
        epoll.Add(_stop.Handle, EpollEvents.In, 0);
        List<ReadyDescriptor> ready = [];
        epoll.Wait(ready, (int)duration.TotalMilliseconds);
        if (ready.Count > 0)
        {
            return false;
        }

        Drain(deleted);
        return true;
    }

    /// <summary>Ends the waiting, for good.</summary>
    public void Stop() => _stop.Signal();

    public void Dispose()
    {
        _socket.Dispose();
        _stop.Dispose();
    }

    /// <summary>Reads what has arrived.</summary>
    /// <returns>Whether it ends with the end of a transaction, or that end may be among what was lost; null: nothing has arrived.</returns>
    private bool? Drain(HashSet<NfTablesDeletion> deleted)
    {
        bool? ended = null;
        bool missed = false;
        int length;
        while ((length = Receive()) != 0)
        {
            if (length < 0)
            {
                deleted.Add(NfTablesDeletion.Missed);
                ended = missed = true;
            }
            else
            {
                ended = Parse(_buffer.AsSpan(0, length), deleted) || missed;
            }
        }

        return ended;
    }

    /// <returns>Whether the last message ends a transaction (nf_tables_gen_notify).</returns>
    private bool Parse(ReadOnlySpan<byte> datagram, HashSet<NfTablesDeletion> deleted)
    {
        bool ended = false;
        NetlinkReader reader = new(datagram);
        while (reader.TryRead(out NetlinkMessage message))
        {
            ended = message.Type == NfTablesBatch.MessageType(NFT_MSG_NEWGEN);
            if (IsDeletion(message.Type) && !_isOwn(message.Port) && message.TryFixed(out NetfilterInfo info, out AttributeReader attributes))
            {
                // The same attribute in all of them (NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, …).
                deleted.Add(new NfTablesDeletion((NfTablesFamily)info.Family, attributes.Text(NFTA_TABLE_NAME) ?? "", message.Type == NfTablesBatch.MessageType(NFT_MSG_DELTABLE)));
            }
        }

        return ended;
    }

    private static bool IsDeletion(ushort type) =>
        (type >> 8) == NFNL_SUBSYS_NFTABLES && (type & 0xff) is NFT_MSG_DELTABLE or NFT_MSG_DELCHAIN or NFT_MSG_DELRULE or NFT_MSG_DELSET or NFT_MSG_DELSETELEM;

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
