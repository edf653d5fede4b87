using System.Net;

namespace Slipway.Networking;

/// <summary>How a network is made that spans hosts.</summary>
public sealed record OverlayOptions
{
    /// <summary>The port of VXLAN (RFC 7348 section 5).</summary>
    public const ushort DefaultPort = 4789;

    /// <summary>What the outer headers take of an underlay's packet: IPv4, UDP, VXLAN, Ethernet.</summary>
    public const int HeaderLength = 50;

    /// <summary>The bridge that this host's containers are on; at most 15 bytes.</summary>
    public required string BridgeName { get; init; }

    /// <summary>The link to the other hosts; at most 15 bytes.</summary>
    public required string LinkName { get; init; }

    /// <summary>The network's number (VNI).</summary>
    public required int Number { get; init; }

    public ushort Port { get; init; } = DefaultPort;

    /// <summary>Packets between hosts are those of IPsec. Encrypted networks have a <see cref="Port"/> of their own.</summary>
    public bool Encrypted { get; init; }

    /// <summary>This host's address on the underlay.</summary>
    public required IPAddress Local { get; init; }

    /// <summary>The other hosts' addresses; packets of no other are believed.</summary>
    public required IReadOnlyList<IPAddress> Hosts { get; init; }

    public required IPNetwork Subnet { get; init; }

    /// <summary>Its containers' IPv6 addresses; null: they have none.</summary>
    public AddressPairing? Pairing { get; init; }

    /// <summary>The network's own address for a gateway: that of this host's bridge if it lies in a block of this host. No container gets it.</summary>
    public required IPAddress Gateway { get; init; }

    /// <summary>Addresses no container gets (<c>--aux-address</c>).</summary>
    public IReadOnlyList<IPAddress> ReservedAddresses { get; init; } = [];

    /// <summary>No way in or out but to the host itself and along the network (<c>--internal</c>).</summary>
    public bool Internal { get; init; }

    /// <summary>Bytes; 0: what the underlay leaves.</summary>
    public int Mtu { get; init; }

    /// <summary>The parts of the subnet that are this host's.</summary>
    public required IOverlayBlocks Blocks { get; init; }
}

/// <summary>The parts of a network's subnet from which one host gives addresses to its containers. No other host has them.</summary>
public interface IOverlayBlocks
{
    /// <summary>In the order they were got; none is ever lost while the network exists.</summary>
    IReadOnlyList<IPNetwork> Owned { get; }

    /// <summary>Gets a further block.</summary>
    /// <param name="containing">An address that it must have; null: any block.</param>
    /// <exception cref="NetworkException">Exhausted: there is none. Conflict: another host has it. Unavailable: too few hosts answer.</exception>
    Task<IPNetwork> ClaimAsync(IPAddress? containing, CancellationToken cancellationToken);
}

/// <summary>A container on another host.</summary>
/// <param name="Hardware">Its hardware address, as text.</param>
/// <param name="Host">Where it runs: an address of the underlay.</param>
/// <param name="Ipv6">Null where the network has none.</param>
public sealed record OverlayPeer(IPAddress Address, string Hardware, IPAddress Host, IPAddress? Ipv6 = null);
