using System.Collections.Concurrent;
using Slipway.Kernel.Compression;
using Slipway.Kernel.Streams;

namespace Slipway.Storage.Threading;

/// <summary>
/// Lets a thread that blocks read an asynchronous stream (an HTTP body): a pump fills buffers, the thread takes them. A few
/// buffers are in flight, so memory is bounded and both sides work at the same time.
/// </summary>
internal sealed class AsyncToBlockingStream : ReadOnlyStream
{
    private const int BufferSize = 128 << 10;
    private const int Buffers = 4;

    private readonly SemaphoreSlim _free = new(Buffers);
    private readonly SemaphoreSlim _filled = new(0);
    private readonly ConcurrentQueue<ReadOnlyMemory<byte>> _queue = new();
    private readonly CancellationToken _cancellationToken;
    private ReadOnlyMemory<byte> _current;
    private Exception? _error;
    private bool _ended;

    private AsyncToBlockingStream(CancellationToken cancellationToken) => _cancellationToken = cancellationToken;

    /// <summary>
    /// Runs <paramref name="work"/> on a thread that reads <paramref name="source"/>; ends when both pump and work have ended. A source that blocks
    /// itself needs no pump.
    /// </summary>
    public static async Task<T> RunAsync<T>(string threadName, Stream source, Func<Stream, T> work, CancellationToken cancellationToken)
    {
        if (source is IBlockingStream)
        {
            return await WorkerThread.RunAsync(threadName, () => work(new SuppliedStream(source))).ConfigureAwait(false);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var bridge = new AsyncToBlockingStream(cancellationToken);
        var pump = bridge.PumpAsync(source, stop.Token);
        try
        {
            return await WorkerThread.RunAsync(threadName, () => work(bridge)).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await pump.ConfigureAwait(false);

            // Not by Dispose: readers that wrap the stream dispose it, while the pump still works.
            bridge._free.Dispose();
            bridge._filled.Dispose();
        }
    }

    public override int Read(Span<byte> buffer)
    {
        while (_current.IsEmpty)
        {
            if (_ended)
            {
                return 0;
            }

            _filled.Wait(_cancellationToken);
            if (_queue.TryDequeue(out _current))
            {
                continue;
            }

            _ended = true;
            _cancellationToken.ThrowIfCancellationRequested();
            if (_error is not null)
            {
                throw new SourceException(_error);
            }
        }

        var count = Math.Min(buffer.Length, _current.Length);
        _current.Span[..count].CopyTo(buffer);
        _current = _current[count..];
        if (_current.IsEmpty)
        {
            _free.Release();
        }

        return count;
    }

    /// <summary>Never fails: an error is handed to the reader, which is the one that can report it.</summary>
    private async Task PumpAsync(Stream source, CancellationToken stop)
    {
        var buffers = new byte[Buffers][];
        try
        {
            for (var i = 0; ; i = (i + 1) % Buffers)
            {
                await _free.WaitAsync(stop).ConfigureAwait(false);
                var buffer = buffers[i] ??= new byte[BufferSize];
                var count = await source.ReadAsync(buffer, stop).ConfigureAwait(false);
                if (count == 0)
                {
                    break;
                }

                _queue.Enqueue(buffer.AsMemory(0, count));
                _filled.Release();
            }
        }
#pragma warning disable CA1031 // Reported by Read.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _error = error;
        }

        _filled.Release();
    }
}

/// <summary>A stream that the thread reads itself: its errors are those of who supplied it.</summary>
internal sealed class SuppliedStream(Stream source) : ReadOnlyStream
{
    public override int Read(Span<byte> buffer)
    {
        try
        {
            return source.Read(buffer);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw new SourceException(error);
        }
    }
}

/// <summary>A stream that somebody else supplied failed; the inner exception tells how.</summary>
internal sealed class SourceException(Exception error) : IOException($"the archive could not be read: {error.Message}", error);
