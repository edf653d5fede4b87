using Slipway.Engine.Containers.Launch;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task<string> ExplainAsync(string reference, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);

        // A plan is made over the container's own directory, which one that is gone would get anew.
        RequireWhole(container, "explain");
        try
        {
            return await _launcher.ExplainAsync(container.Snapshot, upperInUse: container.Snapshot.State.IsLive || container.OfflineFiles.InUse);
        }
        catch (Exception exception)
        {
            LaunchFailure failure = LaunchFailure.From(exception);
            throw new EngineException(failure.Kind, failure.Message, failure);
        }
    }
}
