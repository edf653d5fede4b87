namespace Slipway.Kernel.Threading;

/// <summary>
/// Things made ahead of need, of which any is as good as another. Taken ones are replaced after a pause in the taking, so that the work does not
/// compete with what they were taken for; a burst that finds too few makes more be kept, for as long as bursts keep coming. Safe for concurrent use.
/// </summary>
/// <typeparam name="T">What is kept.</typeparam>
public sealed class SparePool<T> : IDisposable
    where T : class
{
    /// <summary>How many are kept, and how many at most after bursts.</summary>
    public const int Usual = 4;
    public const int Limit = 64;

    /// <summary>Without a taker for so long, the pool is filled.</summary>
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(300);

    private readonly Func<T?> _make;
    private readonly Action<T> _drop;
    private readonly TimeSpan _retention;
    private readonly ITimer _fill;
    private readonly ITimer _shrink;
    private readonly Lock _lock = new();
    private readonly Queue<T> _ready = [];
    private int _wanted = Usual;
    private long _taken;
    private bool _disposed;

    /// <param name="make">Makes one, or fails with a <see cref="KernelException"/>: it is tried again after the next taking. Null: none can be had.</param>
    /// <param name="drop">Takes one away that nobody has taken. Does not fail.</param>
    /// <param name="retention">How long a pool that has grown stays so after the last was taken.</param>
    public SparePool(Func<T?> make, Action<T> drop, TimeSpan retention, TimeProvider time)
    {
        (_make, _drop, _retention) = (make, drop, retention);
        _fill = time.CreateTimer(_ => Fill(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _shrink = time.CreateTimer(_ => Shrink(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A ready one, now the caller's; null where there is none at the moment, and always after the pool is disposed.</summary>
    public T? TryTake()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return null;
            }

            _taken++;
            _fill.Change(_pause, Timeout.InfiniteTimeSpan);
            _shrink.Change(_retention, Timeout.InfiniteTimeSpan);
            if (_ready.TryDequeue(out T? spare))
            {
                return spare;
            }

            _wanted = Math.Min(_wanted + 1, Limit);
            return null;
        }
    }

    /// <summary>Takes away all that is ready.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
        }

        _fill.Dispose();
        _shrink.Dispose();
        Drop(keep: 0);
    }

    private void Fill()
    {
        long taken;
        lock (_lock)
        {
            taken = _taken;
        }

        while (IsWanted(taken))
        {
            T? spare;
            try
            {
                spare = _make();
            }
            catch (KernelException)
            {
                // Nobody waits for it, and whoever makes one for himself is told.
                return;
            }

            if (spare is null)
            {
                return;
            }

            bool disposed;
            lock (_lock)
            {
                disposed = _disposed;
                if (!disposed)
                {
                    _ready.Enqueue(spare);
                }
            }

            if (disposed)
            {
                _drop(spare);
            }
        }
    }

    /// <summary>Not while somebody takes again, who wants the processor.</summary>
    private bool IsWanted(long taken)
    {
        lock (_lock)
        {
            return !_disposed && _taken == taken && _ready.Count < _wanted;
        }
    }

    private void Shrink()
    {
        lock (_lock)
        {
            _wanted = Usual;
        }

        Drop(Usual);
    }

    private void Drop(int keep)
    {
        while (true)
        {
            T? spare;
            lock (_lock)
            {
                if (_ready.Count <= keep)
                {
                    return;
                }

                spare = _ready.Dequeue();
            }

            _drop(spare);
        }
    }
}
