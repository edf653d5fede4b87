namespace Slipway.Networking;

/// <summary>
/// Sandboxes made ahead of need. Taking one starts making the next only after a pause, so that the work does not compete with the
/// start of the container it was taken for, unless the pool is half empty: then at once.
/// </summary>
internal sealed class SandboxPool : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(30);

    private readonly Func<CancellationToken, Task<Sandbox>> _make;
    private readonly int _size;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly Queue<Sandbox> _ready = [];
    private readonly Queue<TaskCompletionSource<Sandbox>> _waiting = [];
    private int _underway;
    private bool _disposed;
    private TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public SandboxPool(Func<CancellationToken, Task<Sandbox>> make, int size, TimeProvider time)
    {
        _make = make;
        _size = size;
        _timer = time.CreateTimer(_ => Refill(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A ready sandbox, or the next one that gets ready.</summary>
    public Task<Sandbox> TakeAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource<Sandbox> waiter;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_ready.TryDequeue(out Sandbox? ready))
            {
                if (_ready.Count * 2 >= _size)
                {
                    _timer.Change(Pause, Timeout.InfiniteTimeSpan);
                }
                else
                {
                    StartMissing();
                }

                return Task.FromResult(ready);
            }

            waiter = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(waiter);
            StartMissing();
        }

        return WaitAsync(waiter, cancellationToken);
    }

    /// <summary>Fills the pool.</summary>
    public void Refill()
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                StartMissing();
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
                StartMissing();
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

        await _timer.DisposeAsync().ConfigureAwait(false);
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

    private void StartMissing()
    {
        for (int missing = _size + _waiting.Count - _ready.Count - _underway; missing > 0; missing--)
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
                if (_disposed)
                {
                    made.Dispose();
                }
                else
                {
                    _ready.Enqueue(made);
                }
            }

            if (_underway == 0)
            {
                _idle.TrySetResult();
            }
        }
    }
}
