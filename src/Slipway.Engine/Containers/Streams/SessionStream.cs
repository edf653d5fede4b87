namespace Slipway.Engine.Containers.Streams;

/// <summary>
/// A client's end of a process' streams: what was logged before comes first, then what comes. The end is reported only once
/// <paramref name="ended"/> has completed, so that a client that then asks for the exit code gets it.
/// </summary>
internal sealed class SessionStream(Stream inner, Task? ended, Action? disposed) : AsyncDuplexStream(inner)
{
    private bool _disposed;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count = await Inner.ReadAsync(buffer, cancellationToken);
        if (count == 0 && buffer.Length > 0 && ended is not null)
        {
            await ended.WaitAsync(cancellationToken);
        }

        return count;
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing && !_disposed)
        {
            _disposed = true;
            disposed?.Invoke();
        }
    }
}
