using Slipway.Api;
using Slipway.Api.Disk;
using Slipway.Api.Networks;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Networks.Types;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>Networks as the API has them: those that always are, those of users, and the containers on them.</summary>
internal sealed class NetworkService(EngineServices services, ContainerService containers) : INetworks
{
    private readonly PruneGate _pruning = new();

    public List<Network> List(Filters filters)
    {
        NetworkFilter filter = new(filters, IsUsed);
        return [.. All().Where(filter.Includes).OrderBy(network => network.Name, StringComparer.Ordinal)];
    }

    public Network Inspect(string reference)
    {
        Network network = Find(reference);
        network.Containers = containers.Index.All
            .Select(container => container.Snapshot)
            .Where(container => container.State.IsLive)
            .Select(container => (container.Id, Place: Place(container, network.Name)))
            .Where(entry => entry.Place is not null)
            .ToDictionary(entry => entry.Id, entry => entry.Place!);
        network.Peers = services.Networks.Find(network.Id)?.Type.Shared?.Hosts;
        return network;
    }

    public async Task<NetworkCreateResponse> CreateAsync(NetworkCreateRequest request, CancellationToken cancellationToken)
    {
        UserNetwork network = await services.Networks.CreateAsync(request, cancellationToken);
        Publish(network, "create");
        return new NetworkCreateResponse(network.Id, "");
    }

    public async Task RemoveAsync(string reference, CancellationToken cancellationToken)
    {
        UserNetwork? network = services.Networks.Find(reference);
        if (network is null)
        {
            string name = Find(reference).Name;
            throw new EngineException(ErrorKind.Forbidden, $"{name} is a pre-defined network and cannot be removed");
        }

        await services.Networks.RemoveAsync(network);
        Publish(network, "destroy");
    }

    public Task<NetworksPruneReport> PruneAsync(Filters filters, CancellationToken cancellationToken)
    {
        PruneFilter filter = new(filters, services.Time);
        return _pruning.RunAsync(async () =>
        {
            List<string> deleted = [];
            foreach (UserNetwork network in services.Networks.All.Where(network => filter.Includes(network.Created, network.Document.Labels)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                try
                {
                    // A network that a stopped container is to have is in use too: it would not start any more.
                    if (!IsUsed(network.Name))
                    {
                        await services.Networks.RemoveAsync(network);
                        Publish(network, "destroy");
                        deleted.Add(network.Name);
                    }
                }
                catch (EngineException exception) when (exception.Kind == ErrorKind.Forbidden)
                {
                    continue; // a container came meanwhile
                }
            }

            services.Events.Publish("network", "prune", "", new Dictionary<string, string> { ["reclaimed"] = "0" });
            return new NetworksPruneReport(deleted.Count > 0 ? deleted : null);
        });
    }

    public async Task ConnectAsync(string reference, NetworkConnectRequest request, CancellationToken cancellationToken) =>
        await containers.ConnectAsync(request.Container, Find(reference).Name, request.EndpointConfig, cancellationToken);

    public async Task DisconnectAsync(string reference, NetworkDisconnectRequest request, CancellationToken cancellationToken) =>
        await containers.DisconnectAsync(request.Container, Find(reference).Name, request.Force, cancellationToken);

    private bool IsUsed(string network) => containers.Index.All.Any(container => container.Snapshot.RequestedEndpoints.ContainsKey(network));

    private IEnumerable<Network> All() => services.Networks.All.Select(Describe).Concat(Predefined());

    /// <exception cref="EngineException">NotFound.</exception>
    private Network Find(string reference) =>
        services.Networks.Find(reference) is { } own ? Describe(own)
        : Predefined().FirstOrDefault(network => network.Name == reference || (reference.Length > 0 && network.Id.StartsWith(reference, StringComparison.Ordinal)))
            ?? throw NetworkErrors.NotFound(reference);

    private IEnumerable<Network> Predefined()
    {
        if (services.Bridge is { } bridge)
        {
            yield return Predefined(NamespaceModes.Bridge, NetworkTypes.Bridge) with
            {
                EnableIPv6 = bridge.Ipv6 is not null,
                IPAM = new IPAM { Config = [.. Config(bridge.Ipv4, services.Options.FixedRange), .. Config(bridge.Ipv6, services.Options.Ipv6FixedRange)] },
                Options = new()
                {
                    ["com.docker.network.bridge.default_bridge"] = "true",
                    [BridgeSettings.InterContainerOption] = services.Options.InterContainer ? "true" : "false",
                    [BridgeSettings.MasqueradeOption] = services.Options.Masquerade ? "true" : "false",
                    [BridgeSettings.HostAddressOption] = services.Options.PublishAddress?.ToString() ?? "0.0.0.0",
                    [BridgeSettings.NameOption] = bridge.BridgeName,
                    [BridgeSettings.MtuOption] = $"{bridge.Mtu}",
                },
            };
        }

        yield return Predefined(NamespaceModes.Host, NetworkTypes.Host);
        yield return Predefined(NamespaceModes.None, NetworkTypes.Null);
    }

    private static IEnumerable<IPAMConfig> Config(SubnetInfo? subnet, System.Net.IPNetwork? range) => subnet is null ? []
        : [new IPAMConfig { Subnet = subnet.Network.ToString(), Gateway = subnet.Gateway.ToString(), IPRange = range?.ToString() }];

    private Network Predefined(string name, string driver) => new()
    {
        Name = name,
        Id = services.NetworkId(name),
        Created = Rfc3339.Format(services.StartedAt),
        Driver = driver,
        IPAM = new IPAM(),
    };

    private static Network Describe(UserNetwork network) => new()
    {
        Name = network.Name,
        Id = network.Id,
        Created = Rfc3339.Format(network.Created),
        Driver = network.Document.Driver,
        Scope = network.Type.Shared is null ? "local" : "swarm",
        EnableIPv4 = network.Document.Ipv4 is not null,
        EnableIPv6 = network.Document.Ipv6 is not null,
        IPAM = network.Document.ToIpam(),
        Internal = network.Document.Internal,
        Attachable = network.Document.Attachable,
        Options = new(network.Document.Options),
        Labels = new(network.Document.Labels),
    };

    private static NetworkContainer? Place(ContainerSnapshot container, string network)
    {
        if (container.State.Attached.Find(network) is { } endpoint)
        {
            return new NetworkContainer(container.Name, endpoint.EndpointId, endpoint.MacAddress, Cidr(endpoint.Address, endpoint.PrefixLength), Cidr(endpoint.Ipv6Address, endpoint.Ipv6PrefixLength));
        }

        // Containers on host and none have a place there, but no address.
        return network is NamespaceModes.Host or NamespaceModes.None && container.RequestedEndpoints.ContainsKey(network)
            ? new NetworkContainer(container.Name, container.Id, "", "", "")
            : null;
    }

    private static string Cidr(string? address, int prefixLength) => string.IsNullOrEmpty(address) ? "" : $"{address}/{prefixLength}";

    private void Publish(UserNetwork network, string action) =>
        services.Events.Publish("network", action, network.Id, new Dictionary<string, string> { ["name"] = network.Name, ["type"] = network.Document.Driver });
}
