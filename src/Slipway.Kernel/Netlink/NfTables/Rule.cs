using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// A rule, built in the words of nft(8): <c>new Rule().SourceIn(subnet).OutputInterface("br0", negate: true).Masquerade()</c> is
/// <c>ip saddr 172.17.0.0/16 oifname != "br0" masquerade</c>. Addresses are of the family of the table it is added to.
/// </summary>
public sealed partial class Rule
{
    private static readonly AddressField s_source = new(12, 8);
    private static readonly AddressField s_destination = new(16, 24);

    private readonly List<Expression> _expressions = [];

    public IReadOnlyList<Expression> Expressions => _expressions;

    /// <summary>Shown by <c>nft list ruleset</c>; at most 127 bytes.</summary>
    public string? Comment { get; private set; }

    /// <summary><c>iifname</c>.</summary>
    public Rule InputInterface(string name, bool negate = false) => Add(new MetaExpression(MetaKey.InputInterfaceName), InterfaceName(name, negate));

    /// <summary><c>oifname</c>.</summary>
    public Rule OutputInterface(string name, bool negate = false) => Add(new MetaExpression(MetaKey.OutputInterfaceName), InterfaceName(name, negate));

    /// <summary><c>iifname @set</c>.</summary>
    public Rule InputInterfaceOf(string set) => Add(new MetaExpression(MetaKey.InputInterfaceName), new SetExpression(set));

    /// <summary><c>oifname @set</c>.</summary>
    public Rule OutputInterfaceOf(string set) => Add(new MetaExpression(MetaKey.OutputInterfaceName), new SetExpression(set));

    /// <summary><c>iifname . oifname @set</c>.</summary>
    public Rule InterfacesOf(string set) =>
        Add(new MetaExpression(MetaKey.InputInterfaceName), new MetaExpression(MetaKey.OutputInterfaceName, Register.Word4), new SetExpression(set));

    /// <summary><c>ip saddr vmap @map</c>, <c>ip6 saddr vmap @map</c>.</summary>
    public Rule DecideBySource(string map, NfTablesFamily family) => Add(s_source.Load(family), new MapExpression(map, Into: Register.Verdict));

    /// <summary><c>ip saddr</c>, <c>ip6 saddr</c>.</summary>
    public Rule SourceIn(IPNetwork network, bool negate = false) => AddressIn(s_source, network, negate);

    /// <summary><c>ip daddr</c>, <c>ip6 daddr</c>.</summary>
    public Rule DestinationIn(IPNetwork network, bool negate = false) => AddressIn(s_destination, network, negate);

    /// <summary><c>fib daddr type local</c>: the destination is an address of this host.</summary>
    public Rule DestinationIsLocal()
    {
        const uint RTN_LOCAL = 2;
        return Add(new DestinationTypeExpression(), new CompareExpression(HostOrder(RTN_LOCAL)));
    }

    /// <summary><c>ct state established,related</c>.</summary>
    public Rule Established() => AnyConntrackBit(ConntrackKey.State, 0x2 | 0x4);

    /// <summary><c>ct status dnat</c>: the connection was redirected when it began.</summary>
    public Rule Redirected()
    {
        const uint IPS_DST_NAT = 0x20;
        return AnyConntrackBit(ConntrackKey.Status, IPS_DST_NAT);
    }

    /// <summary><c>dnat ip to meta l4proto . th dport map @map</c>.</summary>
    public Rule RedirectByPort(string map, NfTablesFamily family = NfTablesFamily.Ipv4) => Add(
        new MetaExpression(MetaKey.TransportProtocol, Register.R1),
        new PayloadExpression(PayloadBase.Transport, 2, 2, Register.Word1),
        new MapExpression(map),
        Redirect(family));

    /// <summary><c>dnat ip to ip daddr . meta l4proto . th dport map @map</c>.</summary>
    public Rule RedirectByAddressAndPort(string map, NfTablesFamily family = NfTablesFamily.Ipv4) => Add([.. AddressAndPort(family), new MapExpression(map), Redirect(family)]);

    /// <summary><c>meta l4proto</c>.</summary>
    /// <param name="number">IPPROTO_*.</param>
    public Rule Protocol(byte number) => Add(new MetaExpression(MetaKey.TransportProtocol), new CompareExpression([number]));

    /// <summary><c>ip daddr . meta l4proto . th dport @set</c>.</summary>
    public Rule IsAddressAndPortOf(string set, NfTablesFamily family) => Add([.. AddressAndPort(family), new SetExpression(set)]);

    /// <summary><c>notrack</c>.</summary>
    public Rule Untrack() => Add(new UntrackedExpression());

    public Rule Masquerade() => Add(new MasqueradeExpression());

    public Rule Accept() => Add(new VerdictExpression(1));

    public Rule Drop() => Add(new VerdictExpression(0));

    public Rule Jump(string chain) => Add(new VerdictExpression(VerdictExpression.JumpCode, chain));

    /// <summary><c>comment "…"</c>.</summary>
    public Rule Because(string comment)
    {
        Comment = comment;
        return this;
    }

    private static byte[] HostOrder(uint value)
    {
        byte[] bytes = new byte[4];
        MemoryMarshal.Write(bytes, value);
        return bytes;
    }

    /// <summary>An interface's name as it lies in a register: IFNAMSIZ bytes, all of which are compared, so that br1 is not br10.</summary>
    public static byte[] InterfaceBytes(string name)
    {
        byte[] bytes = new byte[16];
        if (Encoding.UTF8.GetByteCount(name) > 15)
        {
            throw new ArgumentException("an interface's name has at most 15 bytes", nameof(name));
        }

        Encoding.UTF8.GetBytes(name, bytes);
        return bytes;
    }

    private static CompareExpression InterfaceName(string name, bool negate) => new(InterfaceBytes(name), negate);

    private Rule AddressIn(AddressField field, IPNetwork network, bool negate)
    {
        byte[] address = network.BaseAddress.GetAddressBytes();
        byte[] mask = new byte[address.Length];
        for (int bit = 0; bit < network.PrefixLength; bit++)
        {
            mask[bit / 8] |= (byte)(0x80 >> (bit % 8));
        }

        return Add(
            field.Load(address.Length == 4 ? NfTablesFamily.Ipv4 : NfTablesFamily.Ipv6),
            new MaskExpression(mask),
            new CompareExpression(address, negate));
    }

    /// <summary>The register behind an address in the first one.</summary>
    private static Register AfterAddress(NfTablesFamily family) => family == NfTablesFamily.Ipv4 ? Register.Word1 : Register.Word4;

    /// <summary>Loads a key of destination address, protocol and port.</summary>
    private static Expression[] AddressAndPort(NfTablesFamily family) =>
    [
        s_destination.Load(family),
        new MetaExpression(MetaKey.TransportProtocol, AfterAddress(family)),
        new PayloadExpression(PayloadBase.Transport, 2, 2, AfterAddress(family) + 1),
    ];

    private static DestinationNatExpression Redirect(NfTablesFamily family) => new(family, Register.R1, AfterAddress(family));

    private Rule AnyConntrackBit(ConntrackKey key, uint bits) => Add(
        new ConntrackExpression(key),
        new MaskExpression(HostOrder(bits)),
        new CompareExpression(HostOrder(0), Negate: true));

    private Rule Add(params ReadOnlySpan<Expression> expressions)
    {
        foreach (Expression expression in expressions)
        {
            _expressions.Add(expression);
        }

        return this;
    }

    /// <summary>Where an address lies in the header of IPv4 (RFC 791) and IPv6 (RFC 8200).</summary>
    private readonly record struct AddressField(uint Ipv4Offset, uint Ipv6Offset)
    {
        public PayloadExpression Load(NfTablesFamily family) =>
            family == NfTablesFamily.Ipv4 ? new PayloadExpression(PayloadBase.Network, Ipv4Offset, 4) : new PayloadExpression(PayloadBase.Network, Ipv6Offset, 16);
    }
}
