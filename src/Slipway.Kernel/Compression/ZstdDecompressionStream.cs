namespace Slipway.Kernel.Compression;

/// <summary>Decompresses zstd: any number of frames, one after the other.</summary>
internal sealed unsafe class ZstdDecompressionStream(Stream source) : ReadOnlyStream
{
    private readonly ZstdDecompressionContext _context = new();
    private readonly byte[] _input = new byte[128 << 10];
    private int _position;
    private int _length;
    private bool _insideFrame;

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        while (true)
        {
            if (_position == _length)
            {
                (_position, _length) = (0, source.Read(_input, 0, _input.Length));
            }

            var atEnd = _length == 0;
            if (atEnd && !_insideFrame)
            {
                return 0;
            }

            var produced = Decompress(buffer);
            if (produced > 0)
            {
                return produced;
            }

            if (atEnd && _insideFrame)
            {
                throw new InvalidDataException("zstd: unexpected end of the compressed data");
            }
        }
    }

    private int Decompress(Span<byte> buffer)
    {
        fixed (byte* input = _input, output = buffer)
        {
            Zstd.Buffer from = new() { Data = input, Size = (nuint)_length, Position = (nuint)_position };
            Zstd.Buffer to = new() { Data = output, Size = (nuint)buffer.Length };

            // 0 says that a frame was decoded and flushed completely (zstd.h).
            _insideFrame = Zstd.Check(Zstd.ZSTD_decompressStream(_context, &to, &from)) != 0;
            _position = (int)from.Position;
            return (int)to.Position;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _context.Dispose();
            source.Dispose();
        }

        base.Dispose(disposing);
    }
}
