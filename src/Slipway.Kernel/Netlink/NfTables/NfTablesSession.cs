using Microsoft.Win32.SafeHandles;
using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>nf_tables of one family over nfnetlink, in the network namespace of the thread that opened the session.</summary>
public sealed class NfTablesSession : NetlinkSession
{
    /// <exception cref="KernelException">The socket could not be opened.</exception>
    public NfTablesSession(NfTablesFamily family = NfTablesFamily.Ipv4)
        : base(NETLINK_NETFILTER)
    {
        // One transaction makes the rules of all networks anew: a thousand of them have ten thousand messages.
        const int LargestTransaction = 16 << 20;
        Family = family;
        AllowLarge(LargestTransaction);
    }

    internal NfTablesSession(SafeFileHandle socket)
        : base(socket) => Family = NfTablesFamily.Ipv4;

    public NfTablesFamily Family { get; }

    /// <summary>Starts a transaction: all of it happens at once, at <see cref="NfTablesBatch.Commit"/>, or nothing.</summary>
    /// <param name="generation">From <see cref="Generation"/>: fail with ERESTART if any table was changed since. Null: do not care.</param>
    public NfTablesBatch Begin(uint? generation = null)
    {
        Writer.Reset();
        return new NfTablesBatch(Writer, Family, generation, () => Execute(Writer));
    }

    /// <summary>A number that changes with every transaction, whoever makes it.</summary>
    public uint Generation() => Get(
        NFT_MSG_GETGEN, NetlinkFlags.Ack, "get nf_tables generation", _ => { }, NFT_MSG_NEWGEN,
        attributes => new Number(attributes.BigEndian32(NFTA_GEN_ID) ?? 0)).FirstOrDefault()?.Value ?? throw new KernelException("get nf_tables generation", Errno.EPROTO);

    /// <summary>All tables of the family.</summary>
    public IReadOnlyList<NfTablesTable> Tables() => Get(
        NFT_MSG_GETTABLE, NetlinkFlags.Dump, "list nf_tables tables", _ => { }, NFT_MSG_NEWTABLE,
        attributes => new NfTablesTable(
            attributes.Text(NFTA_TABLE_NAME) ?? "",
            attributes.Find(NFTA_TABLE_USERDATA, out ReadOnlySpan<byte> userdata) ? UserdataComment.Read(userdata) : null));

    /// <summary>How many rules the chains of a table have, all together.</summary>
    public int RuleCount(string table) => Get(
        NFT_MSG_GETRULE, NetlinkFlags.Dump, $"list rules of {table}", writer => writer.Text(NFTA_RULE_TABLE, table), NFT_MSG_NEWRULE,
        attributes => attributes.Text(NFTA_RULE_TABLE) ?? "").Count(of => of == table);

    /// <summary>The elements of a map.</summary>
    /// <exception cref="KernelException">ENOENT: there is no such table or map.</exception>
    public IReadOnlyList<MapElement> Elements(string table, string map) =>
    [
        .. Get(
            NFT_MSG_GETSETELEM,
            NetlinkFlags.Dump,
            $"list elements of {table} {map}",
            writer =>
            {
                writer.Text(NFTA_SET_ELEM_LIST_TABLE, table);
                writer.Text(NFTA_SET_ELEM_LIST_SET, map);
            },
            NFT_MSG_NEWSETELEM,
            ParseElements).SelectMany(elements => elements),
    ];

    private static List<MapElement> ParseElements(AttributeReader attributes)
    {
        List<MapElement> elements = [];
        AttributeReader list = attributes.Nested(NFTA_SET_ELEM_LIST_ELEMENTS);
        while (list.TryRead(out _, out ReadOnlySpan<byte> item))
        {
            AttributeReader element = new(item);
            if (element.Nested(NFTA_SET_ELEM_KEY).Find(NFTA_DATA_VALUE, out ReadOnlySpan<byte> key))
            {
                AttributeReader data = element.Nested(NFTA_SET_ELEM_DATA);
                elements.Add(new MapElement(
                    key.ToArray(), data.Find(NFTA_DATA_VALUE, out ReadOnlySpan<byte> value) ? value.ToArray() : [], data.Nested(NFTA_DATA_VERDICT).Text(NFTA_VERDICT_CHAIN))
                {
                    Comment = element.Find(NFTA_SET_ELEM_USERDATA, out ReadOnlySpan<byte> userdata) ? UserdataComment.Read(userdata) : null,
                    EndsRange = ((element.BigEndian32(NFTA_SET_ELEM_FLAGS) ?? 0) & NFT_SET_ELEM_INTERVAL_END) != 0,
                });
            }
        }

        return elements;
    }

    private sealed record Number(uint Value);

    private delegate T AttributeParser<T>(AttributeReader attributes);

    private List<T> Get<T>(ushort request, NetlinkFlags flags, string operation, Action<NetlinkWriter> write, ushort answer, AttributeParser<T> parse)
        where T : class
    {
        Writer.Reset();
        using (Writer.Begin(NfTablesBatch.MessageType(request), flags, operation))
        {
            Writer.Fixed(new NetfilterInfo { Family = (byte)Family });
            write(Writer);
        }

        return Query(Writer, operation, message =>
            message.Type == NfTablesBatch.MessageType(answer) && message.TryFixed(out NetfilterInfo _, out AttributeReader attributes)
                ? parse(attributes)
                : null);
    }
}
