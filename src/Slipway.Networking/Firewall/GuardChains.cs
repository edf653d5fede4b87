using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The sets and chains of an engine's table of the bridge family, which let a container of a guarded network send as itself only: with its hardware address and
/// its addresses, also where ARP and neighbour discovery say whose they are.
/// </summary>
internal sealed class GuardChains(NfTablesBatch batch, string table)
{
    /// <summary>Set of the ports that are looked at.</summary>
    public const string Guarded = "guarded";

    /// <summary>Sets of pairs of a port and an address that is its container's.</summary>
    public const string Hardware = "hardware";
    public const string Ipv4 = "addresses";
    public const string Ipv6 = "addresses6";

    private const string Prerouting = "prerouting";
    private const string Frame = "frame";
    private const string Arp = "arp";
    private const string InternetProtocol = "ip";
    private const string InternetProtocol6 = "ip6";

    // linux/if_ether.h; RFC 4861 section 4, RFC 3810 section 5.2.
    private const ushort ETH_P_IP = 0x0800;
    private const ushort ETH_P_ARP = 0x0806;
    private const ushort ETH_P_IPV6 = 0x86dd;
    private const byte RouterAdvertisement = 134;
    private const byte NeighbourSolicitation = 135;
    private const byte NeighbourAdvertisement = 136;
    private const byte Redirect = 137;
    private const byte ListenerReport = 143;

    public static IReadOnlyList<string> All { get; } = [Guarded, Hardware, Ipv4, Ipv6];

    public void Add()
    {
        batch
            .AddMap(table, new NfTablesMap(Guarded, [SetType.InterfaceName], []))
            .AddMap(table, new NfTablesMap(Hardware, [SetType.InterfaceName, SetType.HardwareAddress], []))
            .AddMap(table, new NfTablesMap(Ipv4, [SetType.InterfaceName, SetType.Ipv4Address], []))
            .AddMap(table, new NfTablesMap(Ipv6, [SetType.InterfaceName, SetType.Ipv6Address], []));
        foreach (string chain in (string[])[Arp, InternetProtocol, InternetProtocol6, Frame])
        {
            batch.AddChain(table, chain);
        }

        batch
            .AddChain(table, new BaseChain(Prerouting, ChainType.Filter, NetfilterHook.Prerouting, ChainPriority.BridgeFilter))
            .AddRule(table, Prerouting, new Rule().InputInterfaceOf(Guarded).Jump(Frame))

            // Other protocols have addresses that nobody here knows; frames with a VLAN tag are of this kind too.
            .AddRule(table, Frame, new Rule().PortAnd(FrameField.Sender, Hardware, negate: true).Drop())
            .AddRule(table, Frame, new Rule().EtherType(ETH_P_IP).Jump(InternetProtocol))
            .AddRule(table, Frame, new Rule().EtherType(ETH_P_IPV6).Jump(InternetProtocol6))
            .AddRule(table, Frame, new Rule().EtherType(ETH_P_ARP).Jump(Arp))
            .AddRule(table, Frame, new Rule().Drop())

            // A probe comes from 0.0.0.0, and changes nobody's cache (RFC 5227).
            .AddRule(table, Arp, new Rule().PortAnd(FrameField.ArpHardwareSender, Hardware, negate: true).Drop())
            .AddRule(table, Arp, new Rule().IsUnspecified(FrameField.ArpSender).Accept())
            .AddRule(table, Arp, new Rule().PortAnd(FrameField.ArpSender, Ipv4, negate: true).Drop())
            .AddRule(table, Arp, new Rule().Accept())

            .AddRule(table, InternetProtocol, new Rule().PortAnd(FrameField.Ipv4Source, Ipv4, negate: true).Drop())
            .AddRule(table, InternetProtocol, new Rule().Accept())

            // Who has no address yet asks whether his is taken (RFC 4862), and tells which groups he listens to.
            .AddRule(table, InternetProtocol6, new Rule().Icmp6Type(RouterAdvertisement).Drop())
            .AddRule(table, InternetProtocol6, new Rule().Icmp6Type(Redirect).Drop())
            .AddRule(table, InternetProtocol6, new Rule().Icmp6Type(NeighbourAdvertisement).PortAnd(FrameField.NeighbourTarget, Ipv6, negate: true).Drop())
            .AddRule(table, InternetProtocol6, new Rule().IsUnspecified(FrameField.Ipv6Source).Icmp6Type(ListenerReport).Accept())
            .AddRule(
                table, InternetProtocol6, new Rule().IsUnspecified(FrameField.Ipv6Source).Icmp6Type(NeighbourSolicitation).PortAnd(FrameField.NeighbourTarget, Ipv6).Accept())
            .AddRule(table, InternetProtocol6, new Rule().PortAnd(FrameField.Ipv6Source, Ipv6, negate: true).Drop())
            .AddRule(table, InternetProtocol6, new Rule().Accept());
    }
}
