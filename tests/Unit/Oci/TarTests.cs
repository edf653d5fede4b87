using System.Text;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Xunit;

namespace Slipway.Tests.Unit.Oci;

public sealed class TarTests
{
    private static readonly byte[] NotUtf8 = [(byte)'a', 0xff, 0xfe, (byte)'/', 0xc3];

    public static TheoryData<TarEntry> Entries => new(
        new TarEntry { Name = "plain"u8.ToArray(), Mode = 0x1ed, Uid = 1, Gid = 2, ModificationTime = new TarTime(3, 0) },
        new TarEntry { Name = NotUtf8 },
        new TarEntry { Name = Bytes(new string('n', 300)), Type = TarEntryType.SymbolicLink, LinkName = Bytes(new string('l', 5000)) },
        new TarEntry { Name = Bytes("ümläut"), Type = TarEntryType.HardLink, LinkName = NotUtf8 },
        new TarEntry { Name = "big"u8.ToArray(), Uid = 3_000_000_000, Gid = long.MaxValue, ModificationTime = new TarTime(1L << 40, 1) },
        new TarEntry { Name = "old"u8.ToArray(), ModificationTime = new TarTime(-1, 750_000_000) },
        new TarEntry { Name = "older"u8.ToArray(), ModificationTime = new TarTime(-2, 500_000_000) },
        new TarEntry { Name = "dev"u8.ToArray(), Type = TarEntryType.BlockDevice, DeviceMajor = 259, DeviceMinor = 1_000_000 },
        new TarEntry { Name = "d/"u8.ToArray(), Type = TarEntryType.Directory, Xattrs = [new("user.a"u8.ToArray(), [0, 1, (byte)'\n', 255]), new("user.b"u8.ToArray(), [])] },
        new TarEntry { Name = "p"u8.ToArray(), Type = TarEntryType.Fifo, Mode = 0xfff });

    [Theory]
    [MemberData(nameof(Entries), DisableDiscoveryEnumeration = true)]
    public void What_is_written_is_read(TarEntry entry)
    {
        var read = Single(Write(entry));
        Assert.Equal(entry.Name, read.Name);
        Assert.Equal(entry.LinkName, read.LinkName);
        Assert.Equal(
            (entry.Type, entry.Mode, entry.Uid, entry.Gid, entry.ModificationTime, entry.DeviceMajor, entry.DeviceMinor),
            (read.Type, read.Mode, read.Uid, read.Gid, read.ModificationTime, read.DeviceMajor, read.DeviceMinor));
        Assert.Equal(entry.Xattrs.Select(xattr => (Encoding.UTF8.GetString(xattr.Name), Convert.ToHexString(xattr.Value))), read.Xattrs.Select(xattr => (Encoding.UTF8.GetString(xattr.Name), Convert.ToHexString(xattr.Value))));
    }

    [Fact]
    public void Data_that_is_not_read_is_skipped()
    {
        var stream = new MemoryStream();
        var writer = new TarWriter(stream);
        writer.WriteEntry(new TarEntry { Name = "a"u8.ToArray() }, new byte[1000]);
        writer.WriteEntry(new TarEntry { Name = "b"u8.ToArray() }, "content"u8);
        writer.Finish();
        stream.Position = 0;
        var reader = new TarReader(stream);
        reader.Next();
        Assert.Equal("b"u8.ToArray(), reader.Next()!.Name);
        var buffer = new byte[100];
        Assert.Equal(7, reader.Read(buffer));
        Assert.Equal(0, reader.Read(buffer));
        Assert.Null(reader.Next());
    }

    /// <summary>Docker's client ends a context so whose Dockerfile came from standard input.</summary>
    [Fact]
    public void The_last_content_may_lack_what_fills_its_block_up()
    {
        var stream = new MemoryStream();
        var writer = new TarWriter(stream);
        writer.WriteEntry(new TarEntry { Name = "a"u8.ToArray() }, "content"u8);
        stream.SetLength(512 + 7);
        stream.Position = 0;
        var reader = new TarReader(stream);
        Assert.Equal("a"u8.ToArray(), reader.Next()!.Name);
        Assert.Null(reader.Next());
        Assert.Null(reader.Next());
    }

    [Fact]
    public void A_content_that_is_cut_is_refused()
    {
        var stream = new MemoryStream();
        var writer = new TarWriter(stream);
        writer.WriteEntry(new TarEntry { Name = "a"u8.ToArray() }, "content"u8);
        stream.SetLength(512 + 6);
        stream.Position = 0;
        var reader = new TarReader(stream);
        Assert.NotNull(reader.Next());
        Assert.Throws<OciException>(() => reader.Next());
    }

    [Fact]
    public void Numbers_may_be_in_base_256()
    {
        var tar = Write(new TarEntry { Name = "f"u8.ToArray() });
        new byte[] { 0x80, 0, 0, 0, 0xb2, 0xd0, 0x5e, 0 }.CopyTo(tar, 108);
        new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd }.CopyTo(tar, 136);
        var entry = Single(Checksummed(tar));
        Assert.Equal((3_000_000_000, -3), (entry.Uid, entry.ModificationTime.Seconds));
    }

    [Fact]
    public void A_size_below_zero_is_refused()
    {
        var tar = Write(new TarEntry { Name = "f"u8.ToArray() });
        tar.AsSpan(124, 12).Fill(0xff);
        Assert.Throws<OciException>(() => Single(Checksummed(tar)));
    }

    [Fact]
    public void A_wrong_checksum_is_refused()
    {
        var tar = Write(new TarEntry { Name = "f"u8.ToArray() });
        tar[0]++;
        Assert.Throws<OciException>(() => Single(tar));
    }

    [Theory]
    [InlineData("30 path=x\n")]
    [InlineData("9 path=x\nx")]
    [InlineData("-9 path=x\n")]
    [InlineData("10 path=x\0\n")]
    [InlineData("5 =x\n")]
    [InlineData("12 mtime=abc\n")]
    [InlineData("22 SCHILY.xattr.a\0b=x\n")]
    public void A_malformed_pax_record_is_refused(string record) => Assert.Throws<OciException>(() => Single(Special('x', Bytes(record))));

    [Fact]
    public void CVE_2026_32288_special_headers_are_bounded()
    {
        Assert.Throws<OciException>(() => Single(Special('x', new byte[(1 << 20) + 1])));
        Assert.Throws<OciException>(() => Single(Special('L', new byte[(1 << 20) + 1])));
        Assert.Throws<OciException>(() => Single([.. Enumerable.Range(0, 40).SelectMany(_ => Special('L', "name"u8.ToArray()).Take(1024))]));
    }

    [Fact]
    public void CVE_2026_32288_sparse_maps_are_bounded()
    {
        // Old GNU: blocks of segments that go on and on, ascending, each of no length.
        var stream = new EndlessSparseStream();
        var error = Assert.Throws<OciException>(() => new TarReader(stream).Next());
        Assert.Contains("sparse map", error.Message, StringComparison.Ordinal);
        Assert.InRange(stream.Position, 0, 4 << 20);
    }

    [Theory]
    [InlineData("gnu.tar", "small.txt", "small2.txt")]
    [InlineData("ustar.tar", "longname/longname/longname/longname/longname/longname/longname/longname/longname/longname/longname/longname/longname/longname/longname/file.txt")]
    [InlineData("v7.tar", "small.txt", "small2.txt")]
    [InlineData("star.tar", "small.txt", "small2.txt")]
    [InlineData("xattrs.tar", "small.txt", "small2.txt")]
    [InlineData("hardlink.tar", "file.txt", "hard.txt")]
    [InlineData("trailing-slash.tar", "123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/")]
    [InlineData("sparse-formats.tar", "sparse-gnu", "sparse-posix-0.0", "sparse-posix-0.1", "sparse-posix-1.0", "end")]
    public void Samples_of_other_writers_are_read(string sample, params string[] names) => Assert.Equal(names, Names(sample));

    [Theory]
    [InlineData("neg-size.tar")]
    [InlineData("pax-path-hdr.tar")]
    [InlineData("pax-bad-hdr-file.tar")]
    [InlineData("pax-bad-mtime-file.tar")]
    [InlineData("pax-nul-path.tar")]
    [InlineData("pax-nul-xattrs.tar")]
    [InlineData("issue10968.tar")]
    [InlineData("issue11169.tar")]
    [InlineData("issue12435.tar")]
    [InlineData("writer-big.tar")]
    public void Malformed_samples_are_refused(string sample) => Assert.Throws<OciException>(() => Names(sample));

    /// <summary>Counts as <c>tar tf</c> (GNU tar 1.34) lists them.</summary>
    [Theory]
    [InlineData("gnu-long-nul.tar", 1)]
    [InlineData("gnu-utf8.tar", 1)]
    [InlineData("gnu-not-utf8.tar", 1)]
    [InlineData("gnu-nil-sparse-data.tar", 1)]
    [InlineData("gnu-nil-sparse-hole.tar", 1)]
    [InlineData("pax-nil-sparse-data.tar", 1)]
    [InlineData("pax-nil-sparse-hole.tar", 1)]
    [InlineData("pax-pos-size-file.tar", 1)]
    [InlineData("pax-records.tar", 1)]
    [InlineData("pax-global-records.tar", 4)]
    [InlineData("ustar-file-reg.tar", 1)]
    [InlineData("ustar-file-devs.tar", 1)]
    [InlineData("file-and-dir.tar", 2)]
    [InlineData("gnu-incremental.tar", 3)]
    [InlineData("writer.tar", 3)]
    [InlineData("pax.tar", 2)]
    [InlineData("gnu-multi-hdrs.tar", 1)]
    [InlineData("pax-multi-hdrs.tar", 1)]
    [InlineData("nil-uid.tar", 1)]
    public void Odd_samples_are_read(string sample, int count) => Assert.Equal(count, Names(sample).Count);

    [Fact]
    public void All_sparse_formats_say_the_same()
    {
        var reader = new TarReader(Sample("sparse-formats.tar"));
        var maps = new List<string>();
        for (var entry = reader.Next(); entry is { Sparse: not null }; entry = reader.Next())
        {
            Assert.Equal(200, entry.Size);
            maps.Add(string.Join(' ', entry.Sparse.Where(segment => segment.Length > 0)));
        }

        Assert.Equal(4, maps.Count);
        Assert.Single(maps.Distinct());
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static byte[] Write(TarEntry entry)
    {
        var stream = new MemoryStream();
        var writer = new TarWriter(stream);
        writer.WriteEntry(entry);
        writer.Finish();
        return stream.ToArray();
    }

    private static TarEntry Single(byte[] tar)
    {
        var reader = new TarReader(new MemoryStream(tar));
        var entry = reader.Next();
        Assert.NotNull(entry);
        Assert.Null(reader.Next());
        return entry;
    }

    /// <summary>A header of the given type with its content, then an entry.</summary>
    private static byte[] Special(char type, byte[] content)
    {
        var stream = new MemoryStream();
        var writer = new TarWriter(stream);
        writer.WriteEntry(new TarEntry { Name = "header"u8.ToArray() }, content);
        writer.WriteEntry(new TarEntry { Name = "f"u8.ToArray() });
        writer.Finish();
        var tar = stream.ToArray();
        tar[156] = (byte)type;
        return Checksummed(tar);
    }

    private static byte[] Checksummed(byte[] tar)
    {
        tar.AsSpan(148, 8).Fill((byte)' ');
        var sum = 0;
        foreach (var value in tar.AsSpan(0, 512))
        {
            sum += value;
        }

        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(tar, 148);
        return tar;
    }

    private static List<string> Names(string sample)
    {
        using var stream = Sample(sample);
        var reader = new TarReader(stream);
        var names = new List<string>();
        while (reader.Next() is { } entry)
        {
            names.Add(entry.DisplayName);
        }

        return names;
    }

    private static FileStream Sample(string name)
    {
        Assert.SkipWhen(Samples.Directory is null, "SLIPWAY_SHARED does not lead to a folder with images/");
        return File.OpenRead(Path.Combine(Samples.Directory!, "images", "layers", "tar", name));
    }

    private sealed class EndlessSparseStream : Stream
    {
        private readonly byte[] _header = Header();
        private readonly byte[] _block = new byte[512];
        private long _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => _position; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            var source = _header;
            if (_position >= 512)
            {
                for (var i = 0; i < 21; i++)
                {
                    Encoding.ASCII.GetBytes("00000000001\000000000000\0").CopyTo(_block, i * 24);
                }

                _block[504] = 1;
                source = _block;
            }

            var from = (int)(_position % 512);
            var copied = Math.Min(count, 512 - from);
            Array.Copy(source, from, buffer, offset, copied);
            _position += copied;
            return copied;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        private static byte[] Header()
        {
            var header = TarTests.Write(new TarEntry { Name = "sparse"u8.ToArray() })[..512];
            "ustar  \0"u8.CopyTo(header.AsSpan(257));
            header[156] = (byte)'S';
            header[482] = 1;
            return Checksummed(header);
        }
    }
}

/// <summary>Data made by others, which the project does not ship: see CONTRIBUTING.md.</summary>
internal static class Samples
{
    public static string? Directory { get; } = Find();

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("SLIPWAY_SHARED") is { Length: > 0 } given)
        {
            return given;
        }

        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Slipway.slnx")))
            {
                var shared = Path.Combine(directory.FullName, "..", "shared");
                return System.IO.Directory.Exists(Path.Combine(shared, "images")) ? shared : null;
            }
        }

        return null;
    }
}
