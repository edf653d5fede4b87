using System.Collections.Concurrent;
using Slipway.Oci;

namespace Slipway.Storage.Content;

/// <summary>What somebody is working with and must not be collected, counted.</summary>
internal sealed class Pins
{
    private readonly ConcurrentDictionary<Digest, int> _counts = new();

    public bool Contains(Digest digest) => _counts.ContainsKey(digest);

    /// <summary>Keeps something until the result is disposed.</summary>
    public IDisposable Add(Digest digest)
    {
        _counts.AddOrUpdate(digest, 1, (_, count) => count + 1);
        return new Pin(this, digest);
    }

    private void Remove(Digest digest)
    {
        // Counts drop to zero at one caller only, because each disposes its own pin.
        if (_counts.AddOrUpdate(digest, 0, (_, count) => count - 1) == 0)
        {
            _counts.TryRemove(new KeyValuePair<Digest, int>(digest, 0));
        }
    }

    private sealed class Pin(Pins owner, Digest digest) : IDisposable
    {
        private int _disposed;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
            {
                owner.Remove(digest);
            }
        }
    }
}
