using System.Text.Json;
using Slipway.Engine.Containers.State;
using Slipway.Storage.State;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    /// <summary>Reads the containers of the database.</summary>
    internal async Task LoadAsync(CancellationToken cancellationToken)
    {
        foreach (ContainerRow row in await _services.Data.Containers.AllAsync(cancellationToken))
        {
            if (row.ImageId.Length == 0)
            {
                // The warm-up of an engine that was killed meanwhile.
                await _services.Data.Containers.DeleteAsync(row.Id, cancellationToken);
                continue;
            }

            ContainerSnapshot snapshot;
            try
            {
                snapshot = ContainerDocuments.FromRow(row);
            }
            catch (JsonException exception)
            {
                throw new EngineException(ErrorKind.System, $"container {row.Id} in the state database cannot be read: {exception.Message}", exception);
            }

            _index.Reserve(snapshot.Name, snapshot.Id);
            _index.Add(new Container(snapshot));
            _services.Volumes.Refer(snapshot.Mounts, snapshot.Id);
        }
    }

    /// <summary>Goes on delivering the output of containers with remote log drivers, also of those that ended while no engine ran.</summary>
    internal async Task ForwardLogsAsync()
    {
        foreach (Container container in _index.All.Where(container => container.Snapshot.State.StartedAt is not null))
        {
            await _forwarding.StartAsync(container, sink: null);
        }
    }

    /// <summary>Starts, in the background, the containers whose restart policy wants them to run.</summary>
    internal void StartByPolicy()
    {
        foreach (Container container in _index.All)
        {
            RunState state = container.Snapshot.State;
            bool interrupted = state.Phase == ContainerPhase.Restarting && container.PendingRestart is null;
            if (interrupted || (state.Phase == ContainerPhase.Exited && RestartDecision.ShouldStartWithEngine(container.Snapshot.HostConfig.RestartPolicy, state)))
            {
                container.Publish(state with { Phase = ContainerPhase.Restarting });
                ScheduleRestart(container, TimeSpan.Zero);
            }
        }
    }
}
