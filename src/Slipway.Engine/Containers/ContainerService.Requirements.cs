using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.Requirements;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

/// <summary>
/// <c>--requires</c>: whatever starts a container (a client, its restart policy, the start of the engine) first starts what it requires, and waits
/// until that runs or is healthy. No lock is held meanwhile, so that any of them can be stopped or removed.
/// </summary>
internal sealed partial class ContainerService
{
    /// <summary>At creation: what is required exists, and can be what is asked of it.</summary>
    /// <param name="name">Of the new container; null where it is chosen.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    private void ValidateRequirements(Api.Containers.HostConfig hostConfig, string? name)
    {
        foreach (Requirement requirement in Requirement.Of(hostConfig))
        {
            ContainerSnapshot required;
            try
            {
                required = _index.Resolve(requirement.Name).Snapshot;
            }
            catch (EngineException exception)
            {
                // Any 404 of a creation means to the docker CLI that the image is missing.
                throw ContainerErrors.Invalid($"invalid requirement: {exception.Message}");
            }

            RequireHealthCheck(requirement, required);
            if (name is not null)
            {
                FindCycle([name], required);
            }
        }
    }

    /// <summary>Starts what the container requires, and waits for it.</summary>
    /// <exception cref="EngineException">Conflict: something required does not exist, cannot be started, ended, or is unhealthy; or containers require each other.</exception>
    private async Task FulfilRequirementsAsync(Container container, CancellationToken cancellationToken)
    {
        if (container.Snapshot.HostConfig.Requires is not { Count: > 0 })
        {
            return;
        }

        FindCycle([], container.Snapshot);
        foreach (Requirement requirement in Requirement.Of(container.Snapshot.HostConfig))
        {
            try
            {
                await FulfilAsync(requirement, cancellationToken);
            }
            catch (EngineException exception)
            {
                throw new EngineException(ErrorKind.Conflict, $"container {container.Snapshot.Name} requires {requirement.Name}: {exception.Message}", exception);
            }
        }
    }

    private async Task FulfilAsync(Requirement requirement, CancellationToken cancellationToken)
    {
        Container required = _index.Resolve(requirement.Name);
        RequireHealthCheck(requirement, required.Snapshot);
        if (!required.Snapshot.State.IsRunning)
        {
            try
            {
                await StartAsync(required.Id, checkpoint: null, cancellationToken);
            }
            catch (EngineException exception) when (exception.Kind == ErrorKind.NotModified)
            {
                // Somebody else has started it meanwhile.
            }
        }

        while (true)
        {
            Task changed = required.Changed;
            RunState state = required.Snapshot.State;
            switch (state)
            {
                case { Phase: ContainerPhase.Running, Health: var health } when !requirement.Healthy || health?.Status == HealthStatus.Healthy:
                    return;
                case { Phase: ContainerPhase.Running, Health: { Status: HealthStatus.Unhealthy } failed } when failed.FailingStreak >= HealthPolicy.Of(required.Snapshot.Config)?.Retries:
                    throw new EngineException(ErrorKind.Conflict, "it is unhealthy");
                case { Phase: ContainerPhase.Running or ContainerPhase.Restarting }:
                    break;
                case { Phase: ContainerPhase.Paused }:
                    throw new EngineException(ErrorKind.Conflict, "it is paused");
                case { Error.Length: > 0 }:
                    throw new EngineException(ErrorKind.Conflict, $"it could not be started: {state.Error}");
                default:
                    throw new EngineException(ErrorKind.Conflict, $"it ended with exit code {state.ExitCode}");
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    private static void RequireHealthCheck(Requirement requirement, ContainerSnapshot required)
    {
        if (requirement.Healthy && HealthPolicy.Of(required.Config) is null)
        {
            throw ContainerErrors.Invalid($"container {required.Name} is required to be healthy but has no health check");
        }
    }

    /// <summary>Follows the requirements of a container; those that lead back to it could never all be fulfilled.</summary>
    /// <param name="path">The names that led here.</param>
    private void FindCycle(List<string> path, ContainerSnapshot container)
    {
        if (path.Contains(container.Name))
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"containers require each other: {string.Join(" -> ", path.Append(container.Name))}");
        }

        path.Add(container.Name);
        foreach (Requirement requirement in Requirement.Of(container.HostConfig))
        {
            if (path.Count > 1 && requirement.Name == path[0])
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"containers require each other: {string.Join(" -> ", path.Append(requirement.Name))}");
            }

            if (_index.TryResolve(requirement.Name)?.Snapshot is { } next)
            {
                FindCycle(path, next);
            }
        }

        path.RemoveAt(path.Count - 1);
    }

    /// <summary>A restart by policy that found its requirements unfulfilled waits for the next time, like one of a container that keeps ending.</summary>
    private async Task PostponeRestartAsync(Container container, CancellationTokenSource pending, EngineException reason)
    {
        _services.Log.Write(EngineLogLevel.Warning, $"restart of container {container.Snapshot.Name} waits: {reason.Message}");
        using AsyncLock.Holder holder = await container.LockAsync(pending.Token);
        if (container.Snapshot.State.Phase == ContainerPhase.Restarting && container.PendingRestart == pending)
        {
            container.Publish(container.Snapshot.State with { Error = reason.Message });
            await StoreStateAsync(container);
            ScheduleRestart(container, TimeSpan.Zero);
        }
    }
}
