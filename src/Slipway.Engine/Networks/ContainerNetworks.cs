using System.Collections.Concurrent;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>Connects containers: their links, their ports, their names and the name server of each.</summary>
/// <param name="bridge">The driver of the default network, which also makes network namespaces.</param>
internal sealed class ContainerNetworks(INetworkDriver bridge, NetworkHost host, NetworkCatalog catalog, ResolverHost resolvers, IEngineLog log) : IAsyncDisposable
{
    private const string HostResolvConf = "/etc/resolv.conf";

    private readonly ConcurrentDictionary<string, SandboxResolver> _resolvers = new(StringComparer.Ordinal);

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
        string[] names = [.. Names(container)];
        return names switch
        {
            [] => null,
            [NamespaceModes.Bridge] => AttachDefaultAsync(container, sandbox),
            _ => AttachAllAsync(container, names, sandbox),
        };
    }

    /// <summary>Detaches a container that ended from all its networks.</summary>
    public async Task DetachAsync(string containerId, AttachedNetworks attached)
    {
        if (_resolvers.TryRemove(containerId, out SandboxResolver? resolver))
        {
            await resolver.DisposeAsync();
        }

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
        string? gateway = DefaultRoute(container, before.Names.Append(name));
        bool takesRoute = gateway == name;
        string? former = takesRoute ? DefaultRoute(container, before.Names) : null;
        AttachedNetworks attached = before;
        if (former is not null)
        {
            attached = await GiveUpAsync(attached, former);
        }

        try
        {
            attached = attached.With(name, StoredEndpoint.From(await AttachOneAsync(container, name, takesRoute, sandbox)));
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
        bool hadRoute = DefaultRoute(container, attached.Names) == name;
        await DetachOneAsync(name, endpoint.EndpointId);
        attached = attached.Without(name);
        if (hadRoute && DefaultRoute(container, attached.Names) is { } next)
        {
            attached = await TakeAsync(container, attached, next, sandbox);
        }

        await ResolveAsync(container, attached, sandbox);
        return attached;
    }

    /// <summary>Publishes further ports of a container that runs, on the network of its default route, and others no more.</summary>
    /// <param name="isRemoved">Which go of those it publishes.</param>
    public async Task<AttachedNetworks> ChangePortsAsync(ContainerSnapshot container, Func<PublishedPort, bool> isRemoved, IReadOnlyList<PortRequest> added)
    {
        AttachedNetworks attached = container.State.Attached;
        if (DefaultRoute(container, attached.Names) is not { } name || attached.Find(name) is not { } stored)
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
            catalog.FindByName(name)?.Names.Set(endpoint.EndpointId, DnsNames(container, name), IPAddress.Parse(endpoint.Address));
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
                    network.Names.Set(endpoint.EndpointId, DnsNames(container, network.Name), IPAddress.Parse(endpoint.Address));
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

        foreach (ContainerSnapshot container in running.Where(container => container.State.Attached.Networks.Count > 0))
        {
            try
            {
                using Sandbox sandbox = await OpenAsync(container, process: null);
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

    /// <summary>The network of the default route: not an internal one if there is another, the highest priority, then the first by name.</summary>
    public string? DefaultRoute(ContainerSnapshot container, IEnumerable<string> names) => names
        .OrderBy(name => catalog.FindByName(name)?.Document.Internal == true)
        .ThenByDescending(name => container.RequestedEndpoints.GetValueOrDefault(name)?.GwPriority ?? 0)
        .ThenBy(name => name, StringComparer.Ordinal)
        .FirstOrDefault();

    public async ValueTask DisposeAsync()
    {
        foreach (SandboxResolver resolver in _resolvers.Values)
        {
            await resolver.DisposeAsync();
        }
    }

    /// <summary>The networks a container asks for, the one of its mode first, which gets the first interface.</summary>
    private static IEnumerable<string> Names(ContainerSnapshot container) => container.RequestedEndpoints.Keys
        .Where(name => name is not (NamespaceModes.Host or NamespaceModes.None))
        .OrderBy(name => name != NamespaceModes.Bridge)
        .ThenBy(name => name != container.HostConfig.NetworkMode)
        .ThenBy(name => name, StringComparer.Ordinal);

    private async Task<AttachedNetworks> AttachDefaultAsync(ContainerSnapshot container, Sandbox sandbox) =>
        AttachedNetworks.None.With(NamespaceModes.Bridge, StoredEndpoint.From(await AttachOneAsync(container, NamespaceModes.Bridge, isDefaultRoute: true, sandbox)));

    private async Task<AttachedNetworks> AttachAllAsync(ContainerSnapshot container, string[] names, Sandbox sandbox)
    {
        AttachedNetworks attached = AttachedNetworks.None;
        string? gateway = DefaultRoute(container, names);
        try
        {
            foreach (string name in names)
            {
                attached = attached.With(name, StoredEndpoint.From(await AttachOneAsync(container, name, name == gateway, sandbox)));
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

    private async Task<EndpointInfo> AttachOneAsync(ContainerSnapshot container, string name, bool isDefaultRoute, Sandbox sandbox)
    {
        EndpointRequest request = new()
        {
            EndpointId = container.Id,
            Name = container.Name,
            MacAddress = MacAddress(container, name),
            Ports = isDefaultRoute ? PortSpecs.Requests(container.Config, container.HostConfig) : [],
            IsDefaultRoute = isDefaultRoute,
        };
        if (name == NamespaceModes.Bridge)
        {
            return await bridge.AttachAsync(request, sandbox, CancellationToken.None);
        }

        UserNetwork network = catalog.FindByName(name) ?? throw NetworkErrors.NotFound(name);
        string? address = container.RequestedEndpoints.GetValueOrDefault(name)?.IPAMConfig?.IPv4Address;
        request = request with { EndpointId = Identifiers.New(), Address = string.IsNullOrEmpty(address) ? null : IPAddress.Parse(address) };
        if (!network.TryUse(request.EndpointId))
        {
            throw NetworkErrors.NotFound(name);
        }

        try
        {
            EndpointInfo endpoint = await network.Driver.AttachAsync(request, sandbox, CancellationToken.None);
            network.Names.Set(endpoint.EndpointId, DnsNames(container, name), endpoint.Address);
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
            network.Names.Remove(endpointId);
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
    private async Task ResolveAsync(ContainerSnapshot container, AttachedNetworks attached, Sandbox sandbox)
    {
        ResolverZones zones = Zones(container, attached);
        if (_resolvers.TryGetValue(container.Id, out SandboxResolver? running))
        {
            running.Zones = zones;
        }
        else if (attached.Networks.Count > 0)
        {
            _resolvers[container.Id] = await resolvers.StartAsync(sandbox, zones, Upstreams(container), CancellationToken.None);
        }
    }

    private ResolverZones Zones(ContainerSnapshot container, AttachedNetworks attached)
    {
        string? first = DefaultRoute(container, attached.Names);
        Dictionary<string, string> aliases = new(StringComparer.OrdinalIgnoreCase);
        foreach (string link in attached.Networks.Keys.SelectMany(name => container.RequestedEndpoints.GetValueOrDefault(name)?.Links ?? []))
        {
            string[] parts = link.Split(':', 2);
            aliases[parts[^1]] = parts[0];
        }

        return new ResolverZones
        {
            Networks = [.. attached.Networks.Keys.OrderBy(name => name != first).Select(catalog.FindByName).OfType<UserNetwork>().Select(network => network.Names)],
            Aliases = aliases,
            Host = first is not null && attached.Find(first) is { Gateway.Length: > 0 } endpoint ? IPAddress.Parse(endpoint.Gateway) : null,
            Forwards = attached.Endpoint is not null || attached.Networks.Keys.Any(name => catalog.FindByName(name)?.Document.Internal == false),
        };
    }

    private static List<UpstreamServer> Upstreams(ContainerSnapshot container)
    {
        if (container.HostConfig.Dns is { Count: > 0 } own)
        {
            // The embedded server named as its own upstream would ask itself without end.
            return [.. from text in own
                       let address = IPAddress.TryParse(text, out IPAddress? parsed) ? parsed : null
                       where address is not null && !address.Equals(SandboxResolver.Address)
                       select new UpstreamServer(address, FromContainer: true)];
        }

        string hostFile = File.Exists(HostResolvConf) ? File.ReadAllText(HostResolvConf) : "";
        return [.. ContainerFiles.HostServers(hostFile).Select(address => new UpstreamServer(address, FromContainer: false))];
    }

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
