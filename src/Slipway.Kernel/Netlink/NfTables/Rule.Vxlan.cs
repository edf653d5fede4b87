using System.Buffers.Binary;

namespace Slipway.Kernel.Netlink;

public sealed partial class Rule
{
    private const byte Udp = 17;

    /// <summary><c>udp dport</c>.</summary>
    public Rule UdpDestinationPort(ushort port)
    {
        byte[] bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, port);
        return Protocol(Udp).Add(new PayloadExpression(PayloadBase.Transport, 2, 2), new CompareExpression(bytes));
    }

    /// <summary><c>vxlan vni</c> is a key of a map, as four bytes of which the last is zero: the number lies behind the headers of UDP and VXLAN (RFC 7348 section 5).</summary>
    public Rule VxlanNumberOf(string map) => Add(
        new PayloadExpression(PayloadBase.Transport, 12, 4), new MaskExpression([0xff, 0xff, 0xff, 0]), new MapExpression(map));

    /// <summary><c>ip saddr</c> is a key of a map, whatever its value.</summary>
    public Rule SourceOf(string map) => Add(s_source.Load(NfTablesFamily.Ipv4), new MapExpression(map));

    /// <summary><c>fib saddr . iif oif exists</c>: an answer would leave by the interface that the packet came by.</summary>
    public Rule SourceIsRoutedBack() => Add(new ReversePathExpression(), new CompareExpression(new byte[4], Negate: true));

    /// <summary><c>meta skuid</c> has a value: a program of this host sends the packet, not the kernel.</summary>
    public Rule FromProgram() => Add(new MetaExpression(MetaKey.SocketUser), new CompareExpression([0xff, 0xff, 0xff, 0xff], Negate: true));

    /// <summary><c>meta ipsec exists</c>, <c>missing</c>: the packet was in one of IPsec when it came.</summary>
    public Rule WasDecrypted(bool negate = false) => Add(new MetaExpression(MetaKey.SecurityPath), new CompareExpression([0], Negate: !negate));

    /// <summary><c>rt ipsec exists</c>, <c>missing</c>: the packet will leave in one of IPsec.</summary>
    public Rule IsToBeEncrypted(bool negate = false) => Add(new RouteIpsecExpression(), new CompareExpression([0], Negate: !negate));

    public Rule Return() => Add(new VerdictExpression(-5));
}
