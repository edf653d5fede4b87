using Slipway.Api.Containers;
using Slipway.Engine.Containers.Checkpoints;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

/// <summary>Checkpoints, with CRIU: our own, and those of runtimes of the host (docs/checkpoints.md).</summary>
internal sealed partial class ContainerService
{
    private const string Checkpoints = "checkpoints";

    /// <summary>For a process whose end CRIU has brought about already.</summary>
    private static readonly TimeSpan s_checkpointedEnd = TimeSpan.FromSeconds(30);

    public async Task CheckpointAsync(string reference, CheckpointName checkpoint, bool leaveRunning, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        Task<ContainerWaitResponse> exited = container.Waits.Register(WaitCondition.NextExit, cancellationToken);
        using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
        {
            RequireCheckpointable(container.Snapshot);
            CheckpointDirectory checkpoints = CheckpointsOf(container.Snapshot, checkpoint);
            string path = checkpoints.Create(checkpoint.Name);

            // A probe would be a process that the checkpoint cannot hold; and what is ended on purpose is not restarted.
            await EndHealthWatchHeldAsync(container);
            container.StopRequested = !leaveRunning;
            if (await WriteCheckpointAsync(container.Snapshot, path, leaveRunning) is { } problem)
            {
                container.StopRequested = false;
                checkpoints.Remove(checkpoint.Name);
                WatchHealthHeld(container);
                throw new EngineException(ErrorKind.System, $"Cannot checkpoint container {container.Snapshot.Name}: {problem}");
            }

            _events.Publish(container.Snapshot, "checkpoint");
            if (leaveRunning)
            {
                WatchHealthHeld(container);
                return;
            }
        }

        if (!await EndsWithinAsync(exited, s_checkpointedEnd, cancellationToken))
        {
            throw new EngineException(ErrorKind.System, $"container {container.Snapshot.Name} was checkpointed and does not end");
        }
    }

    public IReadOnlyList<string> ListCheckpoints(string reference, string? directory) =>
        CheckpointsOf(_index.Resolve(reference).Snapshot, new CheckpointName("", directory)).List();

    public async Task RemoveCheckpointAsync(string reference, CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        CheckpointsOf(container.Snapshot, checkpoint).Remove(checkpoint.Name);
    }

    private Task<string?> WriteCheckpointAsync(ContainerSnapshot container, string path, bool leaveRunning) => ForeignRuntimes.IsForeign(container.HostConfig)
        ? _services.Foreign.CheckpointAsync(container, path, leaveRunning)
        : OwnCheckpoints.CreateAsync(container, path, leaveRunning, CancellationToken.None);

    private void RequireCheckpointable(ContainerSnapshot container)
    {
        if (container.State.Phase == ContainerPhase.Paused)
        {
            throw ContainerErrors.IsPaused(container.Id, "checkpoint");
        }

        if (!container.State.IsLive)
        {
            throw ContainerErrors.NotRunning(container.Id);
        }

        RequireCheckpoints(container);
    }

    /// <exception cref="EngineException">InvalidParameter: no checkpoint can be made of such a container, or be gone on from.</exception>
    private void RequireCheckpoints(ContainerSnapshot container)
    {
        if (container.Config.Tty)
        {
            throw ContainerErrors.Invalid($"cannot checkpoint container {container.Name}: it has a terminal");
        }

        if (!ForeignRuntimes.IsForeign(container.HostConfig))
        {
            new OwnCheckpoints(_services).Require(container);
        }
    }

    private CheckpointDirectory CheckpointsOf(ContainerSnapshot container, CheckpointName checkpoint) =>
        CheckpointDirectory.Of(container.Name, $"{_services.ContainerDirectory(container.Id)}/{Checkpoints}", checkpoint.Directory);

    /// <summary>The path of what a start goes on from; null: it starts from the beginning.</summary>
    private string? CheckpointPath(ContainerSnapshot container, CheckpointName? checkpoint)
    {
        if (checkpoint is null)
        {
            return null;
        }

        RequireCheckpoints(container);
        return CheckpointsOf(container, checkpoint).Find(checkpoint.Name);
    }
}
