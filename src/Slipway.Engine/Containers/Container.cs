using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.Copy;
using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Streams;

namespace Slipway.Engine.Containers;

/// <summary>
/// One container: a lock for those who change it, an immutable snapshot for those who read. Everything but
/// <see cref="Snapshot"/>, <see cref="Waits"/> and <see cref="Streams"/> belongs to the holder of the lock.
/// </summary>
internal sealed class Container(ContainerSnapshot snapshot)
{
    private readonly AsyncLock _lock = new();
    private volatile ContainerSnapshot _snapshot = snapshot;
    private TaskCompletionSource? _changed;

    public string Id { get; } = snapshot.Id;

    public ContainerSnapshot Snapshot => _snapshot;

    /// <summary>Completes when another snapshot is shown; to be taken before the snapshot is looked at.</summary>
    public Task Changed => LazyInitializer.EnsureInitialized(ref _changed, () => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public ContainerWaits Waits { get; } = new();

    /// <summary>Clients that attached before the start.</summary>
    public PendingStreams Streams { get; } = new();

    /// <summary>Its files while it does not run and somebody copies.</summary>
    public OfflineFiles OfflineFiles { get; } = new();

    /// <summary>Who has the container paused for a while of the engine's own; null where nobody has.</summary>
    public EnginePause? EnginePause { get; set; }

    /// <summary>The init process while it runs.</summary>
    public SafeFileHandle? Pidfd { get; set; }

    /// <summary>A stop was asked for: the next exit is final, whatever the restart policy says.</summary>
    public bool StopRequested { get; set; }

    /// <summary>Set while <c>docker restart</c> takes down a container that would remove itself.</summary>
    public bool KeepOnExit { get; set; }

    /// <summary>Probes the container while it runs; null where it has no health check.</summary>
    public HealthWatch? HealthWatch { get; set; }

    /// <summary>This run is being ended because it is unhealthy.</summary>
    public bool EndedAsUnhealthy { get; set; }

    public RestartDelay RestartDelay { get; set; }

    /// <summary>Ends the wait before the next start by policy.</summary>
    public CancellationTokenSource? PendingRestart { get; set; }

    public ValueTask<AsyncLock.Holder> LockAsync(CancellationToken cancellationToken) => _lock.AcquireAsync(cancellationToken);

    /// <summary>Shows a new state to readers. Only for the holder of the lock.</summary>
    public void Publish(ContainerSnapshot next)
    {
        _snapshot = next;
        Interlocked.Exchange(ref _changed, null)?.TrySetResult();
    }

    public void Publish(RunState state) => Publish(_snapshot with { State = state });
}
