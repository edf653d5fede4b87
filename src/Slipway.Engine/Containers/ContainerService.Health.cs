using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Process;
using Slipway.Storage;

namespace Slipway.Engine.Containers;

/// <summary>Runs a probe in a container.</summary>
/// <exception cref="OperationCanceledException">Nobody wants the result any more; the probe was killed.</exception>
internal delegate Task<ProbeResult> HealthProbe(Container container, HealthPolicy policy, CancellationToken cancellationToken);

internal sealed partial class ContainerService
{
    /// <summary>Set by the service of execs, by which probes run.</summary>
    internal HealthProbe? Probe { get; set; }

    /// <summary>Goes on with the probes of containers that an earlier engine started.</summary>
    internal async Task ResumeHealthChecksAsync(CancellationToken cancellationToken)
    {
        foreach (Container container in _index.All.Where(container => container.Snapshot.State is { Phase: ContainerPhase.Running, Health: not null }))
        {
            using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
            WatchHealthHeld(container);
            EndUnhealthyHeld(container);
        }
    }

    /// <summary>Begins to probe a container that runs; does nothing where it has no health check, or is being probed.</summary>
    private void WatchHealthHeld(Container container)
    {
        if (container is { HealthWatch: null, Snapshot.State: { Phase: ContainerPhase.Running, StartedAt: { } started } }
            && HealthPolicy.Of(container.Snapshot.Config) is { } policy
            && Probe is { } probe)
        {
            container.HealthWatch = new HealthWatch(end => WatchHealthAsync(container, policy, started, probe, end), _stopping.Token);
        }
    }

    /// <summary>The container does not run, or is about to be frozen: no probe may be left in it.</summary>
    private static async Task EndHealthWatchHeldAsync(Container container)
    {
        if (container.HealthWatch is { } watch)
        {
            container.HealthWatch = null;
            await watch.EndAsync();
        }
    }

    private async Task WatchHealthAsync(Container container, HealthPolicy policy, DateTimeOffset started, HealthProbe probe, CancellationToken end)
    {
        try
        {
            while (container.Snapshot.State.Health is { } health)
            {
                await Task.Delay(policy.PauseFor(health.Status, Now - started), _services.Time, end);
                ProbeResult result = await probe(container, policy, end);
                _services.Metrics.Probed(result.HasRun);
                await RecordProbeAsync(container, policy, result, end);
            }
        }
        catch (OperationCanceledException)
        {
            // The container ended or was paused, or the engine ends.
        }
        catch (Exception exception)
        {
            _services.Log.Write(EngineLogLevel.Error, $"the health check of container {container.Snapshot.Name} ended", exception);
        }
    }

    private async Task RecordProbeAsync(Container container, HealthPolicy policy, ProbeResult result, CancellationToken end)
    {
        using AsyncLock.Holder holder = await container.LockAsync(end);
        end.ThrowIfCancellationRequested();
        RunState state = container.Snapshot.State;
        if (state is not { Health: { } before, StartedAt: { } started })
        {
            return;
        }

        HealthState after = before.Next(result, policy, started);
        container.Publish(state with { Health = after });
        if (after.Status != before.Status)
        {
            await StoreHealthAsync(container);
            _events.Publish(container.Snapshot, $"health_status: {after.Status.Word()}");
        }

        EndUnhealthyHeld(container);
    }

    /// <summary>The database has the health as of its last change, which is what the next engine goes on from.</summary>
    private async Task StoreHealthAsync(Container container)
    {
        try
        {
            await StoreStateAsync(container);
        }
        catch (StorageException exception)
        {
            // A full disk must not end the probing; the next change is stored with this one.
            _services.Log.Write(EngineLogLevel.Warning, $"the health of container {container.Snapshot.Name} could not be stored: {exception.Message}");
        }
    }

    /// <summary>Whether the container's health and policy want a restart. One that was paused and has not failed since is unhealthy in name only.</summary>
    private static bool IsToRestartAsUnhealthy(ContainerSnapshot container) =>
        container.State is { Health: { Status: HealthStatus.Unhealthy } health }
        && health.FailingStreak >= HealthPolicy.Of(container.Config)?.Retries
        && RestartDecision.ShouldRestartUnhealthy(container.HostConfig.RestartPolicy, container.State);

    private void EndUnhealthyHeld(Container container)
    {
        if (!container.EndedAsUnhealthy && container.Snapshot.State.StartedAt is { } started && IsToRestartAsUnhealthy(container.Snapshot))
        {
            container.EndedAsUnhealthy = true;
            _ = RestartUnhealthyAsync(container, started);
        }
    }

    /// <summary>Ends a run that became unhealthy, as a stop would; its exit is followed by a restart (<see cref="EndHeldAsync"/>).</summary>
    private async Task RestartUnhealthyAsync(Container container, DateTimeOffset started)
    {
        try
        {
            Task exited;
            using (AsyncLock.Holder holder = await container.LockAsync(_stopping.Token))
            {
                if (!IsSameRun() || container.StopRequested)
                {
                    return;
                }

                exited = container.Waits.Register(WaitCondition.NextExit, _stopping.Token);
                string? stopSignal = container.Snapshot.Config.StopSignal;
                await SignalUnhealthyHeldAsync(container, string.IsNullOrEmpty(stopSignal) ? Signals.Terminate : Signals.Parse(stopSignal));
            }

            int seconds = container.Snapshot.Config.StopTimeout ?? DefaultStopTimeout;
            await exited.WaitAsync(seconds < 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(seconds), _services.Time, _stopping.Token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            using (AsyncLock.Holder holder = await container.LockAsync(_stopping.Token))
            {
                if (IsSameRun())
                {
                    await SignalUnhealthyHeldAsync(container, Signals.Kill);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The engine ends; the next one finds the container unhealthy, and running or not.
        }
        catch (Exception exception)
        {
            _services.Log.Write(EngineLogLevel.Error, $"container {container.Snapshot.Name} is unhealthy and could not be stopped", exception);
        }

        bool IsSameRun() => container.Snapshot.State is { IsLive: true } state && state.StartedAt == started;
    }

    private async Task SignalUnhealthyHeldAsync(Container container, int signal)
    {
        if (container.Pidfd is not null)
        {
            await SendSignalHeldAsync(container, signal);
            _events.Killed(container.Snapshot, signal);
        }
    }
}
