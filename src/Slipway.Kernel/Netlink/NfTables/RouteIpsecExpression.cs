using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>Loads one byte: whether the way that was found for the packet leads through IPsec.</summary>
public sealed record RouteIpsecExpression(Register Into = Register.R1) : Expression
{
    protected override string Name => "rt";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_RT_DREG, (uint)Into);
        writer.BigEndian32(NFTA_RT_KEY, NFT_RT_XFRM);
    }
}
