using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Top;
using Slipway.Kernel.Cgroups;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task<ContainerTop> TopAsync(string reference, string psArguments, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        ContainerSnapshot snapshot = container.Snapshot;
        if (snapshot.State.Phase == ContainerPhase.Restarting)
        {
            throw ContainerErrors.IsRestarting(container.Id);
        }

        if (!snapshot.State.IsLive)
        {
            throw ContainerErrors.NotRunning(container.Id);
        }

        IReadOnlyList<int> pids;
        using (Cgroup group = OpenGroup(container))
        {
            pids = group.ProcessIds();
        }

        string arguments = psArguments.Trim();
        ContainerTop top = arguments is "" or "-ef" or "ef" ? new ProcessTable(_services.Time).Read(pids) : await HostPs.RunAsync(arguments, pids, cancellationToken);
        _events.Publish(snapshot, "top");
        return top;
    }
}
