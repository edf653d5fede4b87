using System.IO.Compression;

namespace Slipway.Kernel.Compression;

public enum CompressionFormat
{
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// <summary>How far compressed data may expand.</summary>
/// <param name="MaxRatio">Bytes out per byte in.</param>
/// <param name="RatioFrom">Bytes out up to which the ratio does not matter.</param>
/// <param name="MaxBytes">Bytes out in all.</param>
public sealed record ExpansionLimits(int MaxRatio, long RatioFrom, long MaxBytes);

/// <summary>
/// Opens compressed streams by what they hold, not by what they are called. Everything is decompressed in this process:
/// no program of a container or host takes part (CVE-2026-41567). Malformed data is an <see cref="InvalidDataException"/>.
/// </summary>
public static class Decompression
{
    /// <summary>Bytes that <see cref="Detect"/> looks at.</summary>
    public const int MagicLength = 6;

    /// <summary>The format by its magic number (RFC 1952, RFC 8878, the .xz file format, bzip2's manual).</summary>
    public static CompressionFormat Detect(ReadOnlySpan<byte> head) =>
        head.StartsWith<byte>([0x1f, 0x8b, 0x08]) ? CompressionFormat.Gzip
        : head.StartsWith<byte>([0x28, 0xb5, 0x2f, 0xfd]) || IsSkippableFrame(head) ? CompressionFormat.Zstd
        : head.StartsWith<byte>([0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0]) ? CompressionFormat.Xz
        : head.StartsWith("BZh"u8) && head.Length > 3 && head[3] is >= (byte)'1' and <= (byte)'9' ? CompressionFormat.Bzip2
        : CompressionFormat.None;

    /// <summary>A stream of the decompressed data of <paramref name="source"/>, whatever its format.</summary>
    /// <param name="source">Read synchronously; disposed with the result.</param>
    /// <param name="limits">Null for data that cannot expand into anything that matters.</param>
    public static Stream Open(Stream source, ExpansionLimits? limits) => Open(source, limits, out _);

    /// <inheritdoc cref="Open(Stream, ExpansionLimits?)"/>
    /// <param name="format">What was found.</param>
    public static Stream Open(Stream source, ExpansionLimits? limits, out CompressionFormat format)
    {
        var head = new byte[MagicLength];
        var length = source.ReadAtLeast(head, MagicLength, throwOnEndOfStream: false);
        format = Detect(head.AsSpan(0, length));
        var input = new CountingStream(new PrefixedStream(head.AsMemory(0, length), source));
        Stream output = format switch
        {
            CompressionFormat.None => input,
            CompressionFormat.Gzip => new GZipStream(input, CompressionMode.Decompress),
            CompressionFormat.Zstd => new ZstdDecompressionStream(input),
            CompressionFormat.Xz => new XzDecompressionStream(input),
            CompressionFormat.Bzip2 => new Bzip2DecompressionStream(input),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        return limits is null || format == CompressionFormat.None ? output : new ExpansionGuardStream(output, input, limits);
    }

    /// <summary>Frames with user data may come first (RFC 8878, 3.1.2): 0x184D2A50 to 0x184D2A5F, little-endian.</summary>
    private static bool IsSkippableFrame(ReadOnlySpan<byte> head) => head.Length >= 4 && (head[0] & 0xf0) == 0x50 && head[1..4].SequenceEqual<byte>([0x2a, 0x4d, 0x18]);
}
