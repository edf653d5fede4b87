using System.Runtime.InteropServices;

namespace Slipway.Kernel.Compression;

/// <summary>Decompresses .xz: any number of streams, one after the other, in at most 128 MiB of memory (<c>xz -9</c> needs 65).</summary>
internal sealed unsafe class XzDecompressionStream : ReadOnlyStream
{
    private const ulong MaxMemory = 128UL << 20;

    private readonly Stream _source;
    private readonly LzmaStreamHandle _decoder = new(MaxMemory);
    private readonly byte[] _input = new byte[128 << 10];
    private int _position;
    private int _length;
    private bool _ended;

    public XzDecompressionStream(Stream source) => _source = source;

    public override int Read(Span<byte> buffer)
    {
        while (!_ended && !buffer.IsEmpty)
        {
            if (_position == _length)
            {
                (_position, _length) = (0, _source.Read(_input, 0, _input.Length));
            }

            var produced = Decode(buffer, _length == 0 ? Lzma.LZMA_FINISH : Lzma.LZMA_RUN);
            if (produced > 0)
            {
                return produced;
            }
        }

        return 0;
    }

    private int Decode(Span<byte> buffer, int action)
    {
        fixed (byte* input = _input, output = buffer)
        {
            var stream = _decoder.Stream;
            stream->NextIn = input + _position;
            stream->AvailableIn = (nuint)(_length - _position);
            stream->NextOut = output;
            stream->AvailableOut = (nuint)buffer.Length;
            var code = Lzma.lzma_code(_decoder.Stream, action);
            _position = _length - (int)stream->AvailableIn;
            _ended = code == Lzma.LZMA_STREAM_END;
            return code switch
            {
                Lzma.LZMA_OK or Lzma.LZMA_STREAM_END => buffer.Length - (int)stream->AvailableOut,
                Lzma.LZMA_MEMLIMIT_ERROR => throw new InvalidDataException("xz: the data needs more memory than allowed"),
                Lzma.LZMA_BUF_ERROR => throw new InvalidDataException("xz: unexpected end of the compressed data"),
                _ => throw new InvalidDataException($"xz: corrupt data (code {code})"),
            };
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _decoder.Dispose();
            _source.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>liblzma.so.5 (lzma/base.h, lzma/container.h).</summary>
internal static unsafe partial class Lzma
{
    public const int LZMA_OK = 0;
    public const int LZMA_STREAM_END = 1;
    public const int LZMA_MEMLIMIT_ERROR = 6;
    public const int LZMA_BUF_ERROR = 10;
    public const int LZMA_RUN = 0;
    public const int LZMA_FINISH = 3;
    public const uint LZMA_CONCATENATED = 0x08;

    private const string Library = "liblzma.so.5";

    [LibraryImport(Library)]
    public static partial int lzma_stream_decoder(Stream* stream, ulong memoryLimit, uint flags);

    [LibraryImport(Library)]
    public static partial int lzma_code(Stream* stream, int action);

    [LibraryImport(Library)]
    public static partial void lzma_end(Stream* stream);

    /// <summary>lzma_stream, 136 bytes on 64-bit machines; all zero before it is initialised.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 136)]
    public struct Stream
    {
        public byte* NextIn;
        public nuint AvailableIn;
        public ulong TotalIn;
        public byte* NextOut;
        public nuint AvailableOut;
        public ulong TotalOut;
    }
}

/// <summary>Owns an lzma_stream, which must not move: liblzma points back at it.</summary>
internal sealed unsafe class LzmaStreamHandle : SafeHandle
{
    public LzmaStreamHandle(ulong memoryLimit) : base(0, ownsHandle: true)
    {
        SetHandle((nint)NativeMemory.AllocZeroed((nuint)sizeof(Lzma.Stream)));
        var code = Lzma.lzma_stream_decoder(Stream, memoryLimit, Lzma.LZMA_CONCATENATED);
        if (code != Lzma.LZMA_OK)
        {
            throw new InsufficientMemoryException($"lzma_stream_decoder: code {code}");
        }
    }

    public override bool IsInvalid => handle == 0;

    public Lzma.Stream* Stream => (Lzma.Stream*)handle;

    protected override bool ReleaseHandle()
    {
        Lzma.lzma_end(Stream);
        NativeMemory.Free((void*)handle);
        return true;
    }
}
