using System.Net;
using System.Net.Sockets;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>The subnets of a bridge network, one of each family that it has, with their rules and what they need of the host's settings. Used by one thread.</summary>
internal sealed class BridgeSubnets(BridgeOptions options, HostSessions host, BridgeLink bridge)
{
    public BridgeSubnet? Ipv4 { get; private set; }

    public BridgeSubnet? Ipv6 { get; private set; }

    private IEnumerable<BridgeSubnet> Families => new[] { Ipv4, Ipv6 }.OfType<BridgeSubnet>();

    /// <summary>Of settings of the host that this network needs.</summary>
    private IEnumerable<IRepairable> Notes
    {
        get
        {
            if (Ipv4 is not null)
            {
                yield return RouteLocalnet;
            }

            if (Ipv4 is not null && !options.Internal)
            {
                yield return host.Forwarding;
            }

            if (Ipv6 is not null && !options.Internal)
            {
                yield return host.Forwarding6;
            }
        }
    }

    private RouteLocalnet RouteLocalnet => field ??= new RouteLocalnet(host.NfTables, options.BridgeName);

    /// <summary>Gives the bridge its addresses, with the rules and settings that go with them.</summary>
    /// <returns>Whether forwarding was switched on.</returns>
    public bool Ensure()
    {
        bool enabled = options.Ipv4 && EnsureIpv4();
        if (options.Ipv6 is { } ipv6)
        {
            return EnsureIpv6(ipv6) || enabled;
        }

        DropIpv6();
        return enabled;
    }

    /// <summary>Brings the rules up to date with the bridges that the network has.</summary>
    public void EnsureRules()
    {
        foreach (BridgeSubnet subnet in Families)
        {
            subnet.Firewall.Ensure(Policy(subnet));
        }
    }

    /// <inheritdoc cref="IRuleOwner.IsIn"/>
    public bool IsIn(FirewallTable table) => Families.Any(subnet => subnet.Firewall.IsIn(table));

    /// <inheritdoc cref="IRuleOwner.AddTo"/>
    public void AddTo(NfTablesBatch batch, FirewallTable table, IReadOnlyList<EndpointInfo> endpoints)
    {
        foreach (BridgeSubnet subnet in Families.Where(subnet => subnet.Firewall.IsIn(table)))
        {
            subnet.Firewall.AddTo(batch, Policy(subnet), PortsOf(subnet, endpoints));
        }
    }

    /// <summary>Whether what is noted about settings is there.</summary>
    public bool IsIntact => Notes.All(note => note.IsIntact);

    /// <summary>Makes notes again that somebody else deleted.</summary>
    public void Repair()
    {
        foreach (IRepairable note in Notes.Where(note => !note.IsIntact))
        {
            note.Repair();
        }
    }

    /// <param name="subnet">Null where the network does not have the family.</param>
    /// <returns>Null where there is no subnet, and no address of it was asked for.</returns>
    /// <exception cref="NetworkException">The address is taken or not of the subnet, or none is left.</exception>
    public static EndpointAddress? Allocate(BridgeSubnet? subnet, string endpointId, IPAddress? requested) =>
        subnet is not null ? subnet.Allocate(endpointId, requested)
        : requested is null ? null
        : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"no configured subnet contains IP address {requested}");

    /// <summary>Redirects host ports of either family to a container that has an address of it.</summary>
    public void PublishPorts(EndpointInfo endpoint, IReadOnlyList<PublishedPort> ports)
    {
        foreach ((BridgeSubnet subnet, IPAddress address) in Places(endpoint))
        {
            subnet.Firewall.PublishPorts(address, ports);
        }
    }

    /// <summary>Ends the redirection.</summary>
    public void UnpublishPorts(EndpointInfo endpoint, IReadOnlyList<PublishedPort> ports)
    {
        foreach ((BridgeSubnet subnet, IPAddress address) in Places(endpoint))
        {
            subnet.Firewall.UnpublishPorts(address, ports);
        }
    }

    /// <summary>The families of host addresses whose ports lead to a container: not one that is routed, where the container has its own ports open.</summary>
    public IReadOnlyList<AddressFamily> TranslatedFamilies(EndpointInfo endpoint)
    {
        List<AddressFamily> families = [];
        if (endpoint.Ipv4 is not null && Ipv4?.Mode != GatewayMode.Routed)
        {
            families.Add(AddressFamily.InterNetwork);
        }

        // Also to a container without IPv6: connections by IPv6 are carried to it.
        if (Ipv6?.Mode != GatewayMode.Routed)
        {
            families.Add(AddressFamily.InterNetworkV6);
        }

        return families;
    }

    /// <summary>The ports that are opened at a container's own addresses: host port 0.</summary>
    public IEnumerable<PublishedPort> OpenedPorts(EndpointInfo endpoint, IReadOnlyList<PortRequest> requests) =>
        from place in Places(endpoint)
        where place.Subnet.Mode == GatewayMode.Routed
        from request in requests
        where request.HostAddress is null || request.HostAddress.AddressFamily == place.Address.AddressFamily
        select new PublishedPort(request.Protocol, request.ContainerPort, place.Subnet.DefaultRoute.BaseAddress, 0);

    /// <summary>Makes the published ports exactly those of the endpoints.</summary>
    public void SynchronizePorts(IReadOnlyList<EndpointInfo> endpoints)
    {
        foreach (BridgeSubnet subnet in Families)
        {
            subnet.Firewall.SynchronizePorts(PortsOf(subnet, endpoints));
        }
    }

    private IReadOnlyList<(IPAddress Container, IReadOnlyList<PublishedPort> Ports)> PortsOf(BridgeSubnet subnet, IReadOnlyList<EndpointInfo> endpoints) =>
        [.. from endpoint in endpoints from place in Places(endpoint) where place.Subnet == subnet select (place.Address, endpoint.Ports)];

    /// <summary>Removes the rules, takes the bridge out of use, if it is ours, and puts settings of the host back that nobody needs any more.</summary>
    /// <returns>The index of the bridge, which is to be removed; null where there is none of ours.</returns>
    public int? Cleanup()
    {
        if (Ipv4?.Firewall.Remove() == true)
        {
            host.Forwarding.Restore();
        }

        int? retired = bridge.Retire();
        if (options.Ipv4 && retired is null)
        {
            RouteLocalnet.Restore();
        }

        if (Ipv6?.Firewall.Remove() == true)
        {
            host.Forwarding6.Restore();
        }

        return retired;
    }

    private IEnumerable<(BridgeSubnet Subnet, IPAddress Address)> Places(EndpointInfo endpoint)
    {
        if (Ipv4 is { } subnet && endpoint.Ipv4 is { } address)
        {
            yield return (subnet, address.Address);
        }

        if (Ipv6 is { } subnet6 && endpoint.Ipv6 is { } address6)
        {
            yield return (subnet6, address6.Address);
        }
    }

    private bool EnsureIpv4()
    {
        bool without = options.Mode == GatewayMode.Isolated || options.InhibitIpv4;
        (IPAddress address, int prefixLength) = without && options.Address is { } unassigned ? unassigned
            : bridge.Assign(AddressFamily.InterNetwork, options.Address, options.AddressPools);

        // The rules first: nothing is open that they close.
        Ipv4 ??= Make(host.Table, address, prefixLength, options.AddressRange, options.DefaultGateway, options.Mode);
        Ipv4.Firewall.Ensure(Policy(Ipv4));
        RouteLocalnet.Ensure(noted: !bridge.IsOwn);

        return !options.Internal && host.Forwarding.Ensure();
    }

    private bool EnsureIpv6(Ipv6Options ipv6)
    {
        if (bridge.Mtu < BridgeLink.MinIpv6Mtu)
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"IPv6 needs an MTU of at least {BridgeLink.MinIpv6Mtu} bytes: {bridge.Mtu}");
        }

        (IPAddress address, int prefixLength) = ipv6 is { Mode: GatewayMode.Isolated, Address: { } unassigned } ? unassigned
            : bridge.Assign(AddressFamily.InterNetworkV6, ipv6.Address, options.AddressPools);
        Ipv6 ??= Make(host.Table6, address, prefixLength, ipv6.AddressRange, ipv6.DefaultGateway, ipv6.Mode);
        Ipv6.Firewall.Ensure(Policy(Ipv6));
        return !options.Internal && host.Forwarding6.Ensure();
    }

    /// <summary>Takes IPv6 away that an earlier engine, with other options, gave the network.</summary>
    private void DropIpv6()
    {
        if (bridge.Unassign(AddressFamily.InterNetworkV6) && new BridgeFirewall(host.Table6, options.BridgeName).Remove())
        {
            host.Forwarding6.Restore();
        }
    }

    private BridgeSubnet Make(FirewallTable table, IPAddress address, int prefixLength, IPNetwork? range, IPAddress? gateway, GatewayMode mode)
    {
        IPNetwork network = DefaultSubnets.NetworkOf(address, prefixLength);
        if (gateway is not null && !network.Contains(gateway))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, "default gateway ip must be part of the network");
        }

        AddressPool pool = new(network, address, range, gateway is null ? options.ReservedAddresses : [.. options.ReservedAddresses, gateway]);
        return new BridgeSubnet(network, address, options.Internal ? null : gateway ?? address, mode, pool, new BridgeFirewall(table, options.BridgeName));
    }

    private BridgePolicy Policy(BridgeSubnet subnet) => new(options.BridgeName, subnet.Network, subnet.Mode, options.Internal, options.Masquerade, options.TrustedInterfaces, bridge.Ports.Extensions);
}
