using System.Net.Sockets;
using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>nf_tables over nfnetlink, family ip, in the network namespace of the thread that opened the session.</summary>
public sealed class NfTablesSession : NetlinkSession
{
    /// <exception cref="KernelException">The socket could not be opened.</exception>
    public NfTablesSession()
        : base(NETLINK_NETFILTER)
    {
    }

    /// <summary>Starts a transaction: all of it happens at once, at <see cref="NfTablesBatch.Commit"/>, or nothing.</summary>
    /// <param name="generation">From <see cref="Generation"/>: fail with ERESTART if any table was changed since. Null: do not care.</param>
    public NfTablesBatch Begin(uint? generation = null)
    {
        Writer.Reset();
        return new NfTablesBatch(Writer, generation, () => Execute(Writer));
    }

    /// <summary>A number that changes with every transaction, whoever makes it.</summary>
    public uint Generation()
    {
        uint generation = 0;
        Get(NFT_MSG_GETGEN, NetlinkFlags.Ack, "get nf_tables generation", _ => { }, NFT_MSG_NEWGEN, attributes => generation = attributes.BigEndian32(NFTA_GEN_ID) ?? 0);
        return generation;
    }

    /// <summary>All tables of family ip.</summary>
    public IReadOnlyList<NfTablesTable> Tables()
    {
        List<NfTablesTable> tables = [];
        Get(NFT_MSG_GETTABLE, NetlinkFlags.Dump, "list nf_tables tables", _ => { }, NFT_MSG_NEWTABLE, attributes =>
            tables.Add(new NfTablesTable(
                attributes.Text(NFTA_TABLE_NAME) ?? "",
                attributes.Find(NFTA_TABLE_USERDATA, out ReadOnlySpan<byte> userdata) ? UserdataComment.Read(userdata) : null)));
        return tables;
    }

    /// <summary>The elements of a map.</summary>
    /// <exception cref="KernelException">ENOENT: there is no such table or map.</exception>
    public IReadOnlyList<MapElement> Elements(string table, string map)
    {
        List<MapElement> elements = [];
        void Request(NetlinkWriter writer)
        {
            writer.Text(NFTA_SET_ELEM_LIST_TABLE, table);
            writer.Text(NFTA_SET_ELEM_LIST_SET, map);
        }

        Get(NFT_MSG_GETSETELEM, NetlinkFlags.Dump, $"list elements of {table} {map}", Request, NFT_MSG_NEWSETELEM, attributes =>
        {
            AttributeReader list = attributes.Nested(NFTA_SET_ELEM_LIST_ELEMENTS);
            while (list.TryRead(out _, out ReadOnlySpan<byte> item))
            {
                AttributeReader element = new(item);
                if (element.Nested(NFTA_SET_ELEM_KEY).Find(NFTA_DATA_VALUE, out ReadOnlySpan<byte> key)
                    && element.Nested(NFTA_SET_ELEM_DATA).Find(NFTA_DATA_VALUE, out ReadOnlySpan<byte> value))
                {
                    elements.Add(new MapElement(key.ToArray(), value.ToArray()));
                }
            }
        });
        return elements;
    }

    private delegate void AttributeReceiver(AttributeReader attributes);

    private void Get(ushort request, NetlinkFlags flags, string operation, Action<NetlinkWriter> write, ushort answer, AttributeReceiver receive)
    {
        Writer.Reset();
        using (Writer.Begin(NfTablesBatch.MessageType(request), flags, operation))
        {
            Writer.Fixed(new NetfilterInfo { Family = (byte)AddressFamily.InterNetwork });
            write(Writer);
        }

        Query(Writer, operation, message =>
        {
            if (message.Type == NfTablesBatch.MessageType(answer) && message.TryFixed(out NetfilterInfo _, out AttributeReader attributes))
            {
                receive(attributes);
            }
        });
    }
}
