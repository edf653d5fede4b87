using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>A link to make on top of another: it has addresses of its own, and its frames go out by the parent.</summary>
public sealed record StackedLink
{
    /// <summary>At most 15 bytes, as all interface names.</summary>
    public required string Name { get; init; }

    /// <summary>Index, in the namespace of the session.</summary>
    public required int Parent { get; init; }

    /// <summary>Where the link is to be.</summary>
    public required NetworkNamespace Namespace { get; init; }

    public required StackedMode Mode { get; init; }

    /// <summary>Bytes, at most the parent's; 0: as the parent.</summary>
    public int Mtu { get; init; }
}

/// <summary>How a stacked link shares its parent with others.</summary>
public abstract record StackedMode
{
    /// <summary>As <c>ip link add type</c> has it.</summary>
    public abstract string Kind { get; }

    internal abstract void Write(NetlinkWriter writer);
}

/// <summary>A hardware address of its own (linux/if_link.h, enum macvlan_mode).</summary>
public sealed record MacvlanMode : StackedMode
{
    private readonly uint _value;

    private MacvlanMode(uint value) => _value = value;

    /// <summary>Links of one parent do not reach each other.</summary>
    public static MacvlanMode Private { get; } = new(1);

    /// <summary>They reach each other by a switch outside that sends frames back.</summary>
    public static MacvlanMode Vepa { get; } = new(2);

    /// <summary>They reach each other directly.</summary>
    public static MacvlanMode Bridge { get; } = new(4);

    /// <summary>One link has the parent alone, with its hardware address.</summary>
    public static MacvlanMode Passthru { get; } = new(8);

    public override string Kind => "macvlan";

    internal override void Write(NetlinkWriter writer) => writer.UInt32(IFLA_MACVLAN_MODE, _value);
}

/// <summary>The parent's hardware address, told apart by IP addresses (Documentation/networking/ipvlan.rst).</summary>
/// <param name="Layer">What the parent does with the links' packets.</param>
/// <param name="Sharing">How links of one parent reach each other.</param>
public sealed record IpvlanMode(IpvlanLayer Layer, IpvlanSharing Sharing) : StackedMode
{
    public override string Kind => "ipvlan";

    internal override void Write(NetlinkWriter writer)
    {
        writer.UInt16(IFLA_IPVLAN_MODE, (ushort)Layer);
        writer.UInt16(IFLA_IPVLAN_FLAGS, (ushort)Sharing);
    }
}

/// <summary>linux/if_link.h, enum ipvlan_mode.</summary>
public enum IpvlanLayer : ushort
{
    /// <summary>Frames: broadcast and ARP work.</summary>
    L2 = 0,

    /// <summary>Packets only, routed by the parent's namespace.</summary>
    L3 = 1,

    /// <summary>As <see cref="L3"/>, and netfilter of the parent's namespace sees them.</summary>
    L3S = 2,
}

/// <summary>linux/if_link.h, IPVLAN_F_*.</summary>
public enum IpvlanSharing : ushort
{
    Bridge = 0,
    Private = 1,
    Vepa = 2,
}
