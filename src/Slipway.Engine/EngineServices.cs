using System.Net;
using Slipway.Engine.Builds.Steps;
using Slipway.Engine.Cluster;
using Slipway.Engine.Cluster.Networks;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Events;
using Slipway.Engine.Images.Registries;
using Slipway.Engine.Images.Sharing;
using Slipway.Engine.Networks;
using Slipway.Engine.Networks.Types;
using Slipway.Engine.Recovery;
using Slipway.Engine.Secrets;
using Slipway.Engine.Telemetry;
using Slipway.Engine.Users;
using Slipway.Engine.Volumes;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Users;
using Slipway.Networking;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Registry.Server;
using Slipway.Runtime.Confinement;
using Slipway.Runtime.Supervision;
using Slipway.Storage;
using Slipway.Storage.Ledger;

namespace Slipway.Engine;

/// <summary>The parts an engine is composed of, shared by the services of its objects.</summary>
internal sealed record EngineServices : IAsyncDisposable
{
    private const string DefaultCgroupParent = "slipway";
    private const string ProbeGroup = "probe";

    /// <summary>Replaced as a whole when the configuration is reloaded.</summary>
    public required EngineOptions Options { get; set; }

    public required TimeProvider Time { get; init; }

    public required IEngineLog Log { get; init; }

    public required DataRoot Data { get; init; }

    /// <summary>The client side of registries.</summary>
    public required ReloadableDistribution Distribution { get; init; }

    /// <summary>Engines that are asked for layers; null where none is configured.</summary>
    public required LayerPeers? Peers { get; init; }

    /// <summary>Serves this engine's layers to others; null where that is not configured.</summary>
    public required LayerShare? Share { get; init; }

    public required EventLog Events { get; init; }

    public required EngineMetrics Metrics { get; init; }

    public required VolumeService Volumes { get; init; }

    public required SecretService Secrets { get; init; }

    public required ContainerCgroups Cgroups { get; init; }

    public required SeccompCompiler Seccomp { get; init; }

    public required SupervisorLink Supervisor { get; init; }

    /// <summary>Containers that another runtime of the host runs.</summary>
    public ForeignRuntimes Foreign => field ??= new ForeignRuntimes(this);

    /// <summary>The processes of steps of builds.</summary>
    public StepProcesses Steps { get; } = new();

    /// <summary>The /dev/shm of containers that others may join.</summary>
    public required SharedMemory SharedMemory { get; init; }

    /// <summary>The driver of the default bridge; also makes the network namespaces of <c>--network none</c>.</summary>
    public required IDefaultNetwork Network { get; init; }

    /// <summary>What all networks share.</summary>
    public required NetworkHost NetworkHost { get; init; }

    /// <summary>The networks of users.</summary>
    public required NetworkCatalog Networks { get; init; }

    /// <summary>The networks that other engines have too; null for an engine that is in no cluster.</summary>
    public required ClusterNetworks? Cluster { get; init; }

    /// <summary>Makes the name servers of containers.</summary>
    public required ResolverHost Resolvers { get; init; }

    /// <summary>Connects containers to networks.</summary>
    public required ContainerNetworks ContainerNetworks { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Null for an engine without a bridge.</summary>
    public required NetworkInfo? Bridge { get; init; }

    /// <summary>Parent of the containers' cgroups.</summary>
    public required string CgroupParent { get; init; }

    /// <summary>The ids of containers that do not ask for the host's; null: they have the host's.</summary>
    public required IdMaps? Remap { get; init; }

    /// <summary>The limits this host can hold.</summary>
    public required ResourceSupport Limits { get; init; }

    public static async Task<EngineServices> OpenAsync(EngineOptions options, TimeProvider time, IEngineLog log, CancellationToken cancellationToken)
    {
        List<IAsyncDisposable> opened = [];
        try
        {
            IdMaps? remap = UserRemap.Resolve(options.UsernsRemap, options.UsernsAccounts);

            // The lock on the data root comes first: two engines must not touch the same things.
            DataRoot data = await DataRoot.OpenAsync(new DataRootOptions { Path = options.DataRoot, TimeProvider = time, SpareRetention = options.SpareRetention }, cancellationToken);
            opened.Add(data);
            Report(data.Repair, log);
            Task<ISupervisor> connecting = ConnectSupervisorAsync(options, time, cancellationToken);
            EventLog events = new(data.Events, time);
            opened.Add(events);
            EngineMetrics metrics = new(time);
            NetworkHost networkHost = new(options.DataRoot == EngineOptions.DefaultDataRoot ? "default" : Identifiers.Of(options.DataRoot)[..12], admission: options.PublishedPorts, report: (message, e) => log.Write(EngineLogLevel.Warning, message, e));
            opened.Add(networkHost);
            string host = HostIdentity(options);
            options = options with { AddressPools = AddressPoolSource.WithIpv6(options.AddressPools, host), BridgePools = AddressPoolSource.WithIpv6(options.BridgePools, host) };
            (IDefaultNetwork network, NetworkInfo? bridge) = await OpenNetworkAsync(options, time, networkHost, cancellationToken);
            opened.Add(network);
            ClusterNetworks? cluster = options.Cluster is null ? null
                : new ClusterNetworks(await ClusterNode.OpenAsync(options.Cluster, data.Values, log, time, cancellationToken), networkHost, log, time);
            if (cluster is not null)
            {
                opened.Add(cluster);
            }

            NetworkCatalog networks = await NetworkCatalog.OpenAsync(
                data.Networks, networkHost, TypesOf(networkHost, time, bridge, cluster), options, bridge, time, log, cancellationToken);
            opened.Add(networks);
            ResolverHost resolvers = new();
            opened.Add(resolvers);
            LayerShare? share = await ShareAsync(options, data, log, cancellationToken);
            if (share is not null)
            {
                opened.Add(share);
            }

            SupervisorLink supervisor = new(await connecting);
            string cgroupParent = CgroupParentOf(options);
            ContainerCgroups cgroups = new(CgroupHierarchy.Detect(), time, cgroupParent, options.SpareRetention);
            return new EngineServices
            {
                Options = options,
                Time = time,
                Log = log,
                Data = data,
                Distribution = new ReloadableDistribution(options.Registries, time),
                Peers = Peering(options, time),
                Share = share,
                Events = events,
                Metrics = metrics,
                Volumes = await VolumeService.OpenAsync(data, options.Plugins, events, time, log, cancellationToken),
                Secrets = SecretService.Open(options, events, time),
                Cgroups = cgroups,
                Seccomp = new SeccompCompiler(),
                Supervisor = supervisor,
                SharedMemory = new SharedMemory(options.ExecRoot),
                Network = network,
                NetworkHost = networkHost,
                Networks = networks,
                Cluster = cluster,
                Resolvers = resolvers,
                ContainerNetworks = new ContainerNetworks(network, bridge?.Ipv6 is not null, networkHost, networks, options.Defaults.HostGateways, new NameServers(resolvers, supervisor, log), metrics, log),
                StartedAt = time.GetUtcNow(),
                Bridge = bridge,
                CgroupParent = cgroupParent,
                Remap = remap,
                Limits = await ProbeLimitsAsync(cgroups, cgroupParent, time, cancellationToken),
            };
        }
        catch
        {
            opened.Reverse();
            foreach (IAsyncDisposable part in opened)
            {
                await part.DisposeAsync();
            }

            throw;
        }
    }

    /// <summary>What <c>host-gateway</c> stands for; empty for an engine without a bridge that was not told.</summary>
    public IReadOnlyList<IPAddress> HostGateways => Options.Defaults.HostGateways is { Count: > 0 } told ? told : [.. new[] { Bridge?.Ipv4?.Gateway, Bridge?.Ipv6?.Gateway }.OfType<IPAddress>()];

    public string ContainerDirectory(string id) => $"{Options.DataRoot}/containers/{id}";

    /// <summary>Of a container's own group, relative to the top of the hierarchies: below the engine's, or below the parent that it names.</summary>
    public string CgroupPath(ContainerSnapshot container) =>
        $"{(container.HostConfig.CgroupParent.Length > 0 ? container.HostConfig.CgroupParent.Trim('/') : CgroupParent)}/{container.Id}";

    /// <summary>Of a group below the engine's own.</summary>
    public string CgroupPath(string id) => $"{CgroupParent}/{id}";

    /// <summary>The id of a network; of one that always exists the same as long as the data root is.</summary>
    public string NetworkId(string name) => Networks.FindByName(name)?.Id ?? Identifiers.Of($"{Options.DataRoot}\n{name}");

    /// <summary>Connects to the supervisor, which is started where none runs.</summary>
    public Task<ISupervisor> ConnectSupervisorAsync(CancellationToken cancellationToken) => ConnectSupervisorAsync(Options, Time, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (Share is not null)
        {
            await Share.DisposeAsync();
        }

        if (Cluster is not null)
        {
            await Cluster.DisposeAsync();
        }

        await Supervisor.Current.DisposeAsync();
        await ContainerNetworks.DisposeAsync();
        await Resolvers.DisposeAsync();
        await Networks.DisposeAsync();
        await Network.DisposeAsync();
        await NetworkHost.DisposeAsync();
        await Events.DisposeAsync();
        Volumes.Dispose();
        Distribution.Dispose();
        Peers?.Dispose();
        Cgroups.Dispose();
        await Data.DisposeAsync();
    }

    private static LayerPeers? Peering(EngineOptions options, TimeProvider time)
    {
        try
        {
            return options.Peers.Peers.Count > 0 ? new LayerPeers(options.Peers, time) : null;
        }
        catch (FormatException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, error.Message, error);
        }
    }

    private static async Task<LayerShare?> ShareAsync(EngineOptions options, DataRoot data, IEngineLog log, CancellationToken cancellationToken)
    {
        if (options.Peers.Listen is null)
        {
            return null;
        }

        try
        {
            return await LayerShare.StartAsync(
                options.Peers,
                new StoredLayers(data.Images),
                error => log.Write(EngineLogLevel.Warning, "a layer could not be sent to another engine", error),
                cancellationToken);
        }
        catch (Exception error) when (error is FormatException or RegistryConfigurationException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"layers cannot be shared: {error.Message}", error);
        }
    }

    /// <summary>Tells what was found wrong in the data root: something other than an engine has been there.</summary>
    private static void Report(LedgerRepair repair, IEngineLog log)
    {
        foreach (string path in repair.Removed)
        {
            log.Write(EngineLogLevel.Warning, $"data root: removed {path}, which nothing names");
        }

        foreach (Digest image in repair.LostImages)
        {
            log.Write(EngineLogLevel.Warning, $"data root: removed image {image}, of which a layer is missing");
        }

        foreach (Digest image in repair.DamagedImages)
        {
            log.Write(EngineLogLevel.Warning, $"data root: a layer of image {image} is missing; containers that were made of it cannot start");
        }
    }

    /// <summary>Looks at what a container's group offers, in one that is made for it.</summary>
    private static async Task<ResourceSupport> ProbeLimitsAsync(ContainerCgroups cgroups, string parent, TimeProvider time, CancellationToken cancellationToken)
    {
        string path = $"{parent}/{ProbeGroup}";
        using (Cgroup? left = cgroups.TryOpen(path))
        {
            if (left is not null)
            {
                await left.DeleteAsync(time, cancellationToken);
            }
        }

        using Cgroup probe = cgroups.Create(path, resources: null);
        ResourceSupport limits = ResourceSupport.Probe(probe, cgroups.Root(parent).Controllers);
        await probe.DeleteAsync(time, cancellationToken);
        return limits;
    }

    private static async Task<ISupervisor> ConnectSupervisorAsync(EngineOptions options, TimeProvider time, CancellationToken cancellationToken) =>
        await SupervisorLauncher.ConnectOrStartAsync(
            new SupervisorOptions(options.ExecRoot, options.DataRoot) { Time = time }, [options.SupervisorExecutable, "supervisor"], cancellationToken);

    private static NetworkTypes TypesOf(NetworkHost host, TimeProvider time, NetworkInfo? bridge, ClusterNetworks? cluster) =>
        new(new BridgeType(host, time, bridge), new MacvlanType(host), new IpvlanType(host), new OverlayType(host, time, cluster));

    private static async Task<(IDefaultNetwork Driver, NetworkInfo? Bridge)> OpenNetworkAsync(
        EngineOptions options, TimeProvider time, NetworkHost host, CancellationToken cancellationToken)
    {
        if (options.Bridge == "none")
        {
            IsolatedNetwork isolated = new(options.SpareRetention, time);
            await isolated.StartAsync(cancellationToken);
            return (isolated, null);
        }

        BridgeNetwork network = new(BridgeOf(options), time, host);
        try
        {
            return (network, await network.EnsureAsync(cancellationToken));
        }
        catch
        {
            await network.DisposeAsync();
            throw;
        }
    }

    private static BridgeOptions BridgeOf(EngineOptions options)
    {
        BridgeOptions bridge = new()
        {
            BridgeName = options.Bridge, Mtu = options.Mtu, InterContainer = options.InterContainer, Antispoof = options.Antispoof, DefaultHostAddress = options.PublishAddress,
            AddressRange = options.FixedRange, DefaultGateway = options.DefaultGateway, Ipv6 = Ipv6Of(options), Masquerade = options.Masquerade, AddressPools = options.BridgePools,
            PoolRetention = options.SpareRetention,
        };
        if (options.BridgeAddress is not { } text)
        {
            return bridge;
        }

        string[] parts = text.Split('/');
        return parts.Length == 2 && IPAddress.TryParse(parts[0], out IPAddress? address) && int.TryParse(parts[1], out int length)
            ? bridge with { Address = (address, length) }
            : throw new EngineException(ErrorKind.InvalidParameter, $"invalid CIDR address: {text}");
    }

    /// <summary>
    /// IPv6 of the default network. Without an address of the bridge the range that containers get addresses from is the whole subnet, as in dockerd.
    /// </summary>
    private static Ipv6Options? Ipv6Of(EngineOptions options)
    {
        if (!options.Ipv6)
        {
            return null;
        }

        (IPAddress, int)? address = options.Ipv6BridgeAddress is { } own ? own
            : options.Ipv6FixedRange is { } range ? (DefaultSubnets.FirstAddress(range), range.PrefixLength) : null;
        return new Ipv6Options { Address = address, AddressRange = options.Ipv6FixedRange, DefaultGateway = options.Ipv6DefaultGateway };
    }

    /// <summary>What tells this host, and this engine, from others.</summary>
    private static string HostIdentity(EngineOptions options)
    {
        const string MachineId = "/etc/machine-id"; // machine-id(5)
        return $"{(File.Exists(MachineId) ? File.ReadAllText(MachineId).Trim() : Environment.MachineName)}\n{options.DataRoot}";
    }

    /// <summary>Engines beside the default one have a group of their own below the common parent.</summary>
    private static string CgroupParentOf(EngineOptions options) =>
        options.CgroupParent?.Trim('/')
        ?? (options.DataRoot == EngineOptions.DefaultDataRoot ? DefaultCgroupParent + "/default" : $"{DefaultCgroupParent}/{Identifiers.Of(options.DataRoot)[..12]}");
}
