using System.Net;
using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>A transaction on nf_tables of one family.</summary>
public sealed class NfTablesBatch
{
    /// <summary>Elements in one message: the list is one attribute, whose length is 16 bits.</summary>
    private const int ElementsPerMessage = 500;

    private readonly NetlinkWriter _writer;
    private readonly NfTablesFamily _family;
    private readonly Action _execute;
    private uint _setId;

    internal NfTablesBatch(NetlinkWriter writer, NfTablesFamily family, uint? generation, Action execute)
    {
        _writer = writer;
        _family = family;
        _execute = execute;
        using (_writer.Begin(NFNL_MSG_BATCH_BEGIN, NetlinkFlags.None, "begin batch"))
        {
            WriteBatchInfo();
            if (generation is { } id)
            {
                _writer.BigEndian32(NFNL_BATCH_GENID, id);
            }
        }
    }

    internal static ushort MessageType(ushort message) => (ushort)((NFNL_SUBSYS_NFTABLES << 8) | message);

    /// <summary>Makes everything happen at once.</summary>
    /// <exception cref="KernelException">Nothing happened; the first message the kernel refused, or ERESTART of the whole.</exception>
    public void Commit()
    {
        using (_writer.Begin(NFNL_MSG_BATCH_END, NetlinkFlags.None, "end batch"))
        {
            WriteBatchInfo();
        }

        _execute();
    }

    /// <summary>Creates a table; one that exists stays as it is.</summary>
    /// <param name="comment">At most 127 bytes.</param>
    public NfTablesBatch AddTable(string table, string comment)
    {
        using (Begin(NFT_MSG_NEWTABLE, NetlinkFlags.Create, $"add table {table}"))
        {
            WriteInfo();
            _writer.Text(NFTA_TABLE_NAME, table);
            _writer.Attribute(NFTA_TABLE_USERDATA, UserdataComment.Write(comment));
        }

        return this;
    }

    /// <summary>Deletes a table with everything in it.</summary>
    public NfTablesBatch DeleteTable(string table)
    {
        using (Begin(NFT_MSG_DELTABLE, NetlinkFlags.None, $"delete table {table}"))
        {
            WriteInfo();
            _writer.Text(NFTA_TABLE_NAME, table);
        }

        return this;
    }

    /// <summary>Creates a chain that others jump to.</summary>
    public NfTablesBatch AddChain(string table, string chain)
    {
        using (Begin(NFT_MSG_NEWCHAIN, NetlinkFlags.Create, $"add chain {table} {chain}"))
        {
            WriteInfo();
            _writer.Text(NFTA_CHAIN_TABLE, table);
            _writer.Text(NFTA_CHAIN_NAME, chain);
        }

        return this;
    }

    /// <summary>Creates a chain at a hook, which accepts what its rules do not decide.</summary>
    public NfTablesBatch AddChain(string table, BaseChain chain)
    {
        const uint NF_ACCEPT = 1;
        using (Begin(NFT_MSG_NEWCHAIN, NetlinkFlags.Create, $"add chain {table} {chain.Name}"))
        {
            WriteInfo();
            _writer.Text(NFTA_CHAIN_TABLE, table);
            _writer.Text(NFTA_CHAIN_NAME, chain.Name);
            _writer.Text(NFTA_CHAIN_TYPE, chain.Type == ChainType.Nat ? "nat" : "filter");
            _writer.BigEndian32(NFTA_CHAIN_POLICY, NF_ACCEPT);
            using (_writer.Begin(NFTA_CHAIN_HOOK))
            {
                _writer.BigEndian32(NFTA_HOOK_HOOKNUM, (uint)chain.Hook);
                _writer.BigEndian32(NFTA_HOOK_PRIORITY, unchecked((uint)chain.Priority));
            }
        }

        return this;
    }

    /// <summary>Deletes the rules of a chain.</summary>
    public NfTablesBatch FlushChain(string table, string chain) => Chain(NFT_MSG_DELRULE, "flush", table, chain, NFTA_RULE_TABLE, NFTA_RULE_CHAIN);

    /// <summary>Deletes a chain that nothing jumps to; ENOENT if there is none.</summary>
    public NfTablesBatch DeleteChain(string table, string chain) => Chain(NFT_MSG_DELCHAIN, "delete", table, chain, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME);

    /// <summary>Appends a rule.</summary>
    public NfTablesBatch AddRule(string table, string chain, Rule rule)
    {
        using (Begin(NFT_MSG_NEWRULE, NetlinkFlags.Create | NetlinkFlags.Append, $"add rule {table} {chain}"))
        {
            WriteInfo();
            _writer.Text(NFTA_RULE_TABLE, table);
            _writer.Text(NFTA_RULE_CHAIN, chain);
            using (_writer.Begin(NFTA_RULE_EXPRESSIONS))
            {
                foreach (Expression expression in rule.Expressions)
                {
                    expression.Write(_writer);
                }
            }

            if (rule.Comment is not null)
            {
                _writer.Attribute(NFTA_RULE_USERDATA, UserdataComment.Write(rule.Comment));
            }
        }

        return this;
    }

    public NfTablesBatch AddMap(string table, NfTablesMap map)
    {
        using (Begin(NFT_MSG_NEWSET, NetlinkFlags.Create, $"add map {table} {map.Name}"))
        {
            WriteInfo();
            _writer.Text(NFTA_SET_TABLE, table);
            _writer.Text(NFTA_SET_NAME, map.Name);
            _writer.BigEndian32(NFTA_SET_FLAGS, (map.Value.Count > 0 ? NFT_SET_MAP : 0) | (map.HasRanges ? NFT_SET_INTERVAL : 0));
            _writer.BigEndian32(NFTA_SET_KEY_TYPE, NfTablesMap.TypeNumber(map.Key));
            _writer.BigEndian32(NFTA_SET_KEY_LEN, NfTablesMap.Length(map.Key));
            if (map.Value is [SetType.Verdict])
            {
                _writer.BigEndian32(NFTA_SET_DATA_TYPE, (uint)SetType.Verdict);
            }
            else if (map.Value.Count > 0)
            {
                _writer.BigEndian32(NFTA_SET_DATA_TYPE, NfTablesMap.TypeNumber(map.Value));
                _writer.BigEndian32(NFTA_SET_DATA_LEN, NfTablesMap.Length(map.Value));
            }

            _writer.BigEndian32(NFTA_SET_ID, ++_setId);
            if (map.Key is [SetType.InterfaceName])
            {
                // Text is in the order of the host: without being told, nft shows it backwards (NFTNL_UDATA_SET_KEYBYTEORDER, libnftnl/udata.h).
                ReadOnlySpan<byte> hostOrder = [0, 4, 1, 0, 0, 0];
                _writer.Attribute(NFTA_SET_USERDATA, hostOrder);
            }
        }

        return this;
    }

    /// <summary>Adds elements; one that exists with the same value stays, with another it is EEXIST.</summary>
    public NfTablesBatch AddElements(string table, string map, IReadOnlyList<MapElement> elements) =>
        Elements(NFT_MSG_NEWSETELEM, NetlinkFlags.Create, "add", table, map, elements);

    /// <summary>Deletes elements by their keys; ENOENT if one does not exist.</summary>
    public NfTablesBatch DeleteElements(string table, string map, IReadOnlyList<MapElement> elements) =>
        Elements(NFT_MSG_DELSETELEM, NetlinkFlags.None, "delete", table, map, elements);

    private NfTablesBatch Chain(ushort message, string verb, string table, string chain, ushort tableAttribute, ushort chainAttribute)
    {
        using (Begin(message, NetlinkFlags.None, $"{verb} chain {table} {chain}"))
        {
            WriteInfo();
            _writer.Text(tableAttribute, table);
            _writer.Text(chainAttribute, chain);
        }

        return this;
    }

    private NfTablesBatch Elements(ushort message, NetlinkFlags flags, string verb, string table, string map, IReadOnlyList<MapElement> elements)
    {
        foreach (MapElement[] chunk in elements.Chunk(ElementsPerMessage))
        {
            using (Begin(message, flags, $"{verb} {chunk.Length} elements of {table} {map}"))
            {
                WriteInfo();
                _writer.Text(NFTA_SET_ELEM_LIST_TABLE, table);
                _writer.Text(NFTA_SET_ELEM_LIST_SET, map);
                using (_writer.Begin(NFTA_SET_ELEM_LIST_ELEMENTS))
                {
                    foreach (MapElement element in chunk)
                    {
                        WriteElement(element);
                    }
                }
            }
        }

        return this;
    }

    private void WriteElement(MapElement element)
    {
        using (_writer.Begin(NFTA_LIST_ELEM))
        {
            using (_writer.Begin(NFTA_SET_ELEM_KEY))
            {
                _writer.Attribute(NFTA_DATA_VALUE, element.Key);
            }

            if (element.JumpTo is { } chain)
            {
                using (_writer.Begin(NFTA_SET_ELEM_DATA))
                {
                    VerdictExpression.WriteVerdict(_writer, VerdictExpression.JumpCode, chain);
                }
            }
            else if (element.Value.Length > 0)
            {
                using (_writer.Begin(NFTA_SET_ELEM_DATA))
                {
                    _writer.Attribute(NFTA_DATA_VALUE, element.Value);
                }
            }

            if (element.EndsRange)
            {
                _writer.BigEndian32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
            }

            if (element.Comment is { } comment)
            {
                _writer.Attribute(NFTA_SET_ELEM_USERDATA, UserdataComment.Write(comment));
            }
        }
    }

    private NetlinkWriter.Message Begin(ushort message, NetlinkFlags flags, string operation) =>
        _writer.Begin(MessageType(message), flags | NetlinkFlags.Ack, operation);

    private void WriteInfo() => _writer.Fixed(new NetfilterInfo { Family = (byte)_family });

    private void WriteBatchInfo() => _writer.Fixed(new NetfilterInfo
    {
        ResourceId = (ushort)IPAddress.HostToNetworkOrder((short)NFNL_SUBSYS_NFTABLES),
    });
}
