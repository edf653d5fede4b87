using System.Collections.Concurrent;

namespace Slipway.Storage.Threading;

/// <summary>
/// Lets an asynchronous reader take what a thread that blocks makes (a layer that is made again from its files). The thread
/// starts with the first read and is a few buffers ahead at most; its failure is the reader's.
/// </summary>
internal sealed class ProducedStream : Stream
{
    private const int BufferSize = 256 << 10;
    private const int Buffers = 4;

    private readonly SemaphoreSlim _free = new(Buffers);
    private readonly SemaphoreSlim _filled = new(0);
    private readonly ConcurrentQueue<ReadOnlyMemory<byte>> _queue = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly string _threadName;
    private readonly Action<Stream, CancellationToken> _work;
    private Task? _producer;
    private ReadOnlyMemory<byte> _current;
    private bool _ended;

    /// <param name="work">Writes the stream's bytes; called on a thread of its own.</param>
    public ProducedStream(string threadName, Action<Stream, CancellationToken> work) => (_threadName, _work) = (threadName, work);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _producer ??= WorkerThread.RunAsync(_threadName, Produce);
        while (_current.IsEmpty)
        {
            if (_ended)
            {
                return 0;
            }

            await _filled.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (!_queue.TryDequeue(out _current))
            {
                _ended = true;
                await _producer.ConfigureAwait(false);
            }
        }

        var count = Math.Min(buffer.Length, _current.Length);
        _current[..count].CopyTo(buffer);
        _current = _current[count..];
        if (_current.IsEmpty)
        {
            _free.Release();
        }

        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("read asynchronously");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_producer is not null)
        {
            await _producer.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _stop.Dispose();
        _free.Dispose();
        _filled.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>For callers that cannot wait: the thread ends by itself soon after.</summary>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_stop.IsCancellationRequested)
        {
            _stop.Cancel();
        }

        base.Dispose(disposing);
    }

    private bool Produce()
    {
        try
        {
            var sink = new Sink(this);
            _work(sink, _stop.Token);
            sink.HandOver();
            return true;
        }
        finally
        {
            // A signal with an empty queue is the end.
            _filled.Release();
        }
    }

    private sealed class Sink(ProducedStream owner) : WriteOnlyStream
    {
        private byte[] _buffer = new byte[BufferSize];
        private int _length;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            while (!buffer.IsEmpty)
            {
                var count = Math.Min(buffer.Length, _buffer.Length - _length);
                buffer[..count].CopyTo(_buffer.AsSpan(_length));
                _length += count;
                buffer = buffer[count..];
                if (_length == _buffer.Length)
                {
                    HandOver();
                }
            }
        }

        public void HandOver()
        {
            if (_length == 0)
            {
                return;
            }

            owner._free.Wait(owner._stop.Token);
            owner._queue.Enqueue(_buffer.AsMemory(0, _length));
            owner._filled.Release();
            (_buffer, _length) = (new byte[BufferSize], 0);
        }
    }
}
