using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Telemetry;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Process;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    /// <summary>Records the end of a container's init process.</summary>
    /// <param name="acknowledge">
    /// Lets the supervisor forget the exit; called once it is stored, before the container can be started again, whose next exit has the same id.
    /// </param>
    internal async Task HandleExitAsync(ProcessExit exit, Func<Task> acknowledge)
    {
        if (_index.Find(exit.Id) is not { } container)
        {
            await acknowledge();
            return;
        }

        using AsyncLock.Holder holder = await container.LockAsync(CancellationToken.None);

        // A start that failed after the launch has already ended the process and undone everything; and a report that comes
        // twice, over two connections, must not end the next run: the process of this one no longer exists.
        if (container is { Snapshot.State.IsLive: true, Pidfd: { } pidfd } && !Pidfd.SendSignal(pidfd, 0))
        {
            await EndHeldAsync(container, exit.ExitCode, exit.ExitedAt);
        }

        await acknowledge();
    }

    /// <summary>Everything that follows the end of a container: resources, events, state, restart or removal, and those who wait.</summary>
    internal async Task EndHeldAsync(Container container, int exitCode, DateTimeOffset at)
    {
        await EndHealthWatchHeldAsync(container);
        ContainerSnapshot ended = container.Snapshot;
        bool oomKilled = await ReleaseAsync(container);
        PublishNetworks(ended, "disconnect");

        if (oomKilled)
        {
            _events.Publish(ended, "oom");
        }

        TimeSpan ran = at - (ended.State.StartedAt ?? at);
        _events.Died(ended, exitCode, ran);
        RunState state = ended.State.Exited(exitCode, oomKilled, at);
        if (ended.HostConfig.AutoRemove && !container.KeepOnExit)
        {
            container.Publish(state);
            container.Waits.Exited(exitCode);
            await RemoveHeldAsync(container, removeVolumes: true);
            return;
        }

        bool restart = !container.StopRequested && (IsToRestartAsUnhealthy(ended) || RestartDecision.ShouldRestart(ended.HostConfig.RestartPolicy, state));
        container.Publish(restart ? state with { Phase = ContainerPhase.Restarting, RestartCount = state.RestartCount + 1 } : state);
        await StoreStateAsync(container);
        container.Waits.Exited(exitCode);
        if (restart)
        {
            ScheduleRestart(container, ran);
        }
    }

    /// <summary>
    /// Gives back what a container that ended held in the kernel: its cgroups, with whatever process is left in them, its network
    /// endpoint, its descriptors. True where the kernel killed one of its processes for memory.
    /// </summary>
    private async Task<bool> ReleaseAsync(Container container)
    {
        container.Pidfd?.Dispose();
        container.Pidfd = null;
        long begin = _services.Metrics.Begin();
        bool bundled = _services.Foreign.BundleOf(container.Id).ReadPid(execId: null) is not null || ForeignRuntimes.IsForeign(container.Snapshot.HostConfig);
        Task detached = _services.ContainerNetworks.DetachAsync(container.Id, container.Snapshot.State.Attached);
        bool oomKilled = false;
        using (Cgroup? group = _services.Cgroups.TryOpen(_services.CgroupPath(container.Snapshot)))
        {
            if (group is not null)
            {
                oomKilled = group.OomKills() > 0;

                // With the host's pid namespace the end of the first process does not end the others; nor does that of a runtime's process, or of a relay.
                if (container.Snapshot.HostConfig.PidMode.Length > 0 || bundled)
                {
                    await group.KillAsync(_services.Time, CancellationToken.None);
                }

                await group.DeleteAsync(_services.Time, CancellationToken.None);
            }
        }

        await detached;
        if (!container.Snapshot.IsWarmUp && container.Snapshot.State.Attached.All.Any())
        {
            _services.Metrics.Done(NetworkAction.Release, begin);
        }

        if (bundled)
        {
            await _services.Foreign.ReleaseAsync(container.Snapshot);
        }

        if (container.Snapshot.HostConfig.IpcMode == NamespaceModes.Shareable)
        {
            _services.SharedMemory.Unmount(container.Id);
        }

        await _services.Volumes.UnmountAsync(container.Snapshot.Mounts, container.Id);
        return oomKilled;
    }

    private async Task EndProcessesAsync(Container container)
    {
        using Cgroup? group = _services.Cgroups.TryOpen(_services.CgroupPath(container.Snapshot));
        if (group is not null)
        {
            await group.KillAsync(_services.Time, CancellationToken.None);
        }
    }

    /// <summary>Starts the container again after the pause of its policy, unless somebody stops or removes it before.</summary>
    private void ScheduleRestart(Container container, TimeSpan ran)
    {
        container.RestartDelay = container.RestartDelay.Next(ran);
        CancellationTokenSource pending = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        container.PendingRestart = pending;
        _ = RestartAsync(container, container.RestartDelay.Pause, pending);
    }

    private async Task RestartAsync(Container container, TimeSpan pause, CancellationTokenSource pending)
    {
        try
        {
            await Task.Delay(pause, _services.Time, pending.Token);
            try
            {
                await FulfilRequirementsAsync(container, pending.Token);
            }
            catch (EngineException exception)
            {
                await PostponeRestartAsync(container, pending, exception);
                return;
            }

            using AsyncLock.Holder holder = await container.LockAsync(pending.Token);
            if (container.Snapshot.State.Phase == ContainerPhase.Restarting && container.PendingRestart == pending)
            {
                container.PendingRestart = null;
                await StartHeldAsync(container);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped, removed, or the engine ends: then the next engine decides.
        }
        catch (EngineException exception)
        {
            // The reason is in the container's state; as in Docker, a start that fails is not tried again.
            _services.Log.Write(EngineLogLevel.Warning, $"restart of container {container.Snapshot.Name} failed: {exception.Message}");
        }
        catch (Exception exception)
        {
            _services.Log.Write(EngineLogLevel.Error, $"restart of container {container.Snapshot.Name} failed", exception);
        }
        finally
        {
            pending.Dispose();
        }
    }

    /// <summary>Gives up a restart that waits; the lock is held.</summary>
    private async Task CancelRestartHeldAsync(Container container)
    {
        CancellationTokenSource? pending = container.PendingRestart;
        container.PendingRestart = null;
        if (pending is not null)
        {
            try
            {
                await pending.CancelAsync();
            }
            catch (ObjectDisposedException)
            {
                // The restart has just given up by itself.
            }
        }

        if (container.Snapshot.State.Phase == ContainerPhase.Restarting)
        {
            container.Publish(container.Snapshot.State with { Phase = ContainerPhase.Exited });
            await StoreStateAsync(container);
        }
    }
}
