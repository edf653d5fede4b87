namespace Slipway.Kernel.Netlink;

/// <summary>What a rule of the bridge family looks at.</summary>
public sealed partial class Rule
{
    /// <summary><c>ether type</c>.</summary>
    /// <param name="type">ETH_P_*.</param>
    public Rule EtherType(ushort type) => Add(new PayloadExpression(PayloadBase.LinkLayer, 12, 2), new CompareExpression([(byte)(type >> 8), (byte)type]));

    /// <summary><c>iifname . FIELD @set</c>, or <c>!= @set</c>.</summary>
    public Rule PortAnd(FrameField field, string set, bool negate = false) =>
        Add(new MetaExpression(MetaKey.InputInterfaceName), field.Load(Register.Word4), new SetExpression(set, negate));

    /// <summary>All bytes of a field are 0.</summary>
    public Rule IsUnspecified(FrameField field) => Add(field.Load(Register.R1), new CompareExpression(new byte[field.Length]));

    /// <summary><c>icmpv6 type</c> (RFC 4443).</summary>
    public Rule Icmp6Type(byte type)
    {
        const byte IPPROTO_ICMPV6 = 58;
        return Protocol(IPPROTO_ICMPV6).Add(new PayloadExpression(PayloadBase.Transport, 0, 1), new CompareExpression([type]));
    }
}

/// <summary>Where an address lies in a frame.</summary>
/// <param name="Offset">From the start of its header, in bytes, as is the length.</param>
public sealed record FrameField(PayloadBase Header, uint Offset, uint Length)
{
    /// <summary>Who sends the frame (IEEE 802.3).</summary>
    public static FrameField Sender { get; } = new(PayloadBase.LinkLayer, 6, 6);

    /// <summary>Who an ARP packet says its sender is (RFC 826), in both kinds of address.</summary>
    public static FrameField ArpHardwareSender { get; } = new(PayloadBase.Network, 8, 6);

    /// <inheritdoc cref="ArpHardwareSender"/>
    public static FrameField ArpSender { get; } = new(PayloadBase.Network, 14, 4);

    public static FrameField Ipv4Source { get; } = new(PayloadBase.Network, 12, 4);

    public static FrameField Ipv6Source { get; } = new(PayloadBase.Network, 8, 16);

    /// <summary>Whom a neighbour solicitation or advertisement is about (RFC 4861 section 4.3).</summary>
    public static FrameField NeighbourTarget { get; } = new(PayloadBase.Transport, 8, 16);

    internal PayloadExpression Load(Register into) => new(Header, Offset, Length, into);
}
