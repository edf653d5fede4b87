using System.Net;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>The sets, maps and chains of an engine's table: published ports, outbound NAT, and what must not pass.</summary>
internal sealed class FirewallChains(NfTablesBatch batch, string table, NfTablesFamily family, PortAdmission admission)
{
    /// <summary>Maps of published ports: by protocol and port, and by host address, protocol and port.</summary>
    public const string ByPort = "published";
    public const string ByAddress = "published-addresses";

    /// <summary>Set of the ports that are open at containers' own addresses: address, protocol and port.</summary>
    public const string Opened = "opened-ports";

    /// <summary>Set of the bridges of all networks.</summary>
    public const string Bridges = "bridges";

    /// <summary>Set of pairs of interfaces between which packets stay in one network.</summary>
    public const string Within = "within";

    /// <summary>Set of bridges that nothing is forwarded to or from.</summary>
    public const string Internal = "internal";

    /// <summary>Set of bridges to which only answers and what was published is forwarded.</summary>
    public const string Protected = "protected";

    /// <summary>Set of bridges whose containers are reached by their own addresses: they answer echo requests.</summary>
    public const string Routed = "routed";

    /// <summary>Set of pairs of an interface of the host and a bridge to which it may send everything.</summary>
    public const string Trusted = "trusted";

    /// <summary>Map of subnets to the chains that say which of their packets carry another address.</summary>
    public const string Sources = "sources";

    /// <summary>Set of the bridges that extend others.</summary>
    public const string Extensions = "extensions";

    private const string Publish = "publish";
    private const string Prerouting = "prerouting";
    private const string Output = "output";
    private const string Postrouting = "postrouting";
    private const string Forward = "forward";
    private const string Loopback = "loopback";
    private const byte Icmp = 1;
    private const byte Icmp6 = 58;

    private static readonly IPNetwork LoopbackNetwork = new(new IPAddress([127, 0, 0, 0]), 8);
    private static readonly IPNetwork Loopback6 = new(IPAddress.IPv6Loopback, 128);
    private static readonly IPNetwork LinkLocal6 = IPNetwork.Parse("fe80::/10");

    private readonly SetType _address = family == NfTablesFamily.Ipv4 ? SetType.Ipv4Address : SetType.Ipv6Address;

    /// <summary>The maps whose elements are published ports.</summary>
    public static IReadOnlyList<string> OfPorts { get; } = [ByPort, ByAddress, Opened];

    /// <summary>The sets and maps whose elements follow from a network's options.</summary>
    public static IReadOnlyList<string> OfPolicies { get; } = [Bridges, Within, Internal, Protected, Routed, Trusted, Extensions, Sources];

    public void Add()
    {
        AddMaps();
        AddPublishing();
        AddNat();
        AddProtection();
    }

    /// <summary>
    /// Adds what the first bridge that extends another needs. With br_netfilter its frames pass all hooks there and once more at the first bridge, where they belong:
    /// a connection that was seen already would not be redirected.
    /// </summary>
    public static void AddExtended(NfTablesBatch batch, string table)
    {
        const string Untracked = "untracked";
        batch
            .AddChain(table, new BaseChain(Untracked, ChainType.Filter, NetfilterHook.Prerouting, ChainPriority.Raw))
            .FlushChain(table, Untracked)
            .AddRule(table, Untracked, new Rule().InputInterfaceOf(Extensions).Untrack());
    }

    private void AddMaps()
    {
        foreach (string set in (string[])[Bridges, Internal, Protected, Routed, Extensions])
        {
            batch.AddMap(table, new NfTablesMap(set, [SetType.InterfaceName], []));
        }

        foreach (string set in (string[])[Within, Trusted])
        {
            batch.AddMap(table, new NfTablesMap(set, [SetType.InterfaceName, SetType.InterfaceName], []));
        }

        SetType[] target = [_address, SetType.Port];
        batch
            .AddMap(table, new NfTablesMap(Sources, [_address], [SetType.Verdict]) { HasRanges = true })
            .AddMap(table, new NfTablesMap(ByPort, [SetType.TransportProtocol, SetType.Port], target))
            .AddMap(table, new NfTablesMap(ByAddress, [_address, SetType.TransportProtocol, SetType.Port], target))
            .AddMap(table, new NfTablesMap(Opened, [_address, SetType.TransportProtocol, SetType.Port], []));
    }

    private void AddPublishing()
    {
        batch
            .AddChain(table, Publish)
            .AddRule(table, Publish, new Rule().RedirectByAddressAndPort(ByAddress, family))
            .AddRule(table, Publish, new Rule().RedirectByPort(ByPort, family))
            .AddChain(table, new BaseChain(Output, ChainType.Nat, NetfilterHook.Output, ChainPriority.DestinationNat))
            .AddRule(table, Output, (family == NfTablesFamily.Ipv4 ? new Rule() : new Rule().DestinationIn(Loopback6, negate: true).DestinationIn(LinkLocal6, negate: true)).DestinationIsLocal().Jump(Publish));
        if (admission == PortAdmission.Input)
        {
            new AdmissionChains(batch, table, family).Add(FromOutside(new Rule().New()));
            return;
        }

        batch
            .AddChain(table, new BaseChain(Prerouting, ChainType.Nat, NetfilterHook.Prerouting, ChainPriority.DestinationNat))
            .AddRule(table, Prerouting, FromOutside(new Rule()).Jump(Publish));
    }

    /// <summary>
    /// What comes in for an address of the host by which a container can be reached. A packet to 127.0.0.1 must not become one to a container before routing would reject it.
    /// Link-local packets are not forwarded, and there is no route_localnet by which an answer to ::1 would come back: those reach the socket that keeps the port, and the forwarder
    /// behind it.
    /// </summary>
    private Rule FromOutside(Rule rule) => (family == NfTablesFamily.Ipv4
        ? rule.DestinationIn(LoopbackNetwork, negate: true)
        : rule.DestinationIn(Loopback6, negate: true).DestinationIn(LinkLocal6, negate: true).SourceIn(LinkLocal6, negate: true)).DestinationIsLocal();

    private void AddNat()
    {
        batch
            .AddChain(table, new BaseChain(Postrouting, ChainType.Nat, NetfilterHook.Postrouting, ChainPriority.SourceNat))
            .AddRule(table, Postrouting, new Rule().DecideBySource(Sources, family));
        if (family == NfTablesFamily.Ipv4)
        {
            batch.AddRule(
                table, Postrouting, new Rule().SourceIn(LoopbackNetwork).OutputInterfaceOf(Bridges).Masquerade().Because("published port reached by 127.0.0.1"));
        }
    }

    private void AddProtection()
    {
        if (family == NfTablesFamily.Ipv4)
        {
            // route_localnet is on for the bridges: what the kernel would have dropped as martian is dropped here (CVE-2020-8558). Packets from or
            // to ::1 it drops itself (ip6_rcv_core).
            batch
                .AddChain(table, new BaseChain(Loopback, ChainType.Filter, NetfilterHook.Prerouting, ChainPriority.Raw))
                .AddRule(table, Loopback, new Rule().DestinationIn(LoopbackNetwork).InputInterfaceOf(Bridges).Drop())
                .AddRule(table, Loopback, new Rule().SourceIn(LoopbackNetwork).InputInterfaceOf(Bridges).Drop());
        }

        // Nearly all packets are of connections that are let through already: they end at the first rule.
        batch
            .AddChain(table, new BaseChain(Forward, ChainType.Filter, NetfilterHook.Forward, ChainPriority.Filter))
            .AddRule(table, Forward, new Rule().Established().Accept())
            .AddRule(table, Forward, new Rule().InterfacesOf(Within).Accept())
            .AddRule(table, Forward, new Rule().InputInterfaceOf(Internal).Drop())
            .AddRule(table, Forward, new Rule().OutputInterfaceOf(Internal).Drop())
            .AddRule(table, Forward, new Rule().Redirected().Accept())
            .AddRule(table, Forward, new Rule().Protocol(family == NfTablesFamily.Ipv4 ? Icmp : Icmp6).OutputInterfaceOf(Routed).Accept())
            .AddRule(table, Forward, new Rule().IsAddressAndPortOf(Opened, family).Accept())
            .AddRule(table, Forward, new Rule().InterfacesOf(Trusted).Accept())
            .AddRule(table, Forward, new Rule().OutputInterfaceOf(Protected).Drop());
    }
}
