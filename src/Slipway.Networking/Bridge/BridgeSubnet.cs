using System.Net;

namespace Slipway.Networking;

/// <summary>One address family of a bridge network: its subnet, who has which address, its rules. Used by one thread.</summary>
internal sealed class BridgeSubnet(IPNetwork network, IPAddress bridge, IPAddress? gateway, GatewayMode mode, AddressPool pool, BridgeFirewall firewall)
{
    public IPNetwork Network { get; } = network;

    /// <summary>The bridge's own address.</summary>
    public IPAddress Bridge { get; } = bridge;

    /// <summary>Where the containers' default route goes; null on an internal network.</summary>
    public IPAddress? Gateway { get; } = gateway;

    public GatewayMode Mode { get; } = mode;

    public BridgeFirewall Firewall { get; } = firewall;

    /// <summary>The network that all addresses of the family are in.</summary>
    public IPNetwork DefaultRoute { get; } = new(network.BaseAddress.GetAddressBytes() is { Length: 4 } ? IPAddress.Any : IPAddress.IPv6Any, 0);

    /// <inheritdoc cref="AddressPool.Allocate"/>
    public EndpointAddress Allocate(string endpointId, IPAddress? requested) => new(pool.Allocate(endpointId, requested), Network.PrefixLength, Gateway);

    /// <inheritdoc cref="AddressPool.Lend"/>
    public EndpointAddress Lend(string endpointId) => new(pool.Lend(endpointId), Network.PrefixLength, Gateway);

    /// <summary>Takes an address back that an endpoint has had; one of a subnet that the network had before is not given to others anyway.</summary>
    public void Reserve(EndpointAddress? address, string endpointId)
    {
        if (address is not null && Network.Contains(address.Address))
        {
            pool.Reserve(address.Address, endpointId);
        }
    }

    public void Release(EndpointAddress? address, string endpointId)
    {
        if (address is not null)
        {
            pool.Release(address.Address, endpointId);
        }
    }

    public SubnetInfo ToInfo() => new(Network, Bridge);
}
