using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public ContainerWait Wait(string reference, WaitCondition condition, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);

        if (condition != WaitCondition.NotRunning)
        {
            return new ContainerWait(container.Waits.Register(condition, cancellationToken));
        }

        // Registered before the state is looked at, so that an end between the two is not missed.
        CancellationTokenSource unused = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<ContainerWaitResponse> exit = container.Waits.Register(condition, unused.Token);
        RunState state = container.Snapshot.State;
        if (state.IsRunning)
        {
            return new ContainerWait(exit);
        }

        unused.Cancel();
        unused.Dispose();
        return new ContainerWait(Task.FromResult(new ContainerWaitResponse(state.ExitCode)));
    }
}
