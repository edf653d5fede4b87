using System.Runtime.InteropServices;

namespace Slipway.Kernel.Compression;

/// <summary>Decompresses .bz2: any number of streams, one after the other, in less than 4 MB of memory.</summary>
internal sealed unsafe class Bzip2DecompressionStream : ReadOnlyStream
{
    private readonly Stream _source;
    private readonly byte[] _input = new byte[128 << 10];
    private Bzip2StreamHandle _decoder = new();
    private int _position;
    private int _length;
    private bool _between;

    public Bzip2DecompressionStream(Stream source) => _source = source;

    public override int Read(Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            if (_position == _length)
            {
                (_position, _length) = (0, _source.Read(_input, 0, _input.Length));
                if (_length == 0)
                {
                    return _between ? 0 : throw new InvalidDataException("bzip2: unexpected end of the compressed data");
                }
            }

            if (_between)
            {
                _decoder.Dispose();
                (_decoder, _between) = (new Bzip2StreamHandle(), false);
            }

            int produced = Decode(buffer);
            if (produced > 0)
            {
                return produced;
            }
        }

        return 0;
    }

    private int Decode(Span<byte> buffer)
    {
        fixed (byte* input = _input, output = buffer)
        {
            Bzip2.Stream* stream = _decoder.Stream;
            stream->NextIn = input + _position;
            stream->AvailableIn = (uint)(_length - _position);
            stream->NextOut = output;
            stream->AvailableOut = (uint)buffer.Length;
            int code = Bzip2.BZ2_bzDecompress(stream);
            _position = _length - (int)stream->AvailableIn;
            _between = code == Bzip2.BZ_STREAM_END;
            return code is Bzip2.BZ_OK or Bzip2.BZ_STREAM_END ? buffer.Length - (int)stream->AvailableOut
                : code == Bzip2.BZ_MEM_ERROR ? throw new InsufficientMemoryException("bzip2: no memory")
                : throw new InvalidDataException($"bzip2: corrupt data (code {code})");
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

/// <summary>libbz2.so.1.0 (bzlib.h).</summary>
internal static unsafe partial class Bzip2
{
    public const int BZ_OK = 0;
    public const int BZ_STREAM_END = 4;
    public const int BZ_MEM_ERROR = -3;

    private const string Library = "libbz2.so.1.0";

    [LibraryImport(Library)]
    public static partial int BZ2_bzDecompressInit(Stream* stream, int verbosity, int small);

    [LibraryImport(Library)]
    public static partial int BZ2_bzDecompress(Stream* stream);

    [LibraryImport(Library)]
    public static partial int BZ2_bzDecompressEnd(Stream* stream);

    /// <summary>bz_stream; all zero before it is initialised: the library's own allocation.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 80)]
    public struct Stream
    {
        public byte* NextIn;
        public uint AvailableIn;
        public uint TotalInLow;
        public uint TotalInHigh;
        public byte* NextOut;
        public uint AvailableOut;
    }
}

/// <summary>Owns a bz_stream, which must not move: libbz2 points back at it.</summary>
internal sealed unsafe class Bzip2StreamHandle : SafeHandle
{
    public Bzip2StreamHandle() : base(0, ownsHandle: true)
    {
        SetHandle((nint)NativeMemory.AllocZeroed((nuint)sizeof(Bzip2.Stream)));
        int code = Bzip2.BZ2_bzDecompressInit(Stream, verbosity: 0, small: 0);
        if (code != Bzip2.BZ_OK)
        {
            throw new InsufficientMemoryException($"BZ2_bzDecompressInit: code {code}");
        }
    }

    public override bool IsInvalid => handle == 0;

    public Bzip2.Stream* Stream => (Bzip2.Stream*)handle;

    protected override bool ReleaseHandle()
    {
        _ = Bzip2.BZ2_bzDecompressEnd(Stream);
        NativeMemory.Free((void*)handle);
        return true;
    }
}
