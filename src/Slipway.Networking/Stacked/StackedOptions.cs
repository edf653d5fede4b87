using System.Net;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>How a network is made whose containers' links lie on a link of the host (macvlan, ipvlan).</summary>
public sealed record StackedOptions
{
    /// <summary>Distinguishes the network from others in messages, and its links from those of others.</summary>
    public required string NetworkId { get; init; }

    /// <summary>
    /// The host's link that containers' packets go out by. One that is missing and named as a VLAN of another (<c>eth0.10</c>) is made.
    /// </summary>
    public required string Parent { get; init; }

    /// <summary>The parent is made for the network and leads nowhere: containers reach each other only.</summary>
    public bool HasOwnParent { get; init; }

    public required StackedMode Mode { get; init; }

    /// <summary>Null: containers have no IPv4. They have one family at least.</summary>
    public StackedSubnetOptions? Ipv4 { get; init; }

    /// <summary>Null: containers have no IPv6.</summary>
    public StackedSubnetOptions? Ipv6 { get; init; }

    /// <summary>Containers have no default route.</summary>
    public bool Internal { get; init; }

    /// <summary>Bytes, or 0 for the parent's.</summary>
    public int Mtu { get; init; }
}

/// <summary>A subnet of the network outside, of one address family.</summary>
/// <param name="Gateway">A router of the network outside; no container gets its address.</param>
/// <param name="AddressRange">Where containers get addresses from (<c>--ip-range</c>); null for the whole subnet.</param>
/// <param name="Reserved">Addresses no container gets (<c>--aux-address</c>).</param>
public sealed record StackedSubnetOptions(IPNetwork Network, IPAddress Gateway, IPNetwork? AddressRange, IReadOnlyList<IPAddress> Reserved);
