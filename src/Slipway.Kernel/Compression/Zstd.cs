using System.Runtime.InteropServices;

namespace Slipway.Kernel.Compression;

/// <summary>libzstd.so.1 (zstd.h, stable API). Sizes are size_t; errors are sizes for which ZSTD_isError is true.</summary>
internal static unsafe partial class Zstd
{
    public const int ZSTD_c_compressionLevel = 100;
    public const int ZSTD_c_checksumFlag = 201;
    public const int ZSTD_d_windowLogMax = 100;
    public const int ZSTD_e_continue = 0;
    public const int ZSTD_e_flush = 1;
    public const int ZSTD_e_end = 2;

    private const string Library = "libzstd.so.1";

    [LibraryImport(Library)]
    public static partial nint ZSTD_createDCtx();

    [LibraryImport(Library)]
    public static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport(Library)]
    public static partial nuint ZSTD_DCtx_setParameter(ZstdDecompressionContext context, int parameter, int value);

    [LibraryImport(Library)]
    public static partial nuint ZSTD_decompressStream(ZstdDecompressionContext context, Buffer* output, Buffer* input);

    [LibraryImport(Library)]
    public static partial nint ZSTD_createCCtx();

    [LibraryImport(Library)]
    public static partial nuint ZSTD_freeCCtx(nint context);

    [LibraryImport(Library)]
    public static partial nuint ZSTD_CCtx_setParameter(ZstdCompressionContext context, int parameter, int value);

    [LibraryImport(Library)]
    public static partial nuint ZSTD_compressStream2(ZstdCompressionContext context, Buffer* output, Buffer* input, int operation);

    [LibraryImport(Library)]
    private static partial uint ZSTD_isError(nuint code);

    [LibraryImport(Library)]
    private static partial nint ZSTD_getErrorName(nuint code);

    /// <summary>The code, or an exception where it is an error.</summary>
    public static nuint Check(nuint code) =>
        ZSTD_isError(code) == 0 ? code : throw new InvalidDataException($"zstd: {Marshal.PtrToStringUTF8(ZSTD_getErrorName(code))}");

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Buffer
    {
        public byte* Data;
        public nuint Size;
        public nuint Position;
    }
}

internal sealed class ZstdDecompressionContext : SafeHandle
{
    /// <summary>Frames may demand a window of 128 MiB, what zstd itself allows unless told otherwise; pages are touched as data arrives.</summary>
    private const int MaxWindowLog = 27;

    public ZstdDecompressionContext() : base(0, ownsHandle: true)
    {
        SetHandle(Zstd.ZSTD_createDCtx());
        if (IsInvalid)
        {
            throw new InsufficientMemoryException("ZSTD_createDCtx");
        }

        Zstd.Check(Zstd.ZSTD_DCtx_setParameter(this, Zstd.ZSTD_d_windowLogMax, MaxWindowLog));
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => Zstd.ZSTD_freeDCtx(handle) == 0;
}

internal sealed class ZstdCompressionContext : SafeHandle
{
    public ZstdCompressionContext(int level) : base(0, ownsHandle: true)
    {
        SetHandle(Zstd.ZSTD_createCCtx());
        if (IsInvalid)
        {
            throw new InsufficientMemoryException("ZSTD_createCCtx");
        }

        Zstd.Check(Zstd.ZSTD_CCtx_setParameter(this, Zstd.ZSTD_c_compressionLevel, level));
        Zstd.Check(Zstd.ZSTD_CCtx_setParameter(this, Zstd.ZSTD_c_checksumFlag, 1));
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => Zstd.ZSTD_freeCCtx(handle) == 0;
}
