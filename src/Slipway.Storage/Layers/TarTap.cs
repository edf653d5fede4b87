using Slipway.Kernel.Compression;

namespace Slipway.Storage.Layers;

/// <summary>
/// The tar as it is read by an unpacker, in small pieces from a large buffer. What is read becomes part of the recipe, except the contents
/// of files, of which the unpacker says where they went. Counts the bytes of the tar.
/// </summary>
internal sealed class TarTap(Stream tar, RecipeWriter recipe) : ReadOnlyStream
{
    private readonly byte[] _buffer = new byte[256 << 10];
    private int _position;
    private int _length;
    private long _content;

    /// <summary>Bytes read so far.</summary>
    public long Count { get; private set; }

    /// <summary>The next bytes are a file's content.</summary>
    /// <param name="path">Canonical.</param>
    public void BeginContent(ReadOnlySpan<byte> path, long offset, long length)
    {
        if (length > 0)
        {
            recipe.AddContent(path, offset, length);
            _content = length;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        if (_position == _length)
        {
            (_position, _length) = (0, tar.Read(_buffer));
        }

        var count = Math.Min(buffer.Length, _length - _position);
        if (_content > 0)
        {
            count = (int)Math.Min(count, _content);
            _content -= count;
        }
        else
        {
            recipe.AddLiteral(_buffer.AsSpan(_position, count));
        }

        _buffer.AsSpan(_position, count).CopyTo(buffer);
        _position += count;
        Count += count;
        return count;
    }

    /// <summary>Reads to the end: a tar may be padded beyond its last entry.</summary>
    public void Drain(CancellationToken cancellationToken)
    {
        Span<byte> scratch = stackalloc byte[8192];
        while (Read(scratch) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }
    }
}
