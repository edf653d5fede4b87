using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// A register of the rule's virtual machine (enum nft_registers). The 4-byte registers overlay the 16-byte ones: Word0 to Word3
/// are the parts of <see cref="R1"/>, Word4 the first of the next. A concatenated key occupies consecutive words.
/// </summary>
public enum Register : uint
{
    Verdict = 0,
    R1 = 1,
    Word0 = 8,
    Word1 = 9,
    Word2 = 10,
    Word4 = 12,
    Word5 = 13,
}

/// <summary>NFT_META_*.</summary>
public enum MetaKey : uint
{
    InputInterfaceName = 6,
    OutputInterfaceName = 7,
    SocketUser = 10,
    TransportProtocol = 16,

    /// <summary>One byte: whether the packet came in one of IPsec.</summary>
    SecurityPath = 25,
}

/// <summary>NFT_CT_*.</summary>
public enum ConntrackKey : uint
{
    State = 0,
    Status = 2,
}

/// <summary>NFT_PAYLOAD_*_HEADER.</summary>
public enum PayloadBase : uint
{
    LinkLayer = 0,
    Network = 1,
    Transport = 2,
}

/// <summary>A step of a rule: it loads, compares or decides. A comparison or lookup that fails ends the rule.</summary>
public abstract record Expression
{
    /// <summary>The kernel's name of the kind.</summary>
    protected abstract string Name { get; }

    /// <summary>Writes it as an element of NFTA_RULE_EXPRESSIONS.</summary>
    internal void Write(NetlinkWriter writer)
    {
        using (writer.Begin(NFTA_LIST_ELEM))
        {
            writer.Text(NFTA_EXPR_NAME, Name);
            using (writer.Begin(NFTA_EXPR_DATA))
            {
                WriteData(writer);
            }
        }
    }

    private protected abstract void WriteData(NetlinkWriter writer);

    private protected static void WriteValue(NetlinkWriter writer, ushort type, ReadOnlySpan<byte> value)
    {
        using (writer.Begin(type))
        {
            writer.Attribute(NFTA_DATA_VALUE, value);
        }
    }
}

/// <summary>Loads something the packet carries with it.</summary>
public sealed record MetaExpression(MetaKey Key, Register Into = Register.R1) : Expression
{
    protected override string Name => "meta";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_META_KEY, (uint)Key);
        writer.BigEndian32(NFTA_META_DREG, (uint)Into);
    }
}

/// <summary>Loads bytes of a header.</summary>
public sealed record PayloadExpression(PayloadBase Base, uint Offset, uint Length, Register Into = Register.R1) : Expression
{
    protected override string Name => "payload";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_PAYLOAD_DREG, (uint)Into);
        writer.BigEndian32(NFTA_PAYLOAD_BASE, (uint)Base);
        writer.BigEndian32(NFTA_PAYLOAD_OFFSET, Offset);
        writer.BigEndian32(NFTA_PAYLOAD_LEN, Length);
    }
}

/// <summary>Loads something about the packet's connection.</summary>
public sealed record ConntrackExpression(ConntrackKey Key, Register Into = Register.R1) : Expression
{
    protected override string Name => "ct";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_CT_KEY, (uint)Key);
        writer.BigEndian32(NFTA_CT_DREG, (uint)Into);
    }
}

/// <summary>Loads the type of the destination address (RTN_*) from the routing tables.</summary>
public sealed record DestinationTypeExpression(Register Into = Register.R1) : Expression
{
    protected override string Name => "fib";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
        writer.BigEndian32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        writer.BigEndian32(NFTA_FIB_DREG, (uint)Into);
    }
}

/// <summary>Goes on only if the register holds, or does not hold, these bytes.</summary>
public sealed record CompareExpression(byte[] Value, bool Negate = false, Register From = Register.R1) : Expression
{
    protected override string Name => "cmp";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_CMP_SREG, (uint)From);
        writer.BigEndian32(NFTA_CMP_OP, Negate ? 1u : 0u);
        WriteValue(writer, NFTA_CMP_DATA, Value);
    }
}

/// <summary>Masks a register.</summary>
public sealed record MaskExpression(byte[] Mask, Register Of = Register.R1) : Expression
{
    protected override string Name => "bitwise";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_BITWISE_SREG, (uint)Of);
        writer.BigEndian32(NFTA_BITWISE_DREG, (uint)Of);
        writer.BigEndian32(NFTA_BITWISE_LEN, (uint)Mask.Length);
        WriteValue(writer, NFTA_BITWISE_MASK, Mask);
        WriteValue(writer, NFTA_BITWISE_XOR, new byte[Mask.Length]);
    }
}

/// <summary>Goes on only if the map has the key; loads the value it has for it.</summary>
public sealed record MapExpression(string Map, Register Key = Register.R1, Register Into = Register.R1) : Expression
{
    protected override string Name => "lookup";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.Text(NFTA_LOOKUP_SET, Map);
        writer.BigEndian32(NFTA_LOOKUP_SREG, (uint)Key);
        writer.BigEndian32(NFTA_LOOKUP_DREG, (uint)Into);
    }
}

/// <summary>Goes on only if the set has the key, or has it not.</summary>
public sealed record SetExpression(string Set, bool Negate = false, Register Key = Register.R1) : Expression
{
    protected override string Name => "lookup";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.Text(NFTA_LOOKUP_SET, Set);
        writer.BigEndian32(NFTA_LOOKUP_SREG, (uint)Key);
        if (Negate)
        {
            writer.BigEndian32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
        }
    }
}

/// <summary>Redirects the connection to the address and port in two registers.</summary>
public sealed record DestinationNatExpression(NfTablesFamily Family, Register Address, Register Port) : Expression
{
    protected override string Name => "nat";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
        writer.BigEndian32(NFTA_NAT_FAMILY, (uint)Family);
        writer.BigEndian32(NFTA_NAT_REG_ADDR_MIN, (uint)Address);
        writer.BigEndian32(NFTA_NAT_REG_PROTO_MIN, (uint)Port);
    }
}

/// <summary>Leaves the packet's connection unknown.</summary>
public sealed record UntrackedExpression : Expression
{
    protected override string Name => "notrack";

    private protected override void WriteData(NetlinkWriter writer)
    {
    }
}

/// <summary>Gives the connection the address of the interface it leaves by.</summary>
public sealed record MasqueradeExpression : Expression
{
    protected override string Name => "masq";

    private protected override void WriteData(NetlinkWriter writer)
    {
    }
}

/// <summary>Decides, or jumps.</summary>
/// <param name="Code">NF_ACCEPT, NF_DROP, NFT_JUMP, …</param>
public sealed record VerdictExpression(int Code, string? Chain = null) : Expression
{
    /// <summary>NFT_JUMP.</summary>
    internal const int JumpCode = -3;

    protected override string Name => "immediate";

    internal static void WriteVerdict(NetlinkWriter writer, int code, string? chain)
    {
        using (writer.Begin(NFTA_DATA_VERDICT))
        {
            writer.BigEndian32(NFTA_VERDICT_CODE, unchecked((uint)code));
            if (chain is not null)
            {
                writer.Text(NFTA_VERDICT_CHAIN, chain);
            }
        }
    }

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_IMMEDIATE_DREG, (uint)Register.Verdict);
        using (writer.Begin(NFTA_IMMEDIATE_DATA))
        {
            WriteVerdict(writer, Code, Chain);
        }
    }
}
