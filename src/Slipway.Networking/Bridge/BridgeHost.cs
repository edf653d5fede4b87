using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>The host's side of a bridge network: all state, used by the one thread that lives in the host's namespace.</summary>
internal sealed class BridgeHost : IRepairable, IRuleOwner
{
    private readonly BridgeOptions _options;
    private readonly HostSessions _host;
    private readonly RouteSession _route;
    private readonly BridgeLink _bridge;
    private readonly BridgeSubnets _subnets;
    private readonly Dictionary<string, Endpoint> _endpoints = [];
    private readonly PortAllocator _ports;
    private readonly PortGuard _guard;

    public BridgeHost(BridgeOptions options, HostSessions host)
    {
        _options = options;
        (_host, _route, _ports) = (host, host.Route, host.Ports);
        _bridge = new BridgeLink(_route, options.BridgeName, host.Home);
        (_bridge.Ports.IsIsolated, _bridge.Ports.Most) = (!options.InterContainer, options.PortsPerBridge ?? _bridge.Ports.Most);
        _subnets = new BridgeSubnets(options, host, _bridge);
        _guard = new PortGuard(host.GuardTable, options.BridgeName, options.Antispoof);
    }

    /// <summary>The index of a bridge of the network that has room for one more link.</summary>
    public int NextMaster()
    {
        int master = _bridge.Ports.Next(out bool extended);
        if (extended)
        {
            _subnets.EnsureRules();
        }

        return master;
    }

    public NetworkInfo Ensure()
    {
        _bridge.Ensure(_options.Mtu);
        try
        {
            bool enabledForwarding = _subnets.Ensure();
            _host.Watched.Add(this);
            return new NetworkInfo(_options.BridgeName, _subnets.Ipv4?.ToInfo(), _subnets.Ipv6?.ToInfo(), _bridge.Mtu, _bridge.Adopted, enabledForwarding);
        }
        catch when (!_bridge.Adopted)
        {
            BridgeLink.Remove(_route, _subnets.Cleanup() is { } bridge ? [bridge] : []);
            throw;
        }
    }

    public Endpoint Attach(EndpointRequest request, Sandbox sandbox)
    {
        CheckId(request.EndpointId);
        if (_endpoints.ContainsKey(request.EndpointId))
        {
            throw new NetworkException(NetworkErrorKind.Conflict, $"endpoint with id {request.EndpointId} already exists in network {_options.BridgeName}");
        }

        MacAddress? requestedMac = request.ParseMacAddress();
        EndpointAddress? ipv4 = null;
        EndpointAddress? ipv6 = null;
        IReadOnlyList<PortReservation> reservations = [];
        try
        {
            ipv4 = request.IsMomentary ? _subnets.Ipv4?.Lend(request.EndpointId) : BridgeSubnets.Allocate(_subnets.Ipv4, request.EndpointId, request.Address);
            ipv6 = request.IsMomentary ? _subnets.Ipv6?.Lend(request.EndpointId) : BridgeSubnets.Allocate(_subnets.Ipv6, request.EndpointId, request.Ipv6Address);
            MacAddress mac = requestedMac ?? (ipv4 is null ? MacAddress.Random() : MacAddress.Of(ipv4.Address));
            EndpointInfo info = new(request.EndpointId, ipv4, ipv6, mac.ToString(), "", []);
            reservations = ReservePorts(request.Name, request.Ports, info);
            info = info with { Ports = Ports(reservations, info, request.Ports) };
            Endpoint endpoint = new(info with { HostLink = Connect(request, sandbox, info, mac) }, reservations);
            _endpoints.Add(request.EndpointId, endpoint);
            return endpoint;
        }
        catch (Exception e)
        {
            _ports.Release(reservations);
            _subnets.Ipv4?.Release(ipv4, request.EndpointId);
            _subnets.Ipv6?.Release(ipv6, request.EndpointId);
            if (e is KernelException)
            {
                throw new NetworkException(NetworkErrorKind.Unavailable, e.Message, e);
            }

            throw;
        }
    }

    /// <summary>Returns the name of the link to remove, or null if there is nothing.</summary>
    public string? Detach(string endpointId)
    {
        if (!_endpoints.Remove(endpointId, out Endpoint? endpoint))
        {
            return null;
        }

        EndpointInfo info = endpoint.Info;
        try
        {
            Unpublish(info, info.Ports);
            _guard.Remove(info.HostLink);

            // Off the bridge before the address is free: its processes may live on a little, and the kernel's timers do.
            _route.Begin().SetLink(info.HostLink, new LinkChange { Master = 0 }).Execute();
            return info.HostLink;
        }
        catch (KernelException e) when (e.Errno == Errno.ENODEV)
        {
            return null; // it went with its namespace
        }
        finally
        {
            _ports.Release(endpoint.Reservations);
            _subnets.Ipv4?.Release(info.Ipv4, endpointId);
            _subnets.Ipv6?.Release(info.Ipv6, endpointId);
        }
    }

    /// <summary>Lets the default route go through this network, and publishes the ports here.</summary>
    public Endpoint TakeDefaultRoute(string endpointId, string name, IReadOnlyList<PortRequest> requests, Sandbox sandbox)
    {
        Endpoint endpoint = _endpoints.GetValueOrDefault(endpointId) ?? throw NotAttached(endpointId);
        IReadOnlyList<PortReservation> reservations = endpoint.Reservations.Count > 0 ? endpoint.Reservations : ReservePorts(name, requests, endpoint.Info);
        EndpointInfo info = endpoint.Info with { Ports = Ports(reservations, endpoint.Info, requests) };
        try
        {
            TakeRoute(_subnets.Ipv4, sandbox, info);
            int port = _route.FindLink(info.HostLink)?.Index ?? throw NotAttached(endpointId);
            Publish(port, info, info.Ports);
        }
        catch
        {
            if (endpoint.Reservations.Count == 0)
            {
                _ports.Release(reservations);
            }

            throw;
        }

        return _endpoints[endpointId] = new Endpoint(info, reservations);
    }

    /// <summary>Lets the IPv6 default route go through this network.</summary>
    public void TakeIpv6Route(string endpointId, Sandbox sandbox) =>
        TakeRoute(_subnets.Ipv6, sandbox, (_endpoints.GetValueOrDefault(endpointId) ?? throw NotAttached(endpointId)).Info);

    /// <summary>Ends the publishing of an endpoint's ports.</summary>
    public EndpointInfo? GiveUpDefaultRoute(string endpointId)
    {
        if (!_endpoints.TryGetValue(endpointId, out Endpoint? endpoint))
        {
            return null;
        }

        Unpublish(endpoint.Info, endpoint.Info.Ports);
        _ports.Release(endpoint.Reservations);
        Endpoint without = new(endpoint.Info with { Ports = [] }, []);
        _endpoints[endpointId] = without;
        return without.Info;
    }

    /// <summary>Publishes further ports, then ends the publishing of others.</summary>
    /// <returns>The endpoint, with the reservations that are new.</returns>
    public Endpoint ChangePorts(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added)
    {
        Endpoint endpoint = _endpoints.GetValueOrDefault(endpointId) ?? throw NotAttached(endpointId);
        PublishedPort[] gone = [.. endpoint.Info.Ports.Intersect(removed)];
        IReadOnlyList<PortReservation> made = ReservePorts(name, added, endpoint.Info);
        IReadOnlyList<PublishedPort> ports = Ports(made, endpoint.Info, added);
        try
        {
            int link = _route.FindLink(endpoint.Info.HostLink)?.Index ?? throw NotAttached(endpointId);
            Publish(link, endpoint.Info, ports);
        }
        catch
        {
            _ports.Release(made);
            throw;
        }

        Unpublish(endpoint.Info, gone);
        PortReservation[] released = [.. endpoint.Reservations.Where(reservation => gone.Contains(reservation.Port))];
        _ports.Release(released);
        EndpointInfo info = endpoint.Info with { Ports = [.. endpoint.Info.Ports.Except(gone), .. ports] };
        _endpoints[endpointId] = new Endpoint(info, [.. endpoint.Reservations.Except(released), .. made]);
        return new Endpoint(info, made);
    }

    public RestoreResult Restore(IReadOnlyCollection<EndpointInfo> endpoints)
    {
        List<Endpoint> restored = [];
        List<string> lost = [];
        foreach (EndpointInfo info in endpoints)
        {
            if (_endpoints.ContainsKey(info.EndpointId))
            {
                continue;
            }

            _subnets.Ipv4?.Reserve(info.Ipv4, info.EndpointId);
            _subnets.Ipv6?.Reserve(info.Ipv6, info.EndpointId);
            List<PortReservation> ports = [];
            foreach (PublishedPort port in info.Ports.Where(port => port.HostPort != 0))
            {
                if (_ports.Restore(port) is { } reservation)
                {
                    ports.Add(reservation);
                }
                else if (!lost.Contains(info.EndpointId))
                {
                    lost.Add(info.EndpointId);
                }
            }

            Endpoint endpoint = new(info, ports);
            _endpoints.Add(info.EndpointId, endpoint);
            restored.Add(endpoint);
        }

        EndpointInfo[] attached = [.. _endpoints.Values.Select(e => e.Info)];
        _subnets.SynchronizePorts(attached);
        _guard.Synchronize(attached);
        int[] orphans = [.. _bridge.Endpoints().Where(e => !_bridge.Ports.Contains(e.Link.Master) || !_endpoints.ContainsKey(e.EndpointId)).Select(e => e.Link.Index)];
        return new RestoreResult(restored, orphans, lost);
    }

    public IReadOnlyList<string> ListEndpoints() => [.. _bridge.Endpoints().Where(e => _bridge.Ports.Contains(e.Link.Master)).Select(e => e.EndpointId)];

    public bool IsIntact => _subnets.IsIntact;

    public void Repair() => _subnets.Repair();

    public bool IsIn(FirewallTable table) => _subnets.IsIn(table) || _guard.IsIn(table);

    public void AddTo(NfTablesBatch batch, FirewallTable table)
    {
        EndpointInfo[] attached = [.. _endpoints.Values.Select(e => e.Info)];
        _subnets.AddTo(batch, table, attached);
        if (_guard.IsIn(table))
        {
            _guard.AddTo(batch, attached);
        }
    }

    /// <summary>Takes the network out of use.</summary>
    /// <returns>Indexes of its links, which are to be removed.</returns>
    public IReadOnlyList<int> Cleanup()
    {
        _host.Watched.Remove(this);
        foreach (string id in _endpoints.Keys.ToArray())
        {
            Detach(id);
        }

        _guard.Synchronize([]);

        // With them the links that waited in a pool: the kernel removes them with their namespaces, but at a time of its own.
        int[] links = [.. _bridge.Endpoints().Select(e => e.Link.Index), .. _bridge.PooledLinks(), .. _bridge.Ports.Retire()];
        return _subnets.Cleanup() is { } bridge ? [.. links, bridge] : links;
    }

    /// <summary>Closes the sockets that keep ports. What is in the kernel stays.</summary>
    public void Release()
    {
        _host.Watched.Remove(this);
        _ports.Release(_endpoints.Values.SelectMany(e => e.Reservations));
        _endpoints.Clear();
    }

    /// <summary>The link of an endpoint inside its sandbox: the one with its address.</summary>
    private static int? LinkOf(Sandbox sandbox, EndpointInfo endpoint) =>
        sandbox.Session.Addresses().FirstOrDefault(address => address.Address.Equals(endpoint.Address))?.LinkIndex;

    private NetworkException NotAttached(string endpointId) =>
        new(NetworkErrorKind.InvalidParameter, $"endpoint {endpointId} is not attached to network {_options.BridgeName}");

    private static void CheckId(string id)
    {
        if (id.Length is 0 or > 200 || !id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-'))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid endpoint id \"{id}\"");
        }
    }

    /// <summary>All ports of an endpoint: those of the host, and those of its own addresses.</summary>
    private IReadOnlyList<PublishedPort> Ports(IReadOnlyList<PortReservation> reservations, EndpointInfo endpoint, IReadOnlyList<PortRequest> requests) =>
        [.. reservations.Select(reservation => reservation.Port), .. _options.Internal ? [] : _subnets.OpenedPorts(endpoint, requests)];

    private IReadOnlyList<PortReservation> ReservePorts(string name, IReadOnlyList<PortRequest> requests, EndpointInfo endpoint)
    {
        try
        {
            return _options.Internal ? [] : _ports.Reserve(requests, endpoint, _subnets.TranslatedFamilies(endpoint), _options.DefaultHostAddress);
        }
        catch (NetworkException e)
        {
            throw new NetworkException(
                e.Kind,
                $"driver failed programming external connectivity on endpoint {name} ({endpoint.EndpointId}): {e.Message}",
                e);
        }
    }

    /// <summary>
    /// Makes the sandbox' link an endpoint: hardware address, addresses, default routes, alias, published ports. Returns the name of
    /// the host's end. A link that could not be made one is removed at once, as the sandbox may be attached again.
    /// </summary>
    private string Connect(EndpointRequest request, Sandbox sandbox, EndpointInfo info, MacAddress mac)
    {
        if (sandbox.Link is { } waiting && request.LinkName is { } wanted && wanted != waiting.Name)
        {
            sandbox.Link = null;
            BridgeLink.Remove(_route, [waiting.HostName]);
        }

        // A container that runs has its link as soon as there is one: what it may send is known before.
        string hostName = sandbox.Link?.HostName ?? SandboxFactory.NewHostName();
        _guard.Add(hostName, info);
        PooledLink link;
        try
        {
            link = sandbox.Link ??= SandboxFactory.AddLink(
                _route, sandbox.Namespace, sandbox.Session, hostName, request.LinkName ?? sandbox.NextLinkName(_options.LinkPrefix), NextMaster(), _bridge.Mtu);
        }
        catch
        {
            _guard.Remove(hostName);
            throw;
        }

        try
        {
            // The alias first: if the engine dies from here on, the link is known to be nobody's.
            RouteBatch outside = _route.Begin().SetLink(link.HostIndex, new LinkChange { Alias = _bridge.AliasOf(request.EndpointId) });
            if (!_options.InterContainer)
            {
                outside.SetIsolated(link.HostIndex, true);
            }

            outside.Execute();
            Address(request, sandbox, link, info, mac);
            Configure(request, sandbox, link);
            Publish(link.HostIndex, info, info.Ports);
        }
        catch
        {
            sandbox.Link = null;
            BridgeLink.Remove(_route, [link.HostName]);
            _guard.Remove(hostName);
            _subnets.UnpublishPorts(info, info.Ports);
            throw;
        }

        sandbox.Link = null;
        return link.HostName;
    }

    /// <summary>Gives the link inside the sandbox its addresses and routes.</summary>
    private void Address(EndpointRequest request, Sandbox sandbox, PooledLink link, EndpointInfo info, MacAddress mac)
    {
        if (info.Ipv6 is not null)
        {
            NamespaceThread.Within(sandbox.Namespace, _host.Home, () => HostSettings.EnableIpv6(link.Name));
        }

        RouteBatch inside = sandbox.Session.Begin();
        LinkChange hardware = new() { Address = mac };
        if (info.Ipv6 is null)
        {
            inside.SetLink(link.Index, hardware);
        }

        if (info.Ipv4 is { } ipv4)
        {
            inside.AddAddress(new InterfaceAddress(link.Index, ipv4.Address, ipv4.PrefixLength));
        }

        if (info.Ipv6 is { } ipv6)
        {
            // A link-local one too, without which no neighbour is asked again whether it is still there (ndisc_solicit). The hardware address comes after
            // them: it is its change that neighbours are told (ndisc_netdev_event).
            inside
                .AddAddress(new InterfaceAddress(link.Index, mac.ToLinkLocal(), BridgeLink.LinkLocalPrefixLength))
                .AddAddress(new InterfaceAddress(link.Index, ipv6.Address, ipv6.PrefixLength))
                .SetLink(link.Index, hardware);
        }

        if (request.IsDefaultRoute && info.Ipv4?.Gateway is { } gateway)
        {
            inside.ReplaceRoute(new Route(_subnets.Ipv4!.DefaultRoute, gateway, link.Index));
        }

        if (request.IsIpv6DefaultRoute && info.Ipv6?.Gateway is { } gateway6)
        {
            inside.ReplaceRoute(new Route(_subnets.Ipv6!.DefaultRoute, gateway6, link.Index));
        }

        inside.Execute();
    }

    private void Configure(EndpointRequest request, Sandbox sandbox, PooledLink link)
    {
        if (request.LinkSettings.Count > 0)
        {
            NamespaceThread.Within(sandbox.Namespace, _host.Home, () => request.LinkSettings.ToList().ForEach(setting => setting.Apply(link.Name)));
        }
    }

    private void TakeRoute(BridgeSubnet? subnet, Sandbox sandbox, EndpointInfo info)
    {
        if (subnet?.Gateway is { } gateway)
        {
            int link = LinkOf(sandbox, info) ?? throw NotAttached(info.EndpointId);
            sandbox.Session.Begin().ReplaceRoute(new Route(subnet.DefaultRoute, gateway, link)).Execute();
        }
    }

    /// <param name="port">Index of the host's end of the link.</param>
    private void Publish(int port, EndpointInfo endpoint, IReadOnlyList<PublishedPort> ports)
    {
        if (ports.Count == 0)
        {
            return;
        }

        // With br_netfilter a redirected packet to the same network is bridged, not routed: back to its sender, where a container
        // uses its own published port.
        _route.Begin().SetHairpin(port, true).Execute();
        _subnets.PublishPorts(endpoint, ports);
        RedirectedDatagrams.Forget(endpoint, ports);
    }

    private void Unpublish(EndpointInfo endpoint, IReadOnlyList<PublishedPort> ports)
    {
        _subnets.UnpublishPorts(endpoint, ports);
        RedirectedDatagrams.Forget(endpoint, ports);
    }
}
