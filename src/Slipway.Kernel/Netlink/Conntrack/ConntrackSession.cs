using System.Buffers.Binary;
using System.Net;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Netlink;

/// <summary>A tracked connection.</summary>
/// <param name="Protocol">IPPROTO_*.</param>
/// <param name="DestinationPort">Where its first packet went, before any redirection; 0 for a protocol without ports.</param>
/// <param name="ReplySource">Who answers: the destination after redirection.</param>
public sealed record TrackedConnection(byte Protocol, ushort DestinationPort, IPAddress ReplySource);

/// <summary>Connection tracking over nfnetlink (linux/netfilter/nfnetlink_conntrack.h).</summary>
public sealed class ConntrackSession : NetlinkSession
{
    private const int NETLINK_NETFILTER = 12;
    private const ushort NFNL_SUBSYS_CTNETLINK = 1;
    private const ushort IPCTNL_MSG_CT_NEW = (NFNL_SUBSYS_CTNETLINK << 8) | 0;
    private const ushort IPCTNL_MSG_CT_GET = (NFNL_SUBSYS_CTNETLINK << 8) | 1;
    private const ushort IPCTNL_MSG_CT_DELETE = (NFNL_SUBSYS_CTNETLINK << 8) | 2;
    private const ushort CTA_TUPLE_ORIG = 1;
    private const ushort CTA_TUPLE_REPLY = 2;
    private const ushort CTA_ID = 12;
    private const ushort CTA_TUPLE_IP = 1;
    private const ushort CTA_TUPLE_PROTO = 2;
    private const ushort CTA_IP_V4_SRC = 1;
    private const ushort CTA_IP_V6_SRC = 3;
    private const ushort CTA_PROTO_NUM = 1;
    private const ushort CTA_PROTO_DST_PORT = 3;
    private const ushort Nested = 0x8000;

    /// <exception cref="KernelException">The socket could not be opened.</exception>
    public ConntrackSession()
        : base(NETLINK_NETFILTER)
    {
    }

    internal ConntrackSession(SafeFileHandle socket)
        : base(socket)
    {
    }

    /// <summary>
    /// Forgets the connections of a family for which <paramref name="stale"/> holds, so that their next packet meets the rules as they are now.
    /// Returns how many.
    /// </summary>
    public int Delete(NfTablesFamily family, Predicate<TrackedConnection> stale)
    {
        Writer.Reset();
        using (Writer.Begin(IPCTNL_MSG_CT_GET, NetlinkFlags.Dump, "list connections"))
        {
            WriteInfo(family);
        }

        List<ConnectionName> found = Query(Writer, "list connections", message =>
            message.Type == IPCTNL_MSG_CT_NEW && message.TryFixed(out NfTablesMessages.NetfilterInfo _, out AttributeReader attributes)
            && attributes.Find(CTA_TUPLE_ORIG, out ReadOnlySpan<byte> original) && attributes.Find(CTA_ID, out ReadOnlySpan<byte> id)
            && Parse(original, attributes.Nested(CTA_TUPLE_REPLY)) is { } connection && stale(connection)
                ? new ConnectionName(original.ToArray(), id.ToArray())
                : null);
        return found.Count(connection => DeleteOne(family, connection));
    }

    /// <summary>The attributes that name a connection, as they were received.</summary>
    private sealed record ConnectionName(byte[] Original, byte[] Id);

    private static TrackedConnection? Parse(ReadOnlySpan<byte> original, AttributeReader reply)
    {
        AttributeReader protocol = new AttributeReader(original).Nested(CTA_TUPLE_PROTO);
        AttributeReader answer = reply.Nested(CTA_TUPLE_IP);
        if (!protocol.Find(CTA_PROTO_NUM, out ReadOnlySpan<byte> number) || number.Length != 1
            || !(answer.Find(CTA_IP_V4_SRC, out ReadOnlySpan<byte> source) ? source.Length == 4 : answer.Find(CTA_IP_V6_SRC, out source) && source.Length == 16))
        {
            return null;
        }

        ushort port = protocol.Find(CTA_PROTO_DST_PORT, out ReadOnlySpan<byte> value) && value.Length == 2 ? BinaryPrimitives.ReadUInt16BigEndian(value) : (ushort)0;
        return new TrackedConnection(number[0], port, new IPAddress(source));
    }

    private bool DeleteOne(NfTablesFamily family, ConnectionName connection)
    {
        Writer.Reset();
        using (Writer.Begin(IPCTNL_MSG_CT_DELETE, NetlinkFlags.Ack, "delete connection"))
        {
            WriteInfo(family);
            Writer.Attribute(CTA_TUPLE_ORIG | Nested, connection.Original);
            Writer.Attribute(CTA_ID, connection.Id);
        }

        try
        {
            Execute(Writer);
            return true;
        }
        catch (KernelException e) when (e.Errno == Errno.ENOENT)
        {
            return false; // ended by itself meanwhile
        }
    }

    private void WriteInfo(NfTablesFamily family) => Writer.Fixed(new NfTablesMessages.NetfilterInfo { Family = (byte)family });
}
