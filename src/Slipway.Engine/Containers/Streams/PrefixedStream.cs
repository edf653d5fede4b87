namespace Slipway.Engine.Containers.Streams;

/// <summary>Reads a sequence of chunks first, then a stream; writes go to the stream.</summary>
internal sealed class PrefixedStream(Stream inner, IAsyncEnumerable<ReadOnlyMemory<byte>> prefix) : AsyncDuplexStream(inner)
{
    private IAsyncEnumerator<ReadOnlyMemory<byte>>? _chunks;
    private ReadOnlyMemory<byte> _chunk;
    private bool _prefixEnded;

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
            return await Inner.ReadAsync(buffer, cancellationToken);
        }

        int count = Math.Min(buffer.Length, _chunk.Length);
        _chunk[..count].CopyTo(buffer);
        _chunk = _chunk[count..];
        return count;
    }
}
