using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Process;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    private const int DefaultStopTimeout = 10;

    /// <summary>After SIGKILL: a process that does not end within this is stuck in the kernel.</summary>
    private static readonly TimeSpan KillTimeout = TimeSpan.FromSeconds(10);

    public async Task StopAsync(string reference, int? timeoutSeconds, string? signal, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        if (!container.Snapshot.State.IsRunning)
        {
            throw new EngineException(ErrorKind.NotModified, $"container {container.Id} is already stopped");
        }

        await StopAsync(container, timeoutSeconds, signal, cancellationToken);
    }

    public async Task RestartAsync(string reference, int? timeoutSeconds, string? signal, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        if (container.Snapshot.State.IsRunning)
        {
            container.KeepOnExit = true;
            try
            {
                await StopAsync(container, timeoutSeconds, signal, cancellationToken);
            }
            finally
            {
                container.KeepOnExit = false;
            }
        }

        await FulfilRequirementsAsync(container, cancellationToken);
        using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
        {
            if (_index.Find(container.Id) is null)
            {
                // It has been removed since.
                throw ContainerErrors.NoSuchContainer(reference);
            }

            if (!container.Snapshot.State.IsRunning)
            {
                container.RestartDelay = default;
                container.Publish(container.Snapshot.State with { RestartCount = 0, StoppedByUser = false });
                await StartHeldAsync(container);
            }
        }

        _events.Publish(container.Snapshot, "restart");
    }

    public async Task KillAsync(string reference, string? signal, CancellationToken cancellationToken)
    {
        Container container;
        int number;
        try
        {
            container = _index.Resolve(reference);
            number = string.IsNullOrEmpty(signal) ? Signals.Kill : Signals.Parse(signal);
        }
        catch (EngineException exception)
        {
            throw new EngineException(exception.Kind, $"cannot kill container: {reference}: {exception.Message}");
        }

        Task<ContainerWaitResponse>? exited = number == Signals.Kill ? container.Waits.Register(WaitCondition.NotRunning, cancellationToken) : null;
        using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
        {
            if (container.Snapshot.State.Phase == ContainerPhase.Restarting)
            {
                await CancelRestartHeldAsync(container);
                return;
            }

            if (!container.Snapshot.State.IsLive)
            {
                throw new EngineException(ErrorKind.Conflict, $"cannot kill container: {reference}: container {container.Id} is not running");
            }

            // As in Docker, the signal that stops the container is a request to stop; another is just a signal.
            string? stopSignal = container.Snapshot.Config.StopSignal;
            bool stops = number == Signals.Kill || string.IsNullOrEmpty(stopSignal) || Signals.Parse(stopSignal) == number;
            await SignalHeldAsync(container, number, stops);
        }

        if (exited is not null && !await EndsWithinAsync(exited, KillTimeout, cancellationToken))
        {
            throw new EngineException(ErrorKind.System, $"cannot kill container: {reference}: the process does not end, it is stuck in the kernel");
        }
    }

    public async Task PauseAsync(string reference, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        switch (container.Snapshot.State.Phase)
        {
            case ContainerPhase.Paused:
                throw new EngineException(ErrorKind.Conflict, $"Container {container.Id} is already paused");
            case ContainerPhase.Restarting:
                throw ContainerErrors.IsRestarting(container.Id);
            case not ContainerPhase.Running:
                throw ContainerErrors.NotRunning(container.Id);
        }

        await PauseHeldAsync(container, forCommit: false, cancellationToken);
    }

    private async Task PauseHeldAsync(Container container, bool forCommit, CancellationToken cancellationToken)
    {
        using Cgroup group = OpenGroup(container);
        if (forCommit)
        {
            // Before, not after: whenever this engine ends, the next one knows whose pause it is.
            container.Publish(container.Snapshot.State with { PausedForCommit = true });
            await StoreStateAsync(container);
        }

        await EndHealthWatchHeldAsync(container);
        await group.FreezeAsync(_services.Time, cancellationToken);
        RunState state = container.Snapshot.State;
        container.Publish(state with { Phase = ContainerPhase.Paused, Health = forCommit ? state.Health : state.Health?.Suspended() });
        await StoreStateAsync(container);
        _events.Publish(container.Snapshot, "pause");
    }

    /// <summary>Pauses a container that runs, or joins those for whom it is paused; null where it does not run, or a user has paused it.</summary>
    private async Task<EnginePause?> TryPauseForCommitAsync(Container container, CancellationToken cancellationToken)
    {
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        switch (container.Snapshot.State)
        {
            case { Phase: ContainerPhase.Running }:
                await PauseHeldAsync(container, forCommit: true, cancellationToken);
                container.EnginePause = new EnginePause();
                break;
            case { Phase: ContainerPhase.Paused, PausedForCommit: true } when container.EnginePause is not null:
                break;
            default:
                return null;
        }

        container.EnginePause.Holders++;
        return container.EnginePause;
    }

    /// <summary>Lets a container go on that was paused for a commit, unless others need the pause too, or it was ended or let go meanwhile.</summary>
    private async Task EndPauseForCommitAsync(Container container, EnginePause pause)
    {
        using AsyncLock.Holder holder = await container.LockAsync(CancellationToken.None);
        if (--pause.Holders == 0 && container.EnginePause == pause && container.Snapshot.State is { Phase: ContainerPhase.Paused, PausedForCommit: true })
        {
            await ThawHeldAsync(container);
            _events.Publish(container.Snapshot, "unpause");
        }
    }

    /// <summary>Pauses containers while a volume that they have mounted is copied, as a commit does.</summary>
    /// <returns>Lets those go on that were paused.</returns>
    private async Task<IAsyncDisposable> PauseForCopyAsync(IReadOnlyList<string> containers, CancellationToken cancellationToken)
    {
        PausedContainers paused = new(this);
        try
        {
            foreach (string id in containers)
            {
                if (_index.Find(id) is { } container && await TryPauseForCommitAsync(container, cancellationToken) is { } pause)
                {
                    paused.Add(container, pause);
                }
            }

            return paused;
        }
        catch
        {
            await paused.DisposeAsync();
            throw;
        }
    }

    private sealed class PausedContainers(ContainerService service) : IAsyncDisposable
    {
        private readonly List<(Container Container, EnginePause Pause)> _containers = [];

        public void Add(Container container, EnginePause pause) => _containers.Add((container, pause));

        public async ValueTask DisposeAsync()
        {
            foreach ((Container container, EnginePause pause) in _containers)
            {
                await service.EndPauseForCommitAsync(container, pause);
            }
        }
    }

    public async Task UnpauseAsync(string reference, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        if (container.Snapshot.State.Phase != ContainerPhase.Paused)
        {
            throw new EngineException(ErrorKind.Conflict, $"Container {container.Id} is not paused");
        }

        await ThawHeldAsync(container);
        _events.Publish(container.Snapshot, "unpause");
    }

    private async Task StopAsync(Container container, int? timeoutSeconds, string? signal, CancellationToken cancellationToken)
    {
        ContainerConfig config = container.Snapshot.Config;
        string stopSignal = !string.IsNullOrEmpty(signal) ? signal : config.StopSignal ?? "";
        int number = stopSignal.Length == 0 ? Signals.Terminate : Signals.Parse(stopSignal);
        int seconds = timeoutSeconds ?? config.StopTimeout ?? DefaultStopTimeout;
        Task<ContainerWaitResponse> exited = container.Waits.Register(WaitCondition.NotRunning, cancellationToken);
        using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
        {
            if (!container.Snapshot.State.IsLive)
            {
                container.StopRequested = true;
                await CancelRestartHeldAsync(container);
                return;
            }

            await SignalHeldAsync(container, number, stops: true);
        }

        TimeSpan grace = seconds < 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(seconds);
        if (!await EndsWithinAsync(exited, grace, cancellationToken))
        {
            using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
            {
                if (container.Snapshot.State.IsLive)
                {
                    await SignalHeldAsync(container, Signals.Kill, stops: true);
                }
            }

            if (!await EndsWithinAsync(exited, KillTimeout, cancellationToken))
            {
                throw new EngineException(ErrorKind.System, $"cannot stop container: {container.Snapshot.Name}: tried to kill container, but did not receive an exit event");
            }
        }

        _events.Publish(container.Snapshot, "stop");
    }

    /// <summary>Sends a signal to the first process; a paused container is thawed when the signal is to end it, as in Docker.</summary>
    private async Task SignalHeldAsync(Container container, int signal, bool stops)
    {
        RunState state = container.Snapshot.State;
        container.StopRequested |= stops;
        container.Publish(state with { StoppedByUser = true });
        if (!state.StoppedByUser && container.Snapshot.HostConfig.RestartPolicy.Name is not ("" or "no"))
        {
            await StoreStateAsync(container);
        }

        await SendSignalHeldAsync(container, signal);
        if (stops && state.Phase == ContainerPhase.Paused)
        {
            await ThawHeldAsync(container);
        }

        _events.Killed(container.Snapshot, signal);
    }

    private Task SendSignalHeldAsync(Container container, int signal)
    {
        SafeFileHandle pidfd = container.Pidfd ?? throw ContainerErrors.NotRunning(container.Id);
        if (ForeignRuntimes.IsForeign(container.Snapshot.HostConfig))
        {
            return _services.Foreign.SignalAsync(container, signal);
        }

        Pidfd.SendSignal(pidfd, signal);
        return Task.CompletedTask;
    }

    private async Task ThawHeldAsync(Container container)
    {
        using (Cgroup group = OpenGroup(container))
        {
            group.Thaw();
        }

        container.EnginePause = null;
        container.Publish(container.Snapshot.State with { Phase = ContainerPhase.Running, PausedForCommit = false });
        await StoreStateAsync(container);
        WatchHealthHeld(container);
    }

    private Cgroup OpenGroup(Container container) =>
        _services.Cgroups.TryOpen(_services.CgroupPath(container.Snapshot)) ?? throw ContainerErrors.NotRunning(container.Id);

    private async Task<bool> EndsWithinAsync(Task<ContainerWaitResponse> exited, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await exited.WaitAsync(timeout, _services.Time, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
