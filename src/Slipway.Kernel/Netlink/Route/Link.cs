using System.Net;

namespace Slipway.Kernel.Netlink;

/// <summary>A network interface as the kernel reports it.</summary>
/// <param name="Kind">bridge, veth, …; null for hardware.</param>
/// <param name="Master">Index of the bridge it is enslaved to, or 0.</param>
/// <param name="IsUp">Administratively up.</param>
/// <param name="Mtu">Bytes.</param>
public sealed record Link(int Index, string Name, string? Kind, string? Alias, int Master, bool IsUp, int Mtu, MacAddress? Address)
{
    /// <summary>UDP; 0 of other kinds.</summary>
    public ushort VxlanPort { get; init; }
}

/// <summary>What to change at an interface. Null: leave it as it is.</summary>
public sealed record LinkChange
{
    public string? Name { get; init; }

    /// <summary>Up to 255 bytes.</summary>
    public string? Alias { get; init; }

    public bool? Up { get; init; }

    /// <summary>Index of the bridge to enslave to; 0 releases.</summary>
    public int? Master { get; init; }

    /// <summary>Bytes.</summary>
    public int? Mtu { get; init; }

    public MacAddress? Address { get; init; }

    /// <summary>False: the interface gets no IPv6 link-local address when it comes up next.</summary>
    public bool? LinkLocalAddress { get; init; }
}

/// <summary>A veth pair to make: one end here, the other in a namespace of its own.</summary>
public sealed record VethPair
{
    /// <summary>At most 15 bytes, as all interface names.</summary>
    public required string Name { get; init; }

    public required string PeerName { get; init; }

    public required NetworkNamespace PeerNamespace { get; init; }

    /// <summary>Index of the bridge the end here is enslaved to, or 0.</summary>
    public int Master { get; init; }

    /// <summary>Bytes; 0: the kernel's default.</summary>
    public int Mtu { get; init; }
}

/// <summary>An address of an interface.</summary>
public sealed record InterfaceAddress(int LinkIndex, IPAddress Address, int PrefixLength);

/// <summary>A unicast route of the main table.</summary>
/// <param name="Gateway">Null: directly connected.</param>
/// <param name="LinkIndex">0 where the route has several next hops.</param>
public sealed record Route(IPNetwork Destination, IPAddress? Gateway, int LinkIndex);
