using System.Globalization;
using Slipway.Api.Disk;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    private readonly PruneGate _pruning = new();

    public Task<ContainersPruneReport> PruneAsync(Filters filters, CancellationToken cancellationToken)
    {
        PruneFilter filter = new(filters, _services.Time);
        return _pruning.RunAsync(async () =>
        {
            List<string> deleted = [];
            long reclaimed = 0;
            foreach (Container container in _index.All)
            {
                ContainerSnapshot snapshot = container.Snapshot;
                if (snapshot.State.IsRunning || snapshot.State.Phase == ContainerPhase.Removing || !filter.Includes(snapshot.Created, snapshot.Config.Labels))
                {
                    continue;
                }

                cancellationToken.ThrowIfCancellationRequested();
                long size = _services.Data.Snapshots.UpperSize(container.Id);
                try
                {
                    await RemoveAsync(container.Id, new ContainerRemoveOptions(), cancellationToken);
                }
                catch (EngineException exception) when (exception.Kind is ErrorKind.Conflict or ErrorKind.NotFound)
                {
                    // Started, or removed by somebody else, since it was looked at.
                    continue;
                }

                deleted.Add(container.Id);
                reclaimed += size;
            }

            _services.Events.Publish("container", "prune", "", new Dictionary<string, string> { ["reclaimed"] = reclaimed.ToString(CultureInfo.InvariantCulture) });
            return new ContainersPruneReport(deleted.Count > 0 ? deleted : null, reclaimed);
        });
    }
}
