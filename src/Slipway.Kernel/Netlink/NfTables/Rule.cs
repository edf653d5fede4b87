using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// A rule, built in the words of nft(8): <c>new Rule().SourceIn(subnet).OutputInterface("br0", negate: true).Masquerade()</c> is
/// <c>ip saddr 172.17.0.0/16 oifname != "br0" masquerade</c>. IPv4.
/// </summary>
public sealed class Rule
{
    private const uint SourceOffset = 12;
    private const uint DestinationOffset = 16;

    private readonly List<Expression> _expressions = [];

    public IReadOnlyList<Expression> Expressions => _expressions;

    /// <summary>Shown by <c>nft list ruleset</c>; at most 127 bytes.</summary>
    public string? Comment { get; private set; }

    /// <summary><c>iifname</c>.</summary>
    public Rule InputInterface(string name, bool negate = false) => Add(new MetaExpression(MetaKey.InputInterfaceName), InterfaceName(name, negate));

    /// <summary><c>oifname</c>.</summary>
    public Rule OutputInterface(string name, bool negate = false) => Add(new MetaExpression(MetaKey.OutputInterfaceName), InterfaceName(name, negate));

    /// <summary><c>ip saddr</c>.</summary>
    public Rule SourceIn(IPNetwork network, bool negate = false) => AddressIn(SourceOffset, network, negate);

    /// <summary><c>ip daddr</c>.</summary>
    public Rule DestinationIn(IPNetwork network, bool negate = false) => AddressIn(DestinationOffset, network, negate);

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
    public Rule RedirectByPort(string map) => Add(
        new MetaExpression(MetaKey.TransportProtocol, Register.R1),
        new PayloadExpression(PayloadBase.Transport, 2, 2, Register.Word1),
        new MapExpression(map),
        new DestinationNatExpression());

    /// <summary><c>dnat ip to ip daddr . meta l4proto . th dport map @map</c>.</summary>
    public Rule RedirectByAddressAndPort(string map) => Add(
        new PayloadExpression(PayloadBase.Network, DestinationOffset, 4, Register.R1),
        new MetaExpression(MetaKey.TransportProtocol, Register.Word1),
        new PayloadExpression(PayloadBase.Transport, 2, 2, Register.Word2),
        new MapExpression(map),
        new DestinationNatExpression());

    public Rule Masquerade() => Add(new MasqueradeExpression());

    public Rule Accept() => Add(new VerdictExpression(1));

    public Rule Drop() => Add(new VerdictExpression(0));

    public Rule Jump(string chain) => Add(new VerdictExpression(-3, chain));

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

    private static CompareExpression InterfaceName(string name, bool negate)
    {
        // The register holds IFNAMSIZ bytes; the whole of it is compared, so that br1 is not br10.
        byte[] bytes = new byte[16];
        if (Encoding.UTF8.GetByteCount(name) > 15)
        {
            throw new ArgumentException("an interface's name has at most 15 bytes", nameof(name));
        }

        Encoding.UTF8.GetBytes(name, bytes);
        return new CompareExpression(bytes, negate);
    }

    private Rule AddressIn(uint offset, IPNetwork network, bool negate)
    {
        byte[] mask = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(mask, network.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - network.PrefixLength));
        return Add(
            new PayloadExpression(PayloadBase.Network, offset, 4),
            new MaskExpression(mask),
            new CompareExpression(network.BaseAddress.GetAddressBytes(), negate));
    }

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
}
