using System.Net;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// A link that carries frames in UDP packets between hosts (RFC 7348). It learns nothing from what it receives and floods nothing: where frames go is told by
/// <see cref="RouteBatch.SetForwarding"/>, and questions for addresses are answered here from <see cref="RouteBatch.SetNeighbour"/>.
/// </summary>
public sealed record VxlanLink
{
    /// <summary>At most 15 bytes, as all interface names.</summary>
    public required string Name { get; init; }

    /// <summary>The network's number (VNI), 24 bits.</summary>
    public required int Number { get; init; }

    /// <summary>This host's address, which packets carry.</summary>
    public required IPAddress Local { get; init; }

    /// <summary>UDP.</summary>
    public required ushort Port { get; init; }

    /// <summary>Bytes of a frame's payload.</summary>
    public required int Mtu { get; init; }

    /// <summary>Index of the bridge it is enslaved to.</summary>
    public required int Master { get; init; }
}

/// <summary>Where frames to a hardware address go: to the host with this address.</summary>
public sealed record ForwardingEntry(MacAddress Hardware, IPAddress Host);

/// <summary>An address on a link and its hardware address.</summary>
public sealed record Neighbour(IPAddress Address, MacAddress Hardware);
