using System.IO.Compression;
using Slipway.Kernel.Compression;
using Xunit;

namespace Slipway.Tests.Unit.Compression;

public sealed class DecompressionTests
{
    /// <summary>printf 'hello xz\n' | xz</summary>
    private const string HelloXz =
        "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAIaGVsbG8geHoKAAAAAMFJOvpjUhRaAAEhCWwYxdUftvN9AQAAAAAEWVo=";

    /// <summary>printf 'hello bz\n' | bzip2</summary>
    private const string HelloBzip2 =
        "QlpoOTFBWSZTWQ7qzPwAAAJRgAAQQAASRIAQIAAiGmjahDAgHNhR4u5IpwoSAd1Zn4A=";

    /// <summary>"BZh" and the size of the blocks.</summary>
    private const int MinimumBzip2 = 4;

    [Theory]
    [InlineData(CompressionFormat.None)]
    [InlineData(CompressionFormat.Gzip)]
    [InlineData(CompressionFormat.Zstd)]
    public void What_was_compressed_comes_out(CompressionFormat format)
    {
        var data = Data(3_000_000);
        using var stream = Decompression.Open(new MemoryStream(Compress(data, format)), null, out var found);
        Assert.Equal(format, found);
        Assert.Equal(data, ReadAll(stream));
    }

    [Theory]
    [InlineData(CompressionFormat.Gzip)]
    [InlineData(CompressionFormat.Zstd)]
    public void Several_members_are_one_stream(CompressionFormat format)
    {
        byte[] data = [.. Compress(Data(1000), format), .. Compress(Data(2000), format)];
        using var stream = Decompression.Open(new MemoryStream(data), null);
        Assert.Equal([.. Data(1000), .. Data(2000)], ReadAll(stream));
    }

    [Theory]
    [InlineData(CompressionFormat.Gzip)]
    [InlineData(CompressionFormat.Zstd)]
    public void Truncated_data_is_an_error(CompressionFormat format)
    {
        var data = Compress(Data(500_000), format);
        using var stream = Decompression.Open(new MemoryStream(data, 0, data.Length - 20), null);
        Assert.Throws<InvalidDataException>(() => ReadAll(stream));
    }

    [Theory]
    [InlineData(CompressionFormat.Gzip)]
    [InlineData(CompressionFormat.Zstd)]
    public void Corrupt_data_is_an_error(CompressionFormat format)
    {
        var data = Compress(Data(500_000), format);
        data.AsSpan(1000, 200).Fill(0xff);
        using var stream = Decompression.Open(new MemoryStream(data), null);
        Assert.Throws<InvalidDataException>(() => ReadAll(stream));
    }

    [Fact]
    public void Xz_is_read()
    {
        using var stream = Decompression.Open(new MemoryStream(Convert.FromBase64String(HelloXz)), null, out var found);
        Assert.Equal(CompressionFormat.Xz, found);
        Assert.Equal("hello xz\n"u8.ToArray(), ReadAll(stream));
    }

    [Fact]
    public void Truncated_and_corrupt_xz_is_an_error()
    {
        var data = Convert.FromBase64String(HelloXz);
        Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream(data, 0, data.Length - 8), null)));
        data[30] ^= 0xff;
        Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream(data), null)));
    }

    [Fact]
    public void Bzip2_is_read_also_in_several_streams()
    {
        byte[] hello = Convert.FromBase64String(HelloBzip2);
        using var stream = Decompression.Open(new MemoryStream([.. hello, .. hello]), null, out var found);
        Assert.Equal(CompressionFormat.Bzip2, found);
        Assert.Equal("hello bz\nhello bz\n"u8.ToArray(), ReadAll(stream));
    }

    [Fact]
    public void Truncated_and_corrupt_bzip2_is_an_error()
    {
        var data = Convert.FromBase64String(HelloBzip2);
        for (var length = MinimumBzip2; length < data.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream(data, 0, length), null)));
        }

        Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream([.. data, .. "no bzip2"u8]), null)));
        data[30] ^= 0xff;
        Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream(data), null)));
    }

    [Fact]
    public void Expansion_is_bounded_by_ratio_and_size()
    {
        var bomb = Compress(new byte[20_000_000], CompressionFormat.Zstd);
        Assert.Equal(20_000_000, ReadAll(Decompression.Open(new MemoryStream(bomb), new ExpansionLimits(10, 30_000_000, 30_000_000))).Length);
        Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream(bomb), new ExpansionLimits(10, 1_000_000, 30_000_000))));
        Assert.Throws<InvalidDataException>(() => ReadAll(Decompression.Open(new MemoryStream(bomb), new ExpansionLimits(int.MaxValue, 0, 10_000_000))));
    }

    [Fact]
    public void A_window_beyond_the_limit_is_refused()
    {
        // A frame header that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2: exponent 21, log 31).
        byte[] frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        using var stream = Decompression.Open(new MemoryStream(frame), null);
        Assert.Throws<InvalidDataException>(() => ReadAll(stream));
    }

    [Fact]
    public void Empty_and_short_input_is_not_compressed()
    {
        Assert.Empty(ReadAll(Decompression.Open(new MemoryStream(), null)));
        Assert.Equal([1, 2], ReadAll(Decompression.Open(new MemoryStream([1, 2]), null)));
    }

    private static byte[] Data(int length)
    {
        var data = new byte[length];
        new Random(length).NextBytes(data.AsSpan(0, length / 2));
        return data;
    }

    private static byte[] Compress(byte[] data, CompressionFormat format)
    {
        if (format == CompressionFormat.None)
        {
            return data;
        }

        var compressed = new MemoryStream();
        using (Stream stream = format == CompressionFormat.Gzip ? new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true) : new ZstdCompressionStream(compressed, 3))
        {
            stream.Write(data);
        }

        return compressed.ToArray();
    }

    private static byte[] ReadAll(Stream stream)
    {
        var all = new MemoryStream();
        stream.CopyTo(all);
        return all.ToArray();
    }
}
