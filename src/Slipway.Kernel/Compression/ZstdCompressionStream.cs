namespace Slipway.Kernel.Compression;

/// <summary>Compresses to one zstd frame, which disposing ends; the destination stays open.</summary>
/// <param name="level">1 (fast) to 19 (small).</param>
public sealed unsafe class ZstdCompressionStream(Stream destination, int level) : Stream
{
    private readonly ZstdCompressionContext _context = new(level);
    private readonly byte[] _output = new byte[128 << 10];
    private bool _ended;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(ReadOnlySpan<byte> buffer) => Compress(buffer, Zstd.ZSTD_e_continue);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        Compress([], Zstd.ZSTD_e_flush);
        destination.Flush();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_ended)
        {
            _ended = true;
            Compress([], Zstd.ZSTD_e_end);
            _context.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Compress(ReadOnlySpan<byte> data, int operation)
    {
        fixed (byte* input = data, output = _output)
        {
            Zstd.Buffer from = new() { Data = input, Size = (nuint)data.Length };
            nuint left;
            do
            {
                Zstd.Buffer to = new() { Data = output, Size = (nuint)_output.Length };
                left = Zstd.Check(Zstd.ZSTD_compressStream2(_context, &to, &from, operation));
                destination.Write(_output, 0, (int)to.Position);
            }
            while (operation == Zstd.ZSTD_e_continue ? from.Position < from.Size : left > 0);
        }
    }
}
