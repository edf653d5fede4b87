using System.Net;
using System.Net.Sockets;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>One address family of a stacked network: its subnet, who has which address, where packets go. Used by one thread.</summary>
/// <param name="isInternal">There is no default route.</param>
/// <param name="isRouted">The parent's namespace routes the packets, whatever their next hop.</param>
internal sealed class StackedSubnet(StackedSubnetOptions options, bool isInternal, bool isRouted)
{
    private readonly AddressPool _addresses = new(options.Network, options.Gateway, options.AddressRange, options.Reserved);
    private readonly IPNetwork _everywhere = new(options.Network.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);

    /// <summary>Null: no default route, or one without a gateway.</summary>
    private IPAddress? Gateway => isInternal || isRouted ? null : options.Gateway;

    /// <summary>Gives an address of a subnet that the network may not have.</summary>
    /// <exception cref="NetworkException">It is taken, or not of the subnet, or none is left.</exception>
    public static EndpointAddress? Allocate(StackedSubnet? subnet, string endpointId, IPAddress? requested) =>
        subnet is not null ? new EndpointAddress(subnet._addresses.Allocate(endpointId, requested), subnet.Info.Network.PrefixLength, subnet.Gateway)
        : requested is null ? null
        : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"no configured subnet contains IP address {requested}");

    public SubnetInfo Info { get; } = new(options.Network, options.Gateway);

    public void Release(EndpointAddress? address, string endpointId)
    {
        if (address is not null)
        {
            _addresses.Release(address.Address, endpointId);
        }
    }

    /// <summary>Takes an address back that an endpoint has had; one of a subnet that the network had before is not given to others anyway.</summary>
    public void Reserve(EndpointAddress? address, string endpointId)
    {
        if (address is not null && Info.Network.Contains(address.Address))
        {
            _addresses.Reserve(address.Address, endpointId);
        }
    }

    /// <summary>Lets what is not for the subnet go by a link of a container.</summary>
    public RouteBatch AddDefaultRoute(RouteBatch batch, int link) => isInternal ? batch : batch.ReplaceRoute(new Route(_everywhere, Gateway, link));
}
