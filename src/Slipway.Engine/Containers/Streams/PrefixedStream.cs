namespace Slipway.Engine.Containers.Streams;

/// <summary>Reads a sequence of chunks first, then a stream; writes go to the stream.</summary>
internal sealed class PrefixedStream(Stream inner, IAsyncEnumerable<ReadOnlyMemory<byte>> prefix) : Stream
{
    private IAsyncEnumerator<ReadOnlyMemory<byte>>? _chunks;
    private ReadOnlyMemory<byte> _chunk;
    private bool _prefixEnded;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!_prefixEnded && _chunk.IsEmpty)
        {
            _chunks ??= prefix.GetAsyncEnumerator(cancellationToken);
            _prefixEnded = !await _chunks.MoveNextAsync();
            _chunk = _prefixEnded ? default : _chunks.Current;
        }

        if (_prefixEnded)
        {
            return await inner.ReadAsync(buffer, cancellationToken);
        }

        int count = Math.Min(buffer.Length, _chunk.Length);
        _chunk[..count].CopyTo(buffer);
        _chunk = _chunk[count..];
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("read asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("write asynchronously");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
