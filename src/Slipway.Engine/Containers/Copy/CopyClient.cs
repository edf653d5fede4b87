using Slipway.Api.Streams;
using Slipway.Kernel.Streams;

namespace Slipway.Engine.Containers.Copy;

/// <summary>A client's stream as a copy uses it: others see how far it is.</summary>
internal sealed class CopyClient
{
    private readonly IBlockingStream? _blocking;
    private readonly Func<long> _moved;

    public CopyClient(Stream stream)
    {
        Stream = stream;
        if (stream is IBlockingStream blocking)
        {
            _blocking = blocking;
            _moved = () => blocking.Moved;
        }
        else
        {
            CountedStream counted = new(stream);
            Stream = counted;
            _moved = () => counted.Moved;
        }
    }

    /// <summary>To be used instead of the client's.</summary>
    public Stream Stream { get; }

    /// <summary>Bytes that have gone through.</summary>
    public long Moved => _moved();

    /// <summary>A thread that waits in the kernel sees no token.</summary>
    public CancellationTokenRegistration InterruptWhen(CancellationToken token) => token.UnsafeRegister(static state => ((CopyClient)state!)._blocking?.Interrupt(), this);

    /// <summary>Counts what is read and written; asynchronously only, as HTTP bodies are.</summary>
    private sealed class CountedStream(Stream inner) : AsyncStream
    {
        private long _moved;

        public long Moved => Volatile.Read(ref _moved);

        public override bool CanRead => inner.CanRead;

        public override bool CanWrite => inner.CanWrite;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int count = await inner.ReadAsync(buffer, cancellationToken);
            Interlocked.Add(ref _moved, count);
            return count;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await inner.WriteAsync(buffer, cancellationToken);
            Interlocked.Add(ref _moved, buffer.Length);
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);
    }
}
