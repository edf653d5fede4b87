using System.Collections.Concurrent;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Telemetry;
using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>Connects containers: their links, their ports, their names and the name server of each.</summary>
/// <param name="bridge">The driver of the default network, which also makes network namespaces.</param>
/// <param name="hasDefaultIpv6">The default network has IPv6.</param>
/// <param name="hostGateways">Addresses that this host is to be known by, if not those of the networks' bridges.</param>
internal sealed class ContainerNetworks(
    IDefaultNetwork bridge, bool hasDefaultIpv6, NetworkHost host, NetworkCatalog catalog, IReadOnlyList<IPAddress> hostGateways, NameServers names, EngineMetrics metrics, IEngineLog log) : IAsyncDisposable
{
    private readonly RouteChoice _routes = new(catalog, hasDefaultIpv6);

    /// <summary>The network namespace for a container that starts; null for one that uses another's.</summary>
    public async Task<Sandbox?> SandboxAsync(ContainerSnapshot container)
    {
        string mode = container.HostConfig.NetworkMode;
        if (mode == NamespaceModes.Host || NamespaceModes.SharedWith(mode) is not null)
        {
            return null;
        }

        // Only the default network keeps namespaces ready in which a link waits.
        SandboxKind kind = container.RequestedEndpoints.ContainsKey(NamespaceModes.Bridge) ? SandboxKind.Attached : SandboxKind.Isolated;
        return await bridge.PrepareSandboxAsync(kind, CancellationToken.None);
    }

    /// <summary>Attaches a container that starts to all its networks; null for one that has none. After a failure nothing is left behind.</summary>
    public Task<AttachedNetworks>? AttachAsync(ContainerSnapshot container, Sandbox sandbox)
    {
        long begin = metrics.Begin();
        string[] names = [.. Names(container)];
        return names switch
        {
            [] => null,
            [NamespaceModes.Bridge] => MeasuredAsync(AttachDefaultAsync(container, sandbox)),
            _ => MeasuredAsync(AttachAllAsync(container, names, sandbox)),
        };

        async Task<AttachedNetworks> MeasuredAsync(Task<AttachedNetworks> attaching)
        {
            AttachedNetworks attached = await attaching;
            if (!container.IsWarmUp)
            {
                metrics.Done(NetworkAction.Allocate, begin);
            }

            return attached;
        }
    }

    /// <summary>Detaches a container that ended from all its networks.</summary>
    public async Task DetachAsync(string containerId, AttachedNetworks attached)
    {
        await names.EndAsync(containerId);
        foreach ((string name, StoredEndpoint endpoint) in attached.All)
        {
            await DetachOneAsync(name, endpoint.EndpointId);
        }
    }

    /// <summary>Connects a container that runs to a further network.</summary>
    /// <param name="container">As it is with the new network among those it asks for.</param>
    /// <param name="process">Its first process.</param>
    /// <returns>All endpoints it has from now on: of another network the ports may have gone to this one.</returns>
    public async Task<AttachedNetworks> ConnectAsync(ContainerSnapshot container, string name, SafeFileHandle? process)
    {
        using Sandbox sandbox = await OpenAsync(container, process);
        AttachedNetworks before = container.State.Attached;
        string? gateway = _routes.Default(container, before.Names.Append(name));
        bool takesRoute = gateway == name;
        bool takesIpv6Route = _routes.Ipv6(container, before.Names.Append(name)) == name;
        string? former = takesRoute ? _routes.Default(container, before.Names) : null;
        AttachedNetworks attached = before;
        if (former is not null)
        {
            attached = await GiveUpAsync(attached, former);
        }

        try
        {
            attached = attached.With(name, StoredEndpoint.From(await AttachOneAsync(container, name, takesRoute, takesIpv6Route, sandbox)));
            await ResolveAsync(container, attached, sandbox);
            return attached;
        }
        catch
        {
            if (attached.Find(name) is { } made)
            {
                await DetachOneAsync(name, made.EndpointId);
            }

            if (former is not null)
            {
                await TakeAsync(container, attached.Without(name), former, sandbox);
            }

            if (takesIpv6Route)
            {
                await TakeIpv6Async(container, before, sandbox);
            }

            throw;
        }
    }

    /// <summary>Disconnects a container that runs from a network.</summary>
    /// <param name="process">Its first process.</param>
    /// <returns>The endpoints that are left.</returns>
    public async Task<AttachedNetworks> DisconnectAsync(ContainerSnapshot container, string name, SafeFileHandle? process)
    {
        AttachedNetworks attached = container.State.Attached;
        if (attached.Find(name) is not { } endpoint)
        {
            return attached;
        }

        using Sandbox sandbox = await OpenAsync(container, process);
        bool hadRoute = _routes.Default(container, attached.Names) == name;
        bool hadIpv6Route = _routes.Ipv6(container, attached.Names) == name;
        await DetachOneAsync(name, endpoint.EndpointId);
        attached = attached.Without(name);
        if (hadRoute && _routes.Default(container, attached.Names) is { } next)
        {
            attached = await TakeAsync(container, attached, next, sandbox);
        }

        if (hadIpv6Route)
        {
            await TakeIpv6Async(container, attached, sandbox);
        }

        await ResolveAsync(container, attached, sandbox);
        return attached;
    }

    /// <summary>Publishes further ports of a container that runs, on the network of its default route, and others no more.</summary>
    /// <param name="isRemoved">Which go of those it publishes.</param>
    public async Task<AttachedNetworks> ChangePortsAsync(ContainerSnapshot container, Func<PublishedPort, bool> isRemoved, IReadOnlyList<PortRequest> added)
    {
        AttachedNetworks attached = container.State.Attached;
        if (_routes.Default(container, attached.Names) is not { } name || attached.Find(name) is not { } stored)
        {
            return attached;
        }

        EndpointInfo endpoint = stored.ToEndpoint();
        return attached.With(name, StoredEndpoint.From(
            await Driver(name).ChangePortsAsync(endpoint.EndpointId, container.Name, [.. endpoint.Ports.Where(isRemoved)], added, CancellationToken.None)));
    }

    /// <summary>A running container has another name.</summary>
    public void Rename(ContainerSnapshot container)
    {
        foreach ((string name, StoredEndpoint endpoint) in container.State.Attached.Networks)
        {
            catalog.FindByName(name)?.Announce(endpoint.ToEndpoint(), DnsNames(container, name));
        }
    }

    /// <summary>Takes back what runs, after a restart of the engine: addresses, ports, names and name servers.</summary>
    public async Task RestoreAsync(IReadOnlyCollection<ContainerSnapshot> running, CancellationToken cancellationToken)
    {
        await RestoreAsync(bridge, [.. running.Select(container => container.State.Endpoint).OfType<StoredEndpoint>()], cancellationToken);
        foreach (UserNetwork network in catalog.All)
        {
            List<StoredEndpoint> endpoints = [];
            foreach (ContainerSnapshot container in running)
            {
                if (container.State.Attached.Find(network.Name) is { } endpoint && network.TryUse(endpoint.EndpointId))
                {
                    endpoints.Add(endpoint);
                    network.Announce(endpoint.ToEndpoint(), DnsNames(container, network.Name));
                }
            }

            try
            {
                await RestoreAsync(network.Driver, endpoints, cancellationToken);
            }
            catch (Exception exception) when (exception is NetworkException or KernelException or InvalidOperationException)
            {
                log.Write(EngineLogLevel.Error, $"network {network.Name} cannot be restored: {exception.Message}");
            }
        }

        await names.TakeOverAsync(running.Where(container => container.State.Attached.Networks.Count > 0).Select(container => container.Id).ToHashSet(), cancellationToken);
        foreach (ContainerSnapshot container in running.Where(container => container.State.Attached.Networks.Count > 0))
        {
            try
            {
                using Sandbox sandbox = await OpenAsync(container, process: null);
                await LocateAsync(container.State.Attached, sandbox);
                await ResolveAsync(container, container.State.Attached, sandbox);
            }
            catch (Exception exception) when (exception is NetworkException or KernelException or IOException)
            {
                log.Write(EngineLogLevel.Error, $"container {container.Name} is without its name server: {exception.Message}");
            }
        }
    }

    /// <summary>The names of a container on a network, as inspect shows them.</summary>
    public static List<string> DnsNames(ContainerSnapshot container, string network)
    {
        string[] own = [container.Id[..12], container.Config.Hostname];
        EndpointSettings? settings = container.RequestedEndpoints.GetValueOrDefault(network);
        return [.. ((string[])[container.Name, .. settings?.Aliases ?? [], .. own]).Where(name => name.Length > 0).Distinct(StringComparer.Ordinal)];
    }

    public ValueTask DisposeAsync() => names.DisposeAsync();

    /// <summary>The networks a container asks for, the one of its mode first, which gets the first interface.</summary>
    private static IEnumerable<string> Names(ContainerSnapshot container) => container.RequestedEndpoints.Keys
        .Where(name => name is not (NamespaceModes.Host or NamespaceModes.None))
        .OrderBy(name => name != NamespaceModes.Bridge)
        .ThenBy(name => name != container.HostConfig.NetworkMode)
        .ThenBy(name => name, StringComparer.Ordinal);

    private async Task<AttachedNetworks> AttachDefaultAsync(ContainerSnapshot container, Sandbox sandbox) =>
        AttachedNetworks.None.With(NamespaceModes.Bridge, StoredEndpoint.From(await AttachOneAsync(container, NamespaceModes.Bridge, isDefaultRoute: true, isIpv6Route: true, sandbox)));

    private async Task<AttachedNetworks> AttachAllAsync(ContainerSnapshot container, string[] names, Sandbox sandbox)
    {
        AttachedNetworks attached = AttachedNetworks.None;
        (string? gateway, string? ipv6Gateway) = (_routes.Default(container, names), _routes.Ipv6(container, names));
        try
        {
            foreach (string name in names)
            {
                attached = attached.With(name, StoredEndpoint.From(await AttachOneAsync(container, name, name == gateway, name == ipv6Gateway, sandbox)));
            }

            await ResolveAsync(container, attached, sandbox);
            return attached;
        }
        catch
        {
            await DetachAsync(container.Id, attached);
            throw;
        }
    }

    private async Task<EndpointInfo> AttachOneAsync(ContainerSnapshot container, string name, bool isDefaultRoute, bool isIpv6Route, Sandbox sandbox)
    {
        EndpointOptions options = EndpointOptions.Parse(container.RequestedEndpoints.GetValueOrDefault(name), errors: []);
        EndpointRequest request = new()
        {
            LinkName = options.LinkName,
            LinkSettings = options.Settings,
            EndpointId = container.Id,
            Name = container.Name,
            MacAddress = MacAddress(container, name),
            Ports = isDefaultRoute ? PortSpecs.Requests(container.Config, container.HostConfig) : [],
            IsDefaultRoute = isDefaultRoute,
            IsIpv6DefaultRoute = isIpv6Route,
            IsMomentary = container.IsWarmUp,
        };
        if (name == NamespaceModes.Bridge)
        {
            return await bridge.AttachAsync(request, sandbox, CancellationToken.None);
        }

        UserNetwork network = catalog.FindByName(name) ?? throw NetworkErrors.NotFound(name);
        EndpointIPAMConfig? ipam = container.RequestedEndpoints.GetValueOrDefault(name)?.IPAMConfig;
        request = request with { EndpointId = Identifiers.New(), Address = Address(ipam?.IPv4Address), Ipv6Address = Address(ipam?.IPv6Address) };
        if (!network.TryUse(request.EndpointId))
        {
            throw NetworkErrors.NotFound(name);
        }

        try
        {
            EndpointInfo endpoint = await network.Driver.AttachAsync(request, sandbox, CancellationToken.None);
            network.Announce(endpoint, DnsNames(container, name));
            return endpoint;
        }
        catch
        {
            network.Leave(request.EndpointId);
            throw;
        }
    }

    private async Task DetachOneAsync(string name, string endpointId)
    {
        if (name == NamespaceModes.Bridge)
        {
            await bridge.DetachAsync(endpointId, CancellationToken.None);
        }
        else if (catalog.FindByName(name) is { } network)
        {
            network.Withdraw(endpointId);
            await network.Driver.DetachAsync(endpointId, CancellationToken.None);
            network.Leave(endpointId);
        }
    }

    private async Task<AttachedNetworks> GiveUpAsync(AttachedNetworks attached, string name) =>
        attached.Find(name) is { } endpoint && await Driver(name).GiveUpDefaultRouteAsync(endpoint.EndpointId, CancellationToken.None) is { } without
            ? attached.With(name, StoredEndpoint.From(without))
            : attached;

    private async Task<AttachedNetworks> TakeAsync(ContainerSnapshot container, AttachedNetworks attached, string name, Sandbox sandbox)
    {
        if (attached.Find(name) is not { } endpoint)
        {
            return attached;
        }

        IReadOnlyList<PortRequest> ports = PortSpecs.Requests(container.Config, container.HostConfig);
        return attached.With(name, StoredEndpoint.From(
            await Driver(name).TakeDefaultRouteAsync(endpoint.EndpointId, container.Name, ports, sandbox, CancellationToken.None)));
    }

    private async Task LocateAsync(AttachedNetworks attached, Sandbox sandbox)
    {
        foreach ((string name, StoredEndpoint endpoint) in attached.Networks)
        {
            await Driver(name).LocateAsync(endpoint.EndpointId, sandbox, CancellationToken.None);
        }
    }

    /// <summary>Lets the IPv6 default route go through one of the networks that are attached.</summary>
    private async Task TakeIpv6Async(ContainerSnapshot container, AttachedNetworks attached, Sandbox sandbox)
    {
        if (_routes.Ipv6(container, attached.Names) is { } name && attached.Find(name) is { } endpoint)
        {
            await Driver(name).TakeIpv6RouteAsync(endpoint.EndpointId, sandbox, CancellationToken.None);
        }
    }

    private INetworkDriver Driver(string name) =>
        name == NamespaceModes.Bridge ? bridge : (catalog.FindByName(name) ?? throw NetworkErrors.NotFound(name)).Driver;

    /// <summary>The network namespace of a container that runs, and not of a process that has got its number since.</summary>
    /// <param name="process">Null where the supervisor has just told that it lives.</param>
    private async Task<Sandbox> OpenAsync(ContainerSnapshot container, SafeFileHandle? process)
    {
        Sandbox sandbox = await host.OpenSandboxAsync(container.State.Pid, CancellationToken.None);
        if (process is not null && !Pidfd.SendSignal(process, 0))
        {
            sandbox.Dispose();
            throw ContainerErrors.NotRunning(container.Id);
        }

        return sandbox;
    }

    /// <summary>Brings the container's name server up to its networks; starts it where it is the first network that has names.</summary>
    private Task ResolveAsync(ContainerSnapshot container, AttachedNetworks attached, Sandbox sandbox) =>
        attached.Networks.Count > 0 || names.Serves(container.Id) ? names.SetAsync(container, sandbox, Zones(container, attached)) : Task.CompletedTask;

    private ResolverZones Zones(ContainerSnapshot container, AttachedNetworks attached)
    {
        string? first = _routes.Default(container, attached.Names);
        Dictionary<string, string> aliases = new(StringComparer.OrdinalIgnoreCase);
        foreach (string link in attached.Networks.Keys.SelectMany(name => container.RequestedEndpoints.GetValueOrDefault(name)?.Links ?? []))
        {
            string[] parts = link.Split(':', 2);
            aliases[parts[^1]] = parts[0];
        }

        IReadOnlyList<IPAddress> gateways = Gateways(attached, first);
        return new ResolverZones
        {
            Networks = [.. attached.Networks.Keys.OrderBy(name => name != first).Select(catalog.FindByName).OfType<UserNetwork>().Select(network => network.Names)],
            Aliases = aliases,
            Host = gateways.Count > 0 && hostGateways.Count > 0 ? hostGateways : gateways,
            Gateway = gateways,
            Forwards = attached.Endpoint is not null || attached.Networks.Keys.Any(name => catalog.FindByName(name)?.Document.Internal == false),
        };
    }

    /// <summary>The addresses of this host by which the container reaches it, on the network of the default route if it can be.</summary>
    private IReadOnlyList<IPAddress> Gateways(AttachedNetworks attached, string? first) => [.. (
        from entry in attached.All
        let gateways = entry.Value.Gateways
        where gateways.Any() && catalog.FindByName(entry.Key)?.Type.GatewayIsHost != false
        orderby entry.Key != first
        select gateways).FirstOrDefault() ?? []];

    private static IPAddress? Address(string? text) => string.IsNullOrEmpty(text) ? null : IPAddress.Parse(text);

    private static string? MacAddress(ContainerSnapshot container, string network)
    {
        string? ofContainer = network == container.HostConfig.NetworkMode ? container.Config.MacAddress : null;
        string? requested = container.RequestedEndpoints.GetValueOrDefault(network)?.MacAddress;
        return !string.IsNullOrEmpty(requested) ? requested : string.IsNullOrEmpty(ofContainer) ? null : ofContainer;
    }

    private async Task RestoreAsync(INetworkDriver driver, IReadOnlyCollection<StoredEndpoint> endpoints, CancellationToken cancellationToken)
    {
        foreach (string endpoint in await driver.RestoreAsync([.. endpoints.Select(endpoint => endpoint.ToEndpoint())], cancellationToken))
        {
            log.Write(EngineLogLevel.Warning, $"a host port of endpoint {endpoint} was taken by another process while the engine was down");
        }
    }
}
