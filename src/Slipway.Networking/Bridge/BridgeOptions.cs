using System.Net;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>How a bridge network is made; of the default one by the daemon's flags of the same names.</summary>
public sealed record BridgeOptions
{
    /// <summary>Name of the bridge (<c>--bridge</c>), at most 15 bytes. Engines with different names do not meet.</summary>
    public string BridgeName { get; init; } = "slipway0";

    /// <summary>Containers have IPv4.</summary>
    public bool Ipv4 { get; init; } = true;

    /// <summary>Containers have IPv6; null: they have not.</summary>
    public Ipv6Options? Ipv6 { get; init; }

    /// <summary>
    /// The bridge's IPv4 address (<c>--bip</c>), or null: what an existing bridge has, else the first of <see cref="AddressPools"/> that the host has no route
    /// into.
    /// </summary>
    public (IPAddress Address, int PrefixLength)? Address { get; init; }

    /// <summary>What a bridge without an address of its own is cut from.</summary>
    public IReadOnlyList<AddressPoolSource> AddressPools { get; init; } = AddressPoolSource.ForDefaultBridge;

    /// <summary>Bytes (<c>--mtu</c>), or 0 for 1500.</summary>
    public int Mtu { get; init; }

    /// <summary>Sandboxes kept ready with a link to the bridge. 0: everything is made when it is asked for.</summary>
    public int PoolSize { get; init; } = 8;

    /// <summary>Sandboxes kept ready without one.</summary>
    public int IsolatedPoolSize { get; init; } = 2;

    /// <summary>How long sandboxes that a burst has asked for stay ready after it.</summary>
    public TimeSpan PoolRetention { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Where to bind published ports without an address (<c>--ip</c>); null for all addresses of both families.</summary>
    public IPAddress? DefaultHostAddress { get; init; }

    /// <summary>Where containers get IPv4 addresses from (<c>--ip-range</c>); null for the whole subnet.</summary>
    public IPNetwork? AddressRange { get; init; }

    /// <summary>Where the containers' default route goes instead of to the bridge (<c>default-gateway</c>).</summary>
    public IPAddress? DefaultGateway { get; init; }

    /// <summary>How IPv4 packets get in and out.</summary>
    public GatewayMode Mode { get; init; }

    /// <summary>The bridge has no IPv4 address; somebody else has the gateway's.</summary>
    public bool InhibitIpv4 { get; init; }

    /// <summary>What names of links inside containers begin with; a number follows.</summary>
    public string LinkPrefix { get; init; } = "eth";

    /// <summary>Interfaces of the host from which all ports of containers are reached by their own addresses.</summary>
    public IReadOnlyList<string> TrustedInterfaces { get; init; } = [];

    /// <summary>Addresses no container gets (<c>--aux-address</c>), of both families.</summary>
    public IReadOnlyList<IPAddress> ReservedAddresses { get; init; } = [];

    /// <summary>No way in or out but to the host itself (<c>--internal</c>).</summary>
    public bool Internal { get; init; }

    /// <summary>Packets that leave the network carry the host's address.</summary>
    public bool Masquerade { get; init; } = true;

    /// <summary>Containers reach each other (<c>icc</c>); if not, only by published ports.</summary>
    public bool InterContainer { get; init; } = true;

    /// <summary>Containers send with their own hardware address and addresses only, also in ARP and neighbour discovery.</summary>
    public bool Antispoof { get; init; }

    /// <summary>Links on one bridge before another extends it; null: what the kernel can.</summary>
    internal int? PortsPerBridge { get; init; }

    /// <summary>The namespace the network is made in; null for the one of this process. Not disposed by the driver.</summary>
    public NetworkNamespace? HostNamespace { get; init; }
}

/// <summary>IPv6 of a bridge network; what is null is chosen as for IPv4.</summary>
public sealed record Ipv6Options
{
    /// <inheritdoc cref="BridgeOptions.Address"/>
    public (IPAddress Address, int PrefixLength)? Address { get; init; }

    /// <inheritdoc cref="BridgeOptions.AddressRange"/>
    public IPNetwork? AddressRange { get; init; }

    /// <inheritdoc cref="BridgeOptions.DefaultGateway"/>
    public IPAddress? DefaultGateway { get; init; }

    /// <summary>How IPv6 packets get in and out.</summary>
    public GatewayMode Mode { get; init; }
}

/// <summary>How packets of one family get in and out of a bridge network.</summary>
public enum GatewayMode
{
    /// <summary>Out with the host's address, in by published ports of the host only.</summary>
    Nat,

    /// <summary>As <see cref="Nat"/>, but who has a route reaches every port of the containers' addresses.</summary>
    NatUnprotected,

    /// <summary>Out with the container's address, in by published ports of the container's address, and echo requests.</summary>
    Routed,

    /// <summary>Of an internal network: the bridge has no address, so that not even the host is reached.</summary>
    Isolated,
}
