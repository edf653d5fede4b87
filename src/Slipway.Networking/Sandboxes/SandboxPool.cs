namespace Slipway.Networking;

/// <summary>
/// Sandboxes made ahead of need. Taken ones are replaced only after a pause in the taking, so that the work does not compete with the starts
/// they were taken for. A burst that finds too few makes the pool grow by as many, for as long as bursts keep coming; what it holds above its
/// own size is replaced when the burst is surely over. One that cannot be made ends that, until the next burst: a bridge may have no port left.
/// </summary>
internal sealed class SandboxPool : IAsyncDisposable
{
    /// <summary>A sandbox costs about 0.2 MB of kernel memory, and a bridge has 1,023 ports.</summary>
    internal const int Limit = 64;

    /// <summary>Without a taker for so long, the pool is filled to its own size.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(30);

    /// <summary>Without a taker for so long, it is filled to what bursts have asked for: within a burst on a busy machine there are longer gaps than a pause.</summary>
    internal static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(300);

    private readonly Func<CancellationToken, Task<Sandbox>> _make;
    private readonly int _size;
    private readonly TimeSpan _retention;
    private readonly ITimer _refillTimer;
    private readonly ITimer _growTimer;
    private readonly ITimer _shrinkTimer;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly Queue<Sandbox> _ready = [];
    private readonly Queue<TaskCompletionSource<Sandbox>> _waiting = [];
    private int _wanted;

    /// <summary>How many are being made ready, beside those that are waited for.</summary>
    private int _target;

    private int _underway;
    private bool _disposed;
    private TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="size">Sandboxes kept ready. 0: every one is made when it is asked for.</param>
    /// <param name="retention">How long a pool that has grown stays so after the last sandbox was taken.</param>
    public SandboxPool(Func<CancellationToken, Task<Sandbox>> make, int size, TimeSpan retention, TimeProvider time)
    {
        _make = make;
        _size = size;
        _retention = retention;
        _wanted = size;
        _refillTimer = time.CreateTimer(_ => Refill(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _growTimer = time.CreateTimer(_ => Fill(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _shrinkTimer = time.CreateTimer(_ => Shrink(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A ready sandbox, or the next one that gets ready.</summary>
    public Task<Sandbox> TakeAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource<Sandbox> waiter;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _target = 0;
            _refillTimer.Change(Pause, Timeout.InfiniteTimeSpan);
            _growTimer.Change(Quiet, Timeout.InfiniteTimeSpan);
            if (_ready.TryDequeue(out Sandbox? ready))
            {
                return Task.FromResult(ready);
            }

            if (_size > 0 && _wanted < Limit)
            {
                _wanted++;
            }

            waiter = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(waiter);
            StartMissing(0);
        }

        return WaitAsync(waiter, cancellationToken);
    }

    /// <summary>Fills the pool to its own size.</summary>
    public void Refill()
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                StartMissing(_size);
            }
        }
    }

    /// <summary>Waits until the pool is full, or filling it has failed.</summary>
    public Task DrainAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                StartMissing(_wanted);
            }

            if (_underway == 0)
            {
                return Task.CompletedTask;
            }

            if (_idle.Task.IsCompleted)
            {
                _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            return _idle.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Lets go of all ready sandboxes, which ends their namespaces and links.</summary>
    public async ValueTask DisposeAsync()
    {
        Sandbox[] leftover;
        TaskCompletionSource<Sandbox>[] waiting;
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            leftover = [.. _ready];
            waiting = [.. _waiting];
            _ready.Clear();
            _waiting.Clear();
        }

        await _refillTimer.DisposeAsync().ConfigureAwait(false);
        await _growTimer.DisposeAsync().ConfigureAwait(false);
        await _shrinkTimer.DisposeAsync().ConfigureAwait(false);
        await _stopping.CancelAsync().ConfigureAwait(false);
        await DrainAsync(CancellationToken.None).ConfigureAwait(false);
        foreach (Sandbox sandbox in leftover)
        {
            sandbox.Dispose();
        }

        foreach (TaskCompletionSource<Sandbox> waiter in waiting)
        {
            waiter.TrySetException(new ObjectDisposedException(nameof(SandboxPool)));
        }

        _stopping.Dispose();
    }

    private static async Task<Sandbox> WaitAsync(TaskCompletionSource<Sandbox> waiter, CancellationToken cancellationToken)
    {
        await using CancellationTokenRegistration registration = cancellationToken.Register(() => waiter.TrySetCanceled(cancellationToken));
        return await waiter.Task.ConfigureAwait(false);
    }

    private void Fill()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            if (_wanted > _size)
            {
                _shrinkTimer.Change(_retention, Timeout.InfiniteTimeSpan);
            }

            StartMissing(_wanted);
        }
    }

    private void Shrink()
    {
        List<Sandbox> surplus = [];
        lock (_lock)
        {
            _wanted = _size;

            // What is being made for the next burst may not be finished yet.
            _target = Math.Min(_target, _size);
            while (!_disposed && _ready.Count > _wanted)
            {
                surplus.Add(_ready.Dequeue());
            }
        }

        surplus.ForEach(sandbox => sandbox.Dispose());
    }

    /// <summary>Makes what is waited for, and so many to be ready.</summary>
    private void StartMissing(int ready)
    {
        _target = ready;
        StartNext();
    }

    /// <summary>All that are waited for are asked for at once; those to be ready one after the other, so that a failure is the last, and a burst waits for one at most.</summary>
    private void StartNext()
    {
        while (_underway < _waiting.Count || (_underway == _waiting.Count && _ready.Count + _underway < _target + _waiting.Count))
        {
            _underway++;
            _ = MakeOneAsync();
        }
    }

    private async Task MakeOneAsync()
    {
        Sandbox? made = null;
        Exception? failure = null;
        try
        {
            made = await _make(_stopping.Token).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Handed to whoever waits; without one, the next to take tries again and sees it.
        catch (Exception e)
#pragma warning restore CA1031
        {
            failure = e;
        }

        lock (_lock)
        {
            _underway--;
            bool handed = false;
            while (!handed && _waiting.TryDequeue(out TaskCompletionSource<Sandbox>? waiter))
            {
                // A waiter that was cancelled leaves the sandbox to the next.
                handed = made is not null ? waiter.TrySetResult(made) : waiter.TrySetException(failure!);
            }

            if (!handed && made is not null)
            {
                // One that was begun for bursts that came no more is not kept.
                if (_disposed || _ready.Count >= _wanted)
                {
                    made.Dispose();
                }
                else
                {
                    _ready.Enqueue(made);
                }
            }

            if (made is null && !handed)
            {
                (_target, _wanted) = (0, _size);
            }

            if (!_disposed)
            {
                StartNext();
            }

            if (_underway == 0)
            {
                _idle.TrySetResult();
            }
        }
    }
}
