namespace Slipway.Kernel.Netlink;

/// <summary>The words for packets that are let in as the host's own, and then sent on.</summary>
public sealed partial class Rule
{
    /// <summary><c>ct state new</c>.</summary>
    public Rule New() => AnyConntrackBit(ConntrackKey.State, 0x8);

    /// <summary><c>ct state untracked</c>.</summary>
    public Rule Untracked() => AnyConntrackBit(ConntrackKey.State, 0x40);

    /// <summary><c>fib saddr type != local</c>: the source is no address of this host.</summary>
    public Rule SourceIsForeign()
    {
        const uint RTN_LOCAL = 2;
        return Add(new SourceTypeExpression(), new CompareExpression(HostOrder(RTN_LOCAL), Negate: true));
    }

    /// <summary><c>meta l4proto . th dport</c> is a key of the map.</summary>
    public Rule IsPortOf(string map) => Add(
        new MetaExpression(MetaKey.TransportProtocol, Register.R1),
        new PayloadExpression(PayloadBase.Transport, 2, 2, Register.Word1),
        new MapExpression(map));

    /// <summary><c>ip daddr . meta l4proto . th dport</c> is a key of the map.</summary>
    public Rule IsAddressAndPortOfMap(string map, NfTablesFamily family) => Add([.. AddressAndPort(family), new MapExpression(map)]);

    /// <summary><c>dup to ip daddr</c>.</summary>
    public Rule DuplicateToDestination(NfTablesFamily family) => Add(s_destination.Load(family), new DuplicateExpression());

    /// <summary><c>ct zone set 0</c>.</summary>
    public Rule Track() => Add(new ImmediateExpression([0, 0]), new ConntrackZoneExpression());
}
