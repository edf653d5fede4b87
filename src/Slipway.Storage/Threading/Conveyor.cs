using Slipway.Kernel.Compression;

namespace Slipway.Storage.Threading;

/// <summary>
/// Hands bytes from one thread to another, a few large buffers at most, so that both work at the same time: one decompresses, the
/// other unpacks. Both sides block.
/// </summary>
internal sealed class Conveyor : IDisposable
{
    public const int BufferSize = 256 << 10;
    private const int Buffers = 4;

    private readonly object _gate = new();
    private readonly Queue<(byte[] Buffer, int Length)> _filled = new();
    private readonly Stack<byte[]> _free = new();
    private int _made;
    private Exception? _error;
    private bool _ended;
    private bool _abandoned;

    /// <summary>A buffer to fill; null once the reader wants no more.</summary>
    public byte[]? Take()
    {
        lock (_gate)
        {
            while (!_abandoned)
            {
                if (_free.TryPop(out var buffer))
                {
                    return buffer;
                }

                if (_made < Buffers)
                {
                    _made++;
                    return new byte[BufferSize];
                }

                Monitor.Wait(_gate);
            }

            return null;
        }
    }

    /// <summary>Hands a filled buffer over.</summary>
    public void Put(byte[] buffer, int length)
    {
        lock (_gate)
        {
            _filled.Enqueue((buffer, length));
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>No more will come; an error is thrown at the reader.</summary>
    public void End(Exception? error)
    {
        lock (_gate)
        {
            _ended = true;
            _error = error;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>What was handed over, to be read once. Disposing it tells the other side to stop.</summary>
    public ReadOnlyStream Output => new Reader(this);

    /// <summary>The reader's side gives up.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _abandoned = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Opens and reads a stream on a thread of its own.</summary>
    /// <returns>Disposing it ends the thread, once a read that is under way has returned, and disposes the stream.</returns>
    public static ReadOnlyStream ReadAhead(string threadName, Func<Stream> open)
    {
        var conveyor = new Conveyor();
        var thread = new Thread(() => conveyor.Pump(open)) { Name = threadName, IsBackground = true };
        thread.Start();
        return new Reader(conveyor, thread.Join);
    }

    /// <summary>Reads what a thread of its own writes.</summary>
    /// <returns>Disposing it ends the thread at its next write.</returns>
    public static ReadOnlyStream Produce(string threadName, Action<Stream> work)
    {
        var conveyor = new Conveyor();
        var thread = new Thread(() => conveyor.Fill(work)) { Name = threadName, IsBackground = true };
        thread.Start();
        return new Reader(conveyor, thread.Join);
    }

    private void Fill(Action<Stream> work)
    {
        try
        {
            var sink = new Sink(this);
            work(sink);
            sink.HandOver();
            End(null);
        }
#pragma warning disable CA1031 // Thrown at the reader.
        catch (Exception error)
#pragma warning restore CA1031
        {
            End(error);
        }
    }

    private void Pump(Func<Stream> open)
    {
        try
        {
            using var source = open();
            while (Take() is { } buffer)
            {
                var length = source.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
                if (length > 0)
                {
                    Put(buffer, length);
                }

                if (length < buffer.Length)
                {
                    break;
                }
            }

            End(null);
        }
#pragma warning disable CA1031 // Thrown at the reader.
        catch (Exception error)
#pragma warning restore CA1031
        {
            End(error);
        }
    }

    private (byte[] Buffer, int Length) Next(byte[]? done)
    {
        lock (_gate)
        {
            if (done is not null)
            {
                _free.Push(done);
                Monitor.PulseAll(_gate);
            }

            while (_filled.Count == 0 && !_ended)
            {
                Monitor.Wait(_gate);
            }

            if (_filled.TryDequeue(out var next))
            {
                return next;
            }

            if (_error is not null)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_error);
            }

            return ([], 0);
        }
    }

    private sealed class Sink(Conveyor owner) : WriteOnlyStream
    {
        private byte[]? _buffer;
        private int _length;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            while (!buffer.IsEmpty)
            {
                _buffer ??= owner.Take() ?? throw new IOException("nobody reads any more");
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
            if (_length > 0)
            {
                owner.Put(_buffer!, _length);
                (_buffer, _length) = (null, 0);
            }
        }
    }

    private sealed class Reader(Conveyor owner, Action? ended = null) : ReadOnlyStream
    {
        private byte[]? _buffer;
        private int _position;
        private int _length;
        private bool _disposed;

        public override int Read(Span<byte> buffer)
        {
            if (_position == _length)
            {
                if (_buffer is { Length: 0 })
                {
                    return 0;
                }

                (_buffer, _length) = owner.Next(_buffer);
                _position = 0;
            }

            var count = Math.Min(buffer.Length, _length - _position);
            _buffer.AsSpan(_position, count).CopyTo(buffer);
            _position += count;
            return count;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_disposed)
            {
                _disposed = true;
                owner.Dispose();
                ended?.Invoke();
            }

            base.Dispose(disposing);
        }
    }
}
