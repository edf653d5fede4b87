using Slipway.Kernel.Mounts;

namespace Slipway.Engine.Containers.Copy;

/// <summary>One who copies files of a container that does not run, and can be told to end by who needs the container.</summary>
internal sealed class OfflineCopy(NamespaceView view, Func<OfflineCopy, Task> release) : IAsyncDisposable
{
    private readonly CancellationTokenSource _interrupted = new();
    private volatile CopyClient? _client;
    private long _seen = -1;
    private long _since;

    public NamespaceView View => view;

    /// <summary>The container is needed, and this copy stood still.</summary>
    public CancellationToken Interrupted => _interrupted.Token;

    /// <summary>From here on it stands still when its client does.</summary>
    public void Follow(CopyClient client) => _client = client;

    /// <summary>Called again and again by one who waits, who sees so whether anything moves.</summary>
    public async Task InterruptIdleAsync(TimeProvider time, TimeSpan patience)
    {
        long moved = _client?.Moved ?? 0;
        if (moved != _seen)
        {
            (_seen, _since) = (moved, time.GetTimestamp());
        }

        if (time.GetElapsedTime(_since) >= patience)
        {
            try
            {
                await _interrupted.CancelAsync();
            }
            catch (ObjectDisposedException)
            {
                // It is done.
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await release(this);
        _interrupted.Dispose();
    }
}
