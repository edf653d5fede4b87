using Slipway.Engine.Containers.Launch;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task<string> ExplainAsync(string reference, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        if (container.Snapshot.State.IsLive)
        {
            // Mounting the same upper directory a second time would be undefined (overlayfs.rst, "Sharing and copying layers").
            throw new EngineException(ErrorKind.Conflict, $"container {container.Snapshot.Name} is running: stop it to have its plan explained");
        }

        try
        {
            return await Task.Run(() => _launcher.Explain(container.Snapshot), cancellationToken);
        }
        catch (Exception exception)
        {
            LaunchFailure failure = LaunchFailure.From(exception);
            throw new EngineException(failure.Kind, failure.Message, failure);
        }
    }
}
