using System.Net;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>How a bridge network is made; of the default one by the daemon's flags of the same names.</summary>
public sealed record BridgeOptions
{
    /// <summary>Name of the bridge (<c>--bridge</c>), at most 15 bytes. Engines with different names do not meet.</summary>
    public string BridgeName { get; init; } = "slipway0";

    /// <summary>
    /// The bridge's address (<c>--bip</c>), or null: what an existing bridge has, else the first of <see cref="AddressPools"/> that the host has no route
    /// into.
    /// </summary>
    public (IPAddress Address, int PrefixLength)? Address { get; init; }

    /// <summary>What a bridge without an address of its own is cut from.</summary>
    public IReadOnlyList<AddressPoolSource> AddressPools { get; init; } = AddressPoolSource.Defaults;

    /// <summary>Bytes (<c>--mtu</c>), or 0 for 1500.</summary>
    public int Mtu { get; init; }

    /// <summary>Sandboxes kept ready with a link to the bridge. 0: everything is made when it is asked for.</summary>
    public int PoolSize { get; init; } = 8;

    /// <summary>Sandboxes kept ready without one.</summary>
    public int IsolatedPoolSize { get; init; } = 2;

    /// <summary>Where to bind published ports without an address (<c>--ip</c>); null for all addresses of both families.</summary>
    public IPAddress? DefaultHostAddress { get; init; }

    /// <summary>Where containers get addresses from (<c>--ip-range</c>); null for the whole subnet.</summary>
    public IPNetwork? AddressRange { get; init; }

    /// <summary>Addresses no container gets (<c>--aux-address</c>).</summary>
    public IReadOnlyList<IPAddress> ReservedAddresses { get; init; } = [];

    /// <summary>No way in or out but to the host itself (<c>--internal</c>).</summary>
    public bool Internal { get; init; }

    /// <summary>Packets that leave the network carry the host's address.</summary>
    public bool Masquerade { get; init; } = true;

    /// <summary>Containers reach each other (<c>icc</c>); if not, only by published ports.</summary>
    public bool InterContainer { get; init; } = true;

    /// <summary>The namespace the network is made in; null for the one of this process. Not disposed by the driver.</summary>
    public NetworkNamespace? HostNamespace { get; init; }
}
