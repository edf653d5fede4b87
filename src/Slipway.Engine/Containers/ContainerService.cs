using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.Links;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Daemon;
using Slipway.Engine.Logging;
using Slipway.Oci;
using Slipway.Runtime.Supervision;
using Slipway.Storage;
using Slipway.Storage.Images;

namespace Slipway.Engine.Containers;

/// <summary>
/// The containers of an engine. Each has a lock of its own: nothing one container waits for holds up another, and no reader
/// waits at all. The parts of this class are one subject each.
/// </summary>
internal sealed partial class ContainerService : IContainers, IAsyncDisposable
{
    private readonly EngineServices _services;
    private readonly ContainerIndex _index;
    private readonly ContainerLauncher _launcher;
    private readonly ContainerEvents _events;
    private readonly LogForwarding _forwarding;
    private readonly ContainerLinks _links;
    private readonly HostCpus _host = HostCpus.Read();
    private readonly CancellationTokenSource _stopping = new();

    public ContainerService(EngineServices services)
    {
        _services = services;
        _index = new ContainerIndex();
        _events = new ContainerEvents(services.Events);
        _links = new ContainerLinks(services, _index);
        _launcher = new ContainerLauncher(services, _index, _links);
        _forwarding = new LogForwarding(services);
        services.Secrets.UsersOf = secret => [.. _index.All.Select(container => container.Snapshot)
            .Where(container => container.HostConfig.Secrets?.Any(reference => reference.SecretID == secret) == true).Select(container => container.Name)];
        services.Volumes.PauseUsers = PauseForCopyAsync;
    }

    /// <summary>The containers made from an image.</summary>
    public IReadOnlyList<ImageUse> UsersOf(Digest image)
    {
        string id = image.ToString();
        return [.. _index.All.Select(container => container.Snapshot)
            .Where(container => container.ImageId == id || container.Mounts.Any(mount => mount.ImageId == id))
            .Select(container => new ImageUse(container.Id, container.State.IsRunning))];
    }

    /// <summary>How many containers are in which state.</summary>
    public ContainerCounts Count()
    {
        int running = 0, paused = 0, stopped = 0;
        foreach (Container container in _index.All)
        {
            switch (container.Snapshot.State.Phase)
            {
                case ContainerPhase.Paused:
                    paused++;
                    break;
                case ContainerPhase.Running or ContainerPhase.Restarting:
                    running++;
                    break;
                default:
                    stopped++;
                    break;
            }
        }

        return new ContainerCounts(running, paused, stopped);
    }

    internal ContainerIndex Index => _index;

    internal ContainerEvents Events => _events;

    internal ContainerLinks Links => _links;

    private ISupervisor Supervisor => _services.Supervisor.Current;

    private DateTimeOffset Now => _services.Time.GetUtcNow();

    /// <summary>Ends what is pending, such as restarts that wait; containers run on.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_index.All.Select(container => container.HealthWatch?.Ended ?? Task.CompletedTask));
        _stopping.Dispose();
        await _forwarding.DisposeAsync();
    }

    private Task StoreStateAsync(Container container) =>
        _services.Data.Containers.UpdateStateAsync(container.Id, ContainerDocuments.Serialize(container.Snapshot.State), CancellationToken.None);

    /// <summary>Runs storage work and gives its errors the engine's form.</summary>
    private static async Task<T> TranslateAsync<T>(Task<T> work)
    {
        try
        {
            return await work;
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }
    }
}
