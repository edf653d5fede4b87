using System.Net;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>A container's link, which exists in its sandbox only.</summary>
/// <param name="Inside">A session in the sandbox, which keeps the namespace until the link is removed: its addresses must not outlive the endpoint. Null where the sandbox is not known.</param>
internal sealed record StackedEndpoint(EndpointInfo Info, RouteSession? Inside);

/// <summary>The host's side of a stacked network: all state, used by the one thread that lives in the host's namespace.</summary>
internal sealed class StackedHost(StackedOptions options, HostSessions host)
{
    private readonly ParentLink _parent = new(host.Route, options);
    private readonly StackedSubnet? _ipv4 = SubnetOf(options.Ipv4, options);
    private readonly StackedSubnet? _ipv6 = SubnetOf(options.Ipv6, options);
    private readonly Dictionary<string, StackedEndpoint> _endpoints = [];

    public IReadOnlyList<string> EndpointIds => [.. _endpoints.Keys];

    public NetworkInfo Ensure()
    {
        (Link parent, bool found) = _parent.Ensure();
        int mtu = options.Mtu == 0 ? parent.Mtu : options.Mtu;
        return _ipv6 is null || mtu >= BridgeLink.MinIpv6Mtu
            ? new NetworkInfo(options.Parent, _ipv4?.Info, _ipv6?.Info, mtu, found, EnabledForwarding: false)
            : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"IPv6 needs an MTU of at least {BridgeLink.MinIpv6Mtu} bytes: {mtu}");
    }

    public EndpointInfo Attach(EndpointRequest request, Sandbox sandbox)
    {
        MacAddress? requested = request.ParseMacAddress();
        if (requested is not null && options.Mode is IpvlanMode)
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"{options.Mode.Kind} interfaces do not support custom mac address assignment");
        }

        Link parent = _parent.Find();
        EndpointAddress? ipv4 = null;
        EndpointAddress? ipv6 = null;
        try
        {
            ipv4 = StackedSubnet.Allocate(_ipv4, request.EndpointId, request.Address);
            ipv6 = StackedSubnet.Allocate(_ipv6, request.EndpointId, request.Ipv6Address);
            MacAddress? mac = options.Mode is IpvlanMode ? null : requested ?? (ipv4 is null ? MacAddress.Random() : MacAddress.Of(ipv4.Address));
            EndpointInfo info = new(request.EndpointId, ipv4, ipv6, mac?.ToString() ?? "", HostLink: "", []);
            _endpoints.Add(request.EndpointId, new StackedEndpoint(info, Connect(request, sandbox, parent, info, mac)));
            return info;
        }
        catch (Exception e)
        {
            _ipv4?.Release(ipv4, request.EndpointId);
            _ipv6?.Release(ipv6, request.EndpointId);
            throw e is KernelException failure ? new NetworkException(NetworkErrorKind.Unavailable, failure.Message, failure) : e;
        }
    }

    /// <summary>Forgets an endpoint, whose address stays taken until <see cref="Release"/>.</summary>
    public StackedEndpoint? Forget(string endpointId) => _endpoints.Remove(endpointId, out StackedEndpoint? endpoint) ? endpoint : null;

    public void Release(EndpointInfo endpoint)
    {
        _ipv4?.Release(endpoint.Ipv4, endpoint.EndpointId);
        _ipv6?.Release(endpoint.Ipv6, endpoint.EndpointId);
    }

    /// <summary>Removes the link of an endpoint; not for this object's thread, as it takes a while.</summary>
    public static void RemoveLink(StackedEndpoint endpoint)
    {
        using RouteSession? inside = endpoint.Inside;
        if (inside is not null && LinkOf(inside, endpoint.Info.EndpointId) is { } link)
        {
            BridgeLink.Remove(inside, [link.Name]);
        }
    }

    public void Restore(IReadOnlyCollection<EndpointInfo> endpoints)
    {
        foreach (EndpointInfo info in endpoints.Where(info => !_endpoints.ContainsKey(info.EndpointId)))
        {
            _ipv4?.Reserve(info.Ipv4, info.EndpointId);
            _ipv6?.Reserve(info.Ipv6, info.EndpointId);
            _endpoints.Add(info.EndpointId, new StackedEndpoint(info, Inside: null));
        }
    }

    public void Locate(string endpointId, Sandbox sandbox)
    {
        if (_endpoints.TryGetValue(endpointId, out StackedEndpoint? endpoint) && endpoint.Inside is null)
        {
            _endpoints[endpointId] = endpoint with { Inside = Enter(sandbox) };
        }
    }

    public EndpointInfo TakeDefaultRoute(string endpointId, Sandbox sandbox) => TakeRoute(_ipv4, endpointId, sandbox);

    public EndpointInfo TakeIpv6Route(string endpointId, Sandbox sandbox) => TakeRoute(_ipv6, endpointId, sandbox);

    public EndpointInfo? Find(string endpointId) => _endpoints.GetValueOrDefault(endpointId)?.Info;

    public void Cleanup()
    {
        foreach (string id in EndpointIds)
        {
            StackedEndpoint endpoint = Forget(id)!;
            RemoveLink(endpoint);
            Release(endpoint.Info);
        }

        _parent.RemoveOwn();
    }

    /// <summary>Lets go of the sandboxes. What is in the kernel stays.</summary>
    public void Close()
    {
        foreach (StackedEndpoint endpoint in _endpoints.Values)
        {
            endpoint.Inside?.Dispose();
        }

        _endpoints.Clear();
    }

    public NetworkException NotAttached(string endpointId) =>
        new(NetworkErrorKind.InvalidParameter, $"endpoint {endpointId} is not attached to network {options.NetworkId}");

    private static StackedSubnet? SubnetOf(StackedSubnetOptions? subnet, StackedOptions options) =>
        subnet is null ? null : new StackedSubnet(subnet, options.Internal, options.Mode is IpvlanMode { Layer: not IpvlanLayer.L2 });

    private EndpointInfo TakeRoute(StackedSubnet? subnet, string endpointId, Sandbox sandbox)
    {
        StackedEndpoint endpoint = _endpoints.GetValueOrDefault(endpointId) ?? throw NotAttached(endpointId);
        Link link = LinkOf(sandbox.Session, endpointId) ?? throw NotAttached(endpointId);
        subnet?.AddDefaultRoute(sandbox.Session.Begin(), link.Index).Execute();
        return endpoint.Info;
    }

    private static string AliasOf(string endpointId) => $"slipway:{endpointId}";

    private static Link? LinkOf(RouteSession inside, string endpointId) => inside.Links().FirstOrDefault(link => link.Alias == AliasOf(endpointId));

    /// <summary>A session that the driver keeps, unlike the sandbox' own.</summary>
    private RouteSession Enter(Sandbox sandbox) => NamespaceThread.Within(sandbox.Namespace, host.Home, () => new RouteSession());

    /// <summary>Makes the link, and everything of it that is inside. Nothing is left after a failure, as the sandbox may be attached again.</summary>
    private RouteSession Connect(EndpointRequest request, Sandbox sandbox, Link parent, EndpointInfo info, MacAddress? mac)
    {
        string name = sandbox.NextLinkName();
        RouteSession inside = Enter(sandbox);
        try
        {
            Make(new StackedLink { Name = name, Parent = parent.Index, Namespace = sandbox.Namespace, Mode = options.Mode, Mtu = options.Mtu });
            try
            {
                inside.Begin()
                    .SetLink(name, new LinkChange { Alias = AliasOf(request.EndpointId), Address = mac, LinkLocalAddress = false })
                    .SetLink(name, new LinkChange { Up = true })
                    .Execute();
                Address(request, sandbox, inside, inside.FindLink(name)!, info, mac);
                return inside;
            }
            catch
            {
                BridgeLink.Remove(inside, [name]);
                throw;
            }
        }
        catch
        {
            inside.Dispose();
            throw;
        }
    }

    /// <summary>Gives the link inside the sandbox its addresses and routes.</summary>
    private void Address(EndpointRequest request, Sandbox sandbox, RouteSession inside, Link link, EndpointInfo info, MacAddress? mac)
    {
        RouteBatch batch = inside.Begin();
        if (info.Ipv4 is { } ipv4)
        {
            batch.AddAddress(new InterfaceAddress(link.Index, ipv4.Address, ipv4.PrefixLength));
            if (request.IsDefaultRoute)
            {
                _ipv4!.AddDefaultRoute(batch, link.Index);
            }
        }

        if (info.Ipv6 is { } ipv6)
        {
            NamespaceThread.Within(sandbox.Namespace, host.Home, () => HostSettings.EnableIpv6(link.Name));

            // A link-local one too, without which no neighbour is asked again whether it is still there (ndisc_solicit). Links of one parent may have one hardware address:
            // then it does not follow from that.
            MacAddress local = mac ?? MacAddress.Random();
            batch
                .AddAddress(new InterfaceAddress(link.Index, local.ToLinkLocal(), BridgeLink.LinkLocalPrefixLength))
                .AddAddress(new InterfaceAddress(link.Index, ipv6.Address, ipv6.PrefixLength));
            if (request.IsIpv6DefaultRoute)
            {
                _ipv6!.AddDefaultRoute(batch, link.Index);
            }
        }

        batch.Execute();
        if (info.Ipv6 is not null && mac is not null)
        {
            // It is given once more: with that, neighbours that know the addresses by another one are told (ndisc_netdev_event).
            inside.Begin().SetLink(link.Index, new LinkChange { Address = mac }).Execute();
        }
    }

    private void Make(StackedLink link)
    {
        try
        {
            host.Route.Begin().AddStacked(link).Execute();
        }
        catch (KernelException e)
        {
            // The kernel allows one kind of link on a parent, no other user of it (a bridge), and with passthru one link.
            throw ParentLink.Failure($"failed to create the {link.Mode.Kind} port", e);
        }
    }
}
