using Slipway.Api.Containers;
using Slipway.Engine.Builds;
using Slipway.Engine.Containers;
using Slipway.Engine.Daemon;
using Slipway.Engine.Disk;
using Slipway.Engine.Events;
using Slipway.Engine.Exec;
using Slipway.Engine.Images;
using Slipway.Engine.Images.Registries;
using Slipway.Engine.Networks;
using Slipway.Engine.Recovery;
using Slipway.Engine.Secrets;
using Slipway.Engine.Volumes;
using Slipway.Kernel.Cgroups;
using Slipway.Networking;
using Slipway.Runtime.Confinement;
using Slipway.Runtime.Supervision;
using Slipway.Storage;

namespace Slipway.Engine;

/// <summary>An engine on this host. Ending it, in whatever way, leaves its containers running; the next one adopts them.</summary>
public sealed class SlipwayEngine : IEngine
{
    private readonly EngineServices _services;
    private readonly ContainerService _containers;
    private readonly ExecService _execs;
    private readonly Supervision _supervision;
    private readonly DiskBudget? _budget;
    private readonly RegistryService _registries;
    private readonly BuildService _builds;
    private readonly DaemonParts _parts;
    private Task _warmUp = Task.CompletedTask;

    private SlipwayEngine(EngineServices services, ContainerService containers, ExecService execs, Supervision supervision)
    {
        _services = services;
        _containers = containers;
        _execs = execs;
        _supervision = supervision;
        ImageService images = new(services.Data.Images, services.Data.Ledger, services.Events, services.Metrics, services.Time, containers.UsersOf);
        Images = images;
        Networks = new NetworkService(services, containers);
        Disk = new DiskService(services.Options, services.Data, services.Volumes, containers, () => containers.Index.All.Select(container => container.Snapshot), end => Builds.CacheAsync(end));
        _budget = services.Options.DiskBudget is { } budget ? new DiskBudget(budget, services.Data.Images, services.Data.Ledger, services.Events, images, services.Time, services.Log) : null;
        _registries = new RegistryService(services.Data.Images, services.Distribution, services.Peers, services.Events, services.Metrics, services.Time, services.Options);
        _builds = new BuildService(services, containers, _registries);
        _parts = new DaemonParts
        {
            Options = services.Options,
            Time = services.Time,
            Id = services.NetworkId("engine")[..36],
            Containers = containers.Count,
            Images = () => services.Data.Images.All.Count,
            EventListeners = () => services.Events.SubscriberCount,
            Events = () => services.Events.PublishedCount,
            Metrics = services.Metrics,
            StartedAt = services.StartedAt,
            HostGateways = () => services.HostGateways,
            Limits = services.Limits,
            CgroupVersion = services.Cgroups.Hierarchy.Mode == CgroupMode.V2 ? 2 : 1,
        };
        Daemon = new DaemonService(_parts);
    }

    public IContainers Containers => _containers;

    public IExecs Execs => _execs;

    public IImages Images { get; }

    public IRegistries Registries => _registries;

    public IEvents Events => _services.Events;

    public IDaemon Daemon { get; }

    public IDisk Disk { get; }

    public IVolumes Volumes => _services.Volumes;

    public INetworks Networks { get; }

    public ISecrets Secrets => _services.Secrets;

    public IBuilds Builds => _builds;

    /// <summary>Opens the data root, connects to the supervisor (which is started where none runs), and recovers what an earlier engine left.</summary>
    /// <exception cref="EngineException">The host cannot run an engine so configured; the message says why.</exception>
    /// <exception cref="StorageException">Another engine uses the data root, or it is damaged.</exception>
    public static async Task<SlipwayEngine> StartAsync(EngineOptions options, TimeProvider time, IEngineLog log, CancellationToken cancellationToken)
    {
        EngineServices services = await EngineServices.OpenAsync(options, time, log, cancellationToken);
        try
        {
            ContainerService containers = new(services);
            ExecService execs = new(services, containers);
            Supervision supervision = new(services, containers, execs);
            await supervision.StartAsync(cancellationToken);
            await (services.Cluster?.StartAsync(services.Networks, cancellationToken) ?? Task.CompletedTask);
            SlipwayEngine engine = new(services, containers, execs, supervision);
            await containers.ResumeHealthChecksAsync(cancellationToken);
            await containers.ForwardLogsAsync();
            containers.StartByPolicy();
            engine._warmUp = engine.WarmUpAsync();
            engine._budget?.Start();
            return engine;
        }
        catch
        {
            await services.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Takes over what may be changed while the engine runs, as dockerd does: labels, registries, limits of transfers, runtimes, some defaults of containers, debugging. Tells it by
    /// the event <c>daemon reload</c>.
    /// </summary>
    /// <param name="options">All options; those that cannot be changed are not looked at.</param>
    /// <exception cref="FormatException">A value that cannot be meant; nothing is changed.</exception>
    public void Reload(EngineOptions options)
    {
        _services.Distribution.Reload(options.Registries);
        EngineOptions reloaded = _services.Options with
        {
            Debug = options.Debug,
            Labels = options.Labels,
            Registries = options.Registries,
            HttpProxy = options.HttpProxy,
            HttpsProxy = options.HttpsProxy,
            NoProxy = options.NoProxy,
            MaxConcurrentDownloads = options.MaxConcurrentDownloads,
            MaxConcurrentUploads = options.MaxConcurrentUploads,
            Runtimes = options.Runtimes,
            AuthorizationPlugins = options.AuthorizationPlugins,
            ShutdownTimeout = options.ShutdownTimeout,
            Features = options.Features,
            Defaults = _services.Options.Defaults with
            {
                Runtime = options.Defaults.Runtime,
                ShmSize = options.Defaults.ShmSize,
                IpcMode = options.Defaults.IpcMode,
                CgroupNamespace = options.Defaults.CgroupNamespace,
            },
        };
        _services.Options = reloaded;
        _registries.Options = reloaded;
        _parts.Options = reloaded;
        _services.Events.Publish("daemon", "reload", _parts.Id, ReloadEvent.Attributes(reloaded, _parts.CgroupVersion));
    }

    /// <summary>
    /// Ends the engine for good: containers are stopped, and the kernel is as before the first start (links, rules, control groups,
    /// the supervisor). Images, containers and volumes on disk stay.
    /// </summary>
    public async Task CleanUpAsync(CancellationToken cancellationToken)
    {
        await _warmUp;
        await Task.WhenAll(Containers.List(new ContainerListOptions()).Select(container => Containers.StopAsync(container.Id, timeoutSeconds: null, signal: null, cancellationToken)));
        await _builds.DisposeAsync();
        await EndBudgetAsync();
        await _containers.DisposeAsync();
        await _supervision.DisposeAsync();
        _registries.Dispose();
        await _services.Networks.CleanUpAsync(cancellationToken);
        await _services.Network.CleanupAsync(cancellationToken);
        await _services.Supervisor.Current.ShutdownAsync(cancellationToken);
        _services.Cgroups.RemoveRoot(_services.CgroupParent);
        await _services.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _warmUp;
        await _builds.DisposeAsync();
        await EndBudgetAsync();
        _registries.Dispose();
        await _containers.DisposeAsync();
        await _supervision.DisposeAsync();
        await _services.DisposeAsync();
    }

    private ValueTask EndBudgetAsync() => _budget?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task WarmUpAsync()
    {
        try
        {
            await _containers.WarmUpAsync();
        }
        catch (Exception exception)
        {
            // A host on which this fails will fail the first container too, which then says so to its client.
            _services.Log.Write(EngineLogLevel.Warning, $"warm-up: {exception.Message}");
        }
    }
}
