using static Slipway.Kernel.Netlink.NfTablesMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>Loads the index of the interface by which a packet to the source would leave, if that is the one it came by; zero if not.</summary>
public sealed record ReversePathExpression(Register Into = Register.R1) : Expression
{
    private const uint NFT_FIB_RESULT_OIF = 1;
    private const uint NFTA_FIB_F_SADDR = 1;
    private const uint NFTA_FIB_F_IIF = 8;

    protected override string Name => "fib";

    private protected override void WriteData(NetlinkWriter writer)
    {
        writer.BigEndian32(NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF);
        writer.BigEndian32(NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
        writer.BigEndian32(NFTA_FIB_DREG, (uint)Into);
    }
}
