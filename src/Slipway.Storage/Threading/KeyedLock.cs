namespace Slipway.Storage.Threading;

/// <summary>A lock for each key; held by threads that block.</summary>
internal sealed class KeyedLock<TKey>
    where TKey : notnull
{
    private readonly Dictionary<TKey, Holder> _holders = [];

    /// <summary>Waits for the key. Dispose the result to let it go.</summary>
    public IDisposable Enter(TKey key, CancellationToken cancellationToken)
    {
        Holder? holder;
        lock (_holders)
        {
            if (!_holders.TryGetValue(key, out holder))
            {
                _holders.Add(key, holder = new Holder(this, key));
            }

            holder.Waiters++;
        }

        try
        {
            holder.Semaphore.Wait(cancellationToken);
        }
        catch
        {
            Leave(holder);
            throw;
        }

        return holder;
    }

    private void Leave(Holder holder)
    {
        lock (_holders)
        {
            if (--holder.Waiters == 0)
            {
                _holders.Remove(holder.Key);
                holder.Semaphore.Dispose();
            }
        }
    }

    private sealed class Holder(KeyedLock<TKey> owner, TKey key) : IDisposable
    {
        public TKey Key { get; } = key;

        public SemaphoreSlim Semaphore { get; } = new(1);

        public int Waiters { get; set; }

        public void Dispose()
        {
            Semaphore.Release();
            owner.Leave(this);
        }
    }
}
