using System.Collections.Concurrent;
using Slipway.Kernel.Streams;

namespace Slipway.Storage.Threading;

/// <summary>Lets a thread that blocks write to an asynchronous stream (an HTTP response): a pump sends what the thread hands over, a few buffers at most.</summary>
internal sealed class BlockingToAsyncStream : Stream
{
    private const int BufferSize = 128 << 10;
    private const int Buffers = 4;

    private readonly SemaphoreSlim _free = new(Buffers);
    private readonly SemaphoreSlim _filled = new(0);
    private readonly ConcurrentQueue<ReadOnlyMemory<byte>> _queue = new();
    private readonly CancellationToken _stop;
    private byte[] _current = new byte[BufferSize];
    private int _length;

    private BlockingToAsyncStream(CancellationToken stop) => _stop = stop;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>
    /// Runs <paramref name="work"/> on a thread whose output goes to <paramref name="destination"/>; to one that blocks, without a pump between.
    /// </summary>
    public static async Task RunAsync(string threadName, Stream destination, Action<Stream> work, CancellationToken cancellationToken)
    {
        if (destination is IBlockingStream)
        {
            await WorkerThread.RunAsync(threadName, () =>
            {
                work(destination);
                destination.Flush();
                return true;
            }).ConfigureAwait(false);
            return;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var bridge = new BlockingToAsyncStream(stop.Token);
        var writer = WorkerThread.RunAsync(threadName, () =>
        {
            try
            {
                work(bridge);
                bridge.HandOver();
                return true;
            }
            finally
            {
                // An empty queue with a signal is the end.
                bridge._filled.Release();
            }
        });
        try
        {
            await bridge.PumpAsync(destination, cancellationToken).ConfigureAwait(false);
            await writer.ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await ((Task)writer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            bridge._free.Dispose();
            bridge._filled.Dispose();
        }
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var count = Math.Min(buffer.Length, _current.Length - _length);
            buffer[..count].CopyTo(_current.AsSpan(_length));
            _length += count;
            buffer = buffer[count..];
            if (_length == _current.Length)
            {
                HandOver();
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private void HandOver()
    {
        if (_length == 0)
        {
            return;
        }

        _free.Wait(_stop);
        _queue.Enqueue(_current.AsMemory(0, _length));
        _filled.Release();
        (_current, _length) = (new byte[BufferSize], 0);
    }

    private async Task PumpAsync(Stream destination, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _filled.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (!_queue.TryDequeue(out var data))
            {
                return;
            }

            await destination.WriteAsync(data, cancellationToken).ConfigureAwait(false);
            _free.Release();
        }
    }
}
