using System.Diagnostics.CodeAnalysis;

namespace Slipway.Kernel.Threading;

/// <summary>
/// Work handed to threads of one's own, in order. A thread that finds nothing sleeps at once: BlockingCollection and SemaphoreSlim
/// spin first, and on a small machine a spinning thread takes the processor from the very container that is being started.
/// </summary>
public sealed class WaitQueue<T>
{
    private readonly object _gate = new();
    private readonly Queue<T> _items = new();
    private bool _completed;

    /// <summary>Adds an item; false where the queue was completed.</summary>
    public bool TryAdd(T item)
    {
        lock (_gate)
        {
            if (_completed)
            {
                return false;
            }

            _items.Enqueue(item);
            Monitor.Pulse(_gate);
            return true;
        }
    }

    /// <summary>Waits for an item; false once the queue is completed and empty.</summary>
    public bool TryTake([MaybeNullWhen(false)] out T item)
    {
        lock (_gate)
        {
            while (_items.Count == 0 && !_completed)
            {
                Monitor.Wait(_gate);
            }

            return _items.TryDequeue(out item);
        }
    }

    /// <summary>Waits for an item and takes all there are; false once the queue is completed and empty.</summary>
    public bool TryTakeAll(out T[] items)
    {
        lock (_gate)
        {
            while (_items.Count == 0 && !_completed)
            {
                Monitor.Wait(_gate);
            }

            items = [.. _items];
            _items.Clear();
            return items.Length > 0;
        }
    }

    /// <summary>Takes no more; what is there is still given out.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _completed = true;
            Monitor.PulseAll(_gate);
        }
    }
}
