using Slipway.Engine.Containers.Copy;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Logging;
using Slipway.Engine.Networks;
using Slipway.Engine.Networks.Types;
using Slipway.Engine.Telemetry;
using Slipway.Oci;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task StartAsync(string reference, CheckpointName? checkpoint, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        if (!container.Snapshot.State.IsRunning)
        {
            await FulfilRequirementsAsync(container, cancellationToken);
        }

        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        RunState state = container.Snapshot.State;
        switch (state.Phase)
        {
            case ContainerPhase.Paused:
                throw new EngineException(ErrorKind.Conflict, "cannot start a paused container, try unpause instead");
            case ContainerPhase.Running or ContainerPhase.Restarting:
                throw new EngineException(ErrorKind.NotModified, $"container {container.Id} is already running");
            case ContainerPhase.Removing or ContainerPhase.Dead:
                throw new EngineException(ErrorKind.Conflict, "container is marked for removal and cannot be started");
        }

        string? checkpointPath = CheckpointPath(container.Snapshot, checkpoint);
        container.RestartDelay = default;
        container.Publish(state with { RestartCount = 0, StoppedByUser = false });
        await StartHeldAsync(container, checkpointPath);
    }

    /// <summary>Starts a container whose lock is held. A start that fails leaves nothing behind but its reason in the state.</summary>
    /// <param name="checkpoint">The directory of what it goes on from; null: it starts from the beginning.</param>
    private async Task StartHeldAsync(Container container, string? checkpoint = null)
    {
        long begin = _services.Metrics.Begin();
        container.StopRequested = false;
        container.EndedAsUnhealthy = false;
        LaunchedContainer launched;
        ILogSink? sink = null;
        await container.OfflineFiles.EndAsync(_services.Time, OfflineFiles.Patience);
        try
        {
            sink = await _forwarding.ConnectAsync(container.Snapshot);
            launched = await _launcher.LaunchAsync(container.Snapshot, container.Streams.Take(), checkpoint);
        }
        catch (Exception exception)
        {
            await (sink?.DisposeAsync() ?? ValueTask.CompletedTask);
            throw await FailStartAsync(container, LaunchFailure.From(exception));
        }

        container.Pidfd = launched.Process.Pidfd;
        container.Publish(container.Snapshot.State with
        {
            Phase = ContainerPhase.Running,
            Pid = launched.Process.Pid,
            ExitCode = 0,
            OomKilled = false,
            Error = "",
            StartedAt = launched.Process.StartedAt,
            FinishedAt = container.Snapshot.State.FinishedAt,
            Attached = launched.Networks,
            Health = HealthPolicy.Of(container.Snapshot.Config) is null ? null : HealthState.Starting(container.Snapshot.State.Health),
        });
        try
        {
            await StoreStateAsync(container);
        }
        catch (Exception exception)
        {
            // What is not recorded must not run: the next engine would not know it.
            await (sink?.DisposeAsync() ?? ValueTask.CompletedTask);
            await EndProcessesAsync(container);
            await ReleaseAsync(container);
            throw await FailStartAsync(container, LaunchFailure.From(exception));
        }

        await _forwarding.StartAsync(container, sink);
        _links.Announce(container.Snapshot);
        PublishNetworks(container.Snapshot, "connect");

        if (Digest.TryParse(container.Snapshot.ImageId, out Digest image))
        {
            _services.Data.Ledger.Touch(image);
        }

        _events.Publish(container.Snapshot, "start");
        if (!container.Snapshot.IsWarmUp)
        {
            _services.Metrics.Done(ContainerAction.Start, begin);
        }

        WatchHealthHeld(container);
    }

    /// <summary>Records why a start failed, as Docker does; a container that would remove itself does.</summary>
    private async Task<EngineException> FailStartAsync(Container container, LaunchFailure failure)
    {
        container.Streams.Close();
        container.Pidfd?.Dispose();
        container.Pidfd = null;
        RunState before = container.Snapshot.State;
        container.Publish(before with
        {
            Phase = before.StartedAt is null ? ContainerPhase.Created : ContainerPhase.Exited,
            Pid = 0,
            ExitCode = failure.ExitCode,
            Error = failure.Message,
            Attached = AttachedNetworks.None,
        });
        if (container.Snapshot.HostConfig.AutoRemove)
        {
            await RemoveHeldAsync(container, removeVolumes: true);
        }
        else
        {
            await StoreStateAsync(container);
            container.Waits.Exited(failure.ExitCode);
        }

        return new EngineException(failure.Kind, failure.Message, failure);
    }

    /// <summary>A container in the namespace of another is on no network itself.</summary>
    private void PublishNetworks(ContainerSnapshot container, string action)
    {
        foreach (string name in container.RequestedEndpoints.Keys)
        {
            PublishNetwork(container, action, name);
        }
    }

    private void PublishNetwork(ContainerSnapshot container, string action, string name)
    {
        string driver = name switch
        {
            NamespaceModes.None => NetworkTypes.Null,
            NamespaceModes.Host => NetworkTypes.Host,
            _ => _services.Networks.FindByName(name)?.Document.Driver ?? NetworkTypes.Bridge,
        };
        _events.Network(container, action, _services.NetworkId(name), name, driver);
    }
}
