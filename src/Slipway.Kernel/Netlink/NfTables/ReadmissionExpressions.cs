using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>Sends a copy of the packet, whose connection is unknown, to the address in a register (nf_dup_ipv4, nf_dup_ipv6).</summary>
public sealed record DuplicateExpression(Register Address = Register.R1) : Expression
{
    protected override string Name => "dup";

    private protected override void WriteData(NetlinkWriter writer) => writer.BigEndian32(NFTA_DUP_SREG_ADDR, (uint)Address);
}

/// <summary>Loads the type of the source address (RTN_*) from the routing tables.</summary>
public sealed record SourceTypeExpression(Register Into = Register.R1) : Expression
{
    protected override string Name => "fib";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR);
        writer.BigEndian32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        writer.BigEndian32(NFTA_FIB_DREG, (uint)Into);
    }
}

/// <summary>Loads a value that the rule has.</summary>
public sealed record ImmediateExpression(byte[] Value, Register Into = Register.R1) : Expression
{
    protected override string Name => "immediate";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_IMMEDIATE_DREG, (uint)Into);
        WriteValue(writer, NFTA_IMMEDIATE_DATA, Value);
    }
}

/// <summary>The packet's connection is looked up in the zone of the number in a register; also that of one which was to stay unknown (nft_ct_set_zone_eval).</summary>
public sealed record ConntrackZoneExpression(Register From = Register.R1) : Expression
{
    protected override string Name => "ct";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_CT_KEY, NFT_CT_ZONE);
        writer.BigEndian32(NFTA_CT_SREG, (uint)From);
    }
}
