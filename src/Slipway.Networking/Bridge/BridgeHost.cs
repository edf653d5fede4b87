using System.Net;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>An attached container, with the sockets that keep its ports.</summary>
internal sealed record Endpoint(EndpointInfo Info, IReadOnlyList<PortReservation> Reservations);

/// <param name="Orphans">Names of links to remove.</param>
/// <param name="LostPorts">Ids of endpoints with a host port that another process has.</param>
internal sealed record RestoreResult(
    IReadOnlyList<(IPAddress Container, IReadOnlyList<PortReservation> Ports)> Reservations, IReadOnlyList<string> Orphans, IReadOnlyList<string> LostPorts);

/// <summary>The host's side of a bridge network: all state, used by the one thread that lives in the host's namespace.</summary>
internal sealed class BridgeHost
{
    private const string ForwardingSetting = "ip_forward";
    private const string RouteLocalnetSetting = "route_localnet";

    private static readonly IPNetwork DefaultRoute = new(IPAddress.Any, 0);

    private readonly BridgeOptions _options;
    private readonly RouteSession _route;
    private readonly BridgeLink _bridge;
    private readonly BridgeFirewall _firewall;
    private readonly Dictionary<string, Endpoint> _endpoints = [];
    private readonly PortAllocator _ports;
    private AddressPool? _addresses;
    private NetworkInfo? _info;

    public BridgeHost(BridgeOptions options, HostSessions host)
    {
        _options = options;
        (_route, _ports) = (host.Route, host.Ports);
        _bridge = new BridgeLink(_route, options.BridgeName);
        _firewall = new BridgeFirewall(host.NfTables, options);
    }

    public int BridgeIndex => _bridge.Index;

    private NetworkInfo Info => _info ?? throw new InvalidOperationException("the network was not made yet");

    public NetworkInfo Ensure()
    {
        (IPAddress gateway, int prefixLength) = _bridge.Ensure(_options.Address, _options.AddressPools, _options.Mtu);
        IPNetwork subnet = DefaultSubnets.NetworkOf(gateway, prefixLength);
        bool enableForwarding = !_options.Internal && !HostSettings.Forwarding;
        List<string> changed = [];
        if (enableForwarding)
        {
            changed.Add(ForwardingSetting);
        }

        if (!HostSettings.GetRouteLocalnet(_options.BridgeName))
        {
            changed.Add(RouteLocalnetSetting);
        }

        // The rules first: nothing is open that they close, and what is changed is noted before it is.
        _firewall.Ensure(subnet, changed);
        if (changed.Contains(RouteLocalnetSetting))
        {
            HostSettings.SetRouteLocalnet(_options.BridgeName, true);
        }

        if (enableForwarding)
        {
            HostSettings.Forwarding = true;
        }

        _addresses ??= new AddressPool(subnet, gateway, _options.AddressRange, _options.ReservedAddresses);
        return _info = new NetworkInfo(_options.BridgeName, subnet, gateway, _bridge.Mtu, _bridge.Adopted, enableForwarding);
    }

    public Endpoint Attach(EndpointRequest request, Sandbox sandbox)
    {
        CheckId(request.EndpointId);
        if (_endpoints.ContainsKey(request.EndpointId))
        {
            throw new NetworkException(NetworkErrorKind.Conflict, $"endpoint with id {request.EndpointId} already exists in network {_options.BridgeName}");
        }

        MacAddress? requestedMac = null;
        if (request.MacAddress is { Length: > 0 } text)
        {
            requestedMac = MacAddress.TryParse(text, out MacAddress parsed) && parsed.IsUnicast ? parsed
                : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid mac address \"{text}\"");
        }

        IPAddress address = _addresses!.Allocate(request.EndpointId, request.Address);
        IReadOnlyList<PortReservation> reservations = [];
        try
        {
            reservations = ReservePorts(request.EndpointId, request.Name, request.Ports, address);
            PublishedPort[] ports = [.. reservations.Select(r => r.Port)];
            MacAddress mac = requestedMac ?? MacAddress.Of(address);
            string hostLink = Connect(request, sandbox, address, mac, ports);
            Endpoint endpoint = new(
                new EndpointInfo(request.EndpointId, address, Info.Subnet.PrefixLength, _options.Internal ? null : Info.Gateway, mac.ToString(), hostLink, ports), reservations);
            _endpoints.Add(request.EndpointId, endpoint);
            return endpoint;
        }
        catch (Exception e)
        {
            _ports.Release(reservations);
            _addresses.Release(address, request.EndpointId);
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
            _firewall.UnpublishPorts(info.Address, info.Ports);
            ForgetDatagrams(info.Address, info.Ports);

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
            _addresses!.Release(info.Address, endpointId);
        }
    }

    /// <summary>Lets the default route go through this network, and publishes the ports here.</summary>
    public Endpoint TakeDefaultRoute(string endpointId, string name, IReadOnlyList<PortRequest> requests, Sandbox sandbox)
    {
        Endpoint endpoint = _endpoints.GetValueOrDefault(endpointId) ?? throw NotAttached(endpointId);
        IReadOnlyList<PortReservation> reservations = endpoint.Reservations.Count > 0 ? endpoint.Reservations : ReservePorts(endpointId, name, requests, endpoint.Info.Address);
        PublishedPort[] ports = [.. reservations.Select(r => r.Port)];
        try
        {
            int link = LinkOf(sandbox, endpoint.Info) ?? throw NotAttached(endpointId);
            if (!_options.Internal)
            {
                sandbox.Session.Begin().ReplaceRoute(new Route(DefaultRoute, Info.Gateway, link)).Execute();
            }

            int port = _route.FindLink(endpoint.Info.HostLink)?.Index ?? throw NotAttached(endpointId);
            Publish(port, endpoint.Info.Address, ports);
        }
        catch
        {
            if (endpoint.Reservations.Count == 0)
            {
                _ports.Release(reservations);
            }

            throw;
        }

        return _endpoints[endpointId] = new Endpoint(endpoint.Info with { Ports = ports }, reservations);
    }

    /// <summary>Ends the publishing of an endpoint's ports.</summary>
    public EndpointInfo? GiveUpDefaultRoute(string endpointId)
    {
        if (!_endpoints.TryGetValue(endpointId, out Endpoint? endpoint))
        {
            return null;
        }

        _firewall.UnpublishPorts(endpoint.Info.Address, endpoint.Info.Ports);
        ForgetDatagrams(endpoint.Info.Address, endpoint.Info.Ports);
        _ports.Release(endpoint.Reservations);
        Endpoint without = new(endpoint.Info with { Ports = [] }, []);
        _endpoints[endpointId] = without;
        return without.Info;
    }

    /// <summary>Publishes further ports, then ends the publishing of others.</summary>
    /// <returns>The endpoint, and the reservations that are new.</returns>
    public (EndpointInfo Info, IReadOnlyList<PortReservation> Made) ChangePorts(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added)
    {
        Endpoint endpoint = _endpoints.GetValueOrDefault(endpointId) ?? throw NotAttached(endpointId);
        IPAddress address = endpoint.Info.Address;
        PublishedPort[] gone = [.. endpoint.Info.Ports.Intersect(removed)];
        IReadOnlyList<PortReservation> made = ReservePorts(endpointId, name, added, address);
        PublishedPort[] ports = [.. made.Select(reservation => reservation.Port)];
        try
        {
            int link = _route.FindLink(endpoint.Info.HostLink)?.Index ?? throw NotAttached(endpointId);
            Publish(link, address, ports);
        }
        catch
        {
            _ports.Release(made);
            throw;
        }

        _firewall.UnpublishPorts(address, gone);
        ForgetDatagrams(address, gone);
        PortReservation[] released = [.. endpoint.Reservations.Where(reservation => gone.Contains(reservation.Port))];
        _ports.Release(released);
        EndpointInfo info = endpoint.Info with { Ports = [.. endpoint.Info.Ports.Except(gone), .. ports] };
        _endpoints[endpointId] = new Endpoint(info, [.. endpoint.Reservations.Except(released), .. made]);
        return (info, made);
    }

    public RestoreResult Restore(IReadOnlyCollection<EndpointInfo> endpoints)
    {
        List<(IPAddress, IReadOnlyList<PortReservation>)> reservations = [];
        List<string> lost = [];
        foreach (EndpointInfo info in endpoints)
        {
            if (_endpoints.ContainsKey(info.EndpointId))
            {
                continue;
            }

            if (Info.Subnet.Contains(info.Address))
            {
                _addresses!.Reserve(info.Address, info.EndpointId);
            }

            List<PortReservation> ports = [];
            foreach (PublishedPort port in info.Ports)
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

            _endpoints.Add(info.EndpointId, new Endpoint(info, ports));
            reservations.Add((info.Address, ports));
        }

        _firewall.SynchronizePorts([.. _endpoints.Values.Select(e => (e.Info.Address, e.Info.Ports))]);
        string[] orphans = [.. _bridge.Endpoints().Where(e => e.Link.Master != BridgeIndex || !_endpoints.ContainsKey(e.EndpointId)).Select(e => e.Link.Name)];
        return new RestoreResult(reservations, orphans, lost);
    }

    public IReadOnlyList<string> ListEndpoints() => [.. _bridge.Endpoints().Where(e => e.Link.Master == BridgeIndex).Select(e => e.EndpointId)];

    public void Cleanup()
    {
        foreach (string id in _endpoints.Keys.ToArray())
        {
            Detach(id);
        }

        // With them the links that waited in a pool: the kernel removes them with their namespaces, but at a time of its own.
        BridgeLink.Remove(_route, [.. _bridge.Endpoints().Select(e => e.Link.Name), .. _bridge.PooledLinks()]);
        bool lastOne = _firewall.Remove();
        if (_firewall.ChangedSettings.Contains(RouteLocalnetSetting))
        {
            HostSettings.SetRouteLocalnet(_options.BridgeName, false);
        }

        _bridge.RemoveOwn();
        if (lastOne && _firewall.ChangedSettings.Contains(ForwardingSetting))
        {
            HostSettings.Forwarding = false;
        }
    }

    /// <summary>Closes the sockets that keep ports. What is in the kernel stays.</summary>
    public void Release()
    {
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

    private IReadOnlyList<PortReservation> ReservePorts(string endpointId, string name, IReadOnlyList<PortRequest> requests, IPAddress address)
    {
        try
        {
            return _options.Internal ? [] : _ports.Reserve(requests, address, _options.DefaultHostAddress);
        }
        catch (NetworkException e)
        {
            throw new NetworkException(
                e.Kind,
                $"driver failed programming external connectivity on endpoint {name} ({endpointId}): {e.Message}",
                e);
        }
    }

    /// <summary>
    /// Makes the sandbox' link an endpoint: hardware address, address, default route, alias, published ports. Returns the name of
    /// the host's end. A link that could not be made one is removed at once, as the sandbox may be attached again.
    /// </summary>
    private string Connect(EndpointRequest request, Sandbox sandbox, IPAddress address, MacAddress mac, PublishedPort[] ports)
    {
        PooledLink link = sandbox.Link ??= SandboxFactory.AddLink(_route, sandbox.Namespace, sandbox.Session, sandbox.NextLinkName(), BridgeIndex, Info.Mtu);
        try
        {
            // The alias first: if the engine dies from here on, the link is known to be nobody's.
            RouteBatch outside = _route.Begin().SetLink(link.HostIndex, new LinkChange { Alias = _bridge.AliasOf(request.EndpointId) });
            if (!_options.InterContainer)
            {
                outside.SetIsolated(link.HostIndex, true);
            }

            outside.Execute();
            RouteBatch inside = sandbox.Session.Begin()
                .SetLink(link.Index, new LinkChange { Address = mac })
                .AddAddress(new InterfaceAddress(link.Index, address, Info.Subnet.PrefixLength));
            if (request.IsDefaultRoute && !_options.Internal)
            {
                inside.ReplaceRoute(new Route(DefaultRoute, Info.Gateway, link.Index));
            }

            inside.Execute();
            Publish(link.HostIndex, address, ports);
        }
        catch
        {
            sandbox.Link = null;
            BridgeLink.Remove(_route, [link.HostName]);
            _firewall.UnpublishPorts(address, ports);
            throw;
        }

        sandbox.Link = null;
        return link.HostName;
    }

    /// <param name="port">Index of the host's end of the link.</param>
    private void Publish(int port, IPAddress address, PublishedPort[] ports)
    {
        if (ports.Length == 0)
        {
            return;
        }

        // With br_netfilter a redirected packet to the same network is bridged, not routed: back to its sender, where a container
        // uses its own published port.
        _route.Begin().SetHairpin(port, true).Execute();
        _firewall.PublishPorts(address, ports);
        ForgetDatagrams(address, ports);
    }

    /// <summary>
    /// Forgets where datagrams went before. A stream of them keeps its entry alive, so without this a client would never be redirected
    /// to a container published after its first packet, or for ever be to one that is gone.
    /// </summary>
    private static void ForgetDatagrams(IPAddress container, IReadOnlyList<PublishedPort> ports)
    {
        HashSet<ushort> hostPorts = [.. ports.Where(port => port.Protocol == PortProtocol.Udp).Select(port => port.HostPort)];
        if (hostPorts.Count > 0)
        {
            using ConntrackSession session = new();
            session.Delete(c => c.Protocol == (byte)PortProtocol.Udp && (hostPorts.Contains(c.DestinationPort) || c.ReplySource.Equals(container)));
        }
    }
}
