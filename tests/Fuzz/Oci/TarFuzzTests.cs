using FsCheck;
using FsCheck.Fluent;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Xunit;

namespace Slipway.Tests.Fuzz.Oci;

/// <summary>Whatever the bytes, a reader answers with an entry or with an <see cref="OciException"/>, and ends.</summary>
public sealed class TarFuzzTests
{
    private const int Runs = 3000;

    [Fact]
    public void Damaged_archives_are_read_or_refused() =>
        Prop.ForAll(Arb.From(Damage()), damage => Read(Apply(damage, fixChecksums: false))).Check(Config.QuickThrowOnFailure.WithMaxTest(Runs));

    [Fact]
    public void Damaged_archives_with_right_checksums_are_read_or_refused() =>
        Prop.ForAll(Arb.From(Damage()), damage => Read(Apply(damage, fixChecksums: true))).Check(Config.QuickThrowOnFailure.WithMaxTest(Runs));

    [Fact]
    public void What_is_written_is_read() =>
        Prop.ForAll(Arb.From(Entries()), entry =>
        {
            var stream = new MemoryStream();
            var writer = new TarWriter(stream);
            writer.WriteEntry(entry);
            writer.Finish();
            stream.Position = 0;
            var read = new TarReader(stream).Next()!;
            return read.Name.AsSpan().SequenceEqual(entry.Name) && read.LinkName.AsSpan().SequenceEqual(entry.LinkName)
                && (read.Uid, read.Gid, read.Mode, read.ModificationTime) == (entry.Uid, entry.Gid, entry.Mode, entry.ModificationTime);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(Runs));

    private static Gen<(int Offset, byte Value)[]> Damage() =>
        from count in Gen.Choose(1, 12)
        from changes in Gen.ArrayOf(
            from offset in Gen.Choose(0, Template.Length - 1)
            from value in Gen.Choose(0, 255)
            select (offset, (byte)value), count)
        select changes;

    private static Gen<TarEntry> Entries() =>
        from name in Names()
        from link in Names()
        from uid in Gen.Choose(0, int.MaxValue)
        from seconds in Gen.Choose(int.MinValue, int.MaxValue)
        from nanoseconds in Gen.Choose(0, 999_999_999)
        select new TarEntry
        {
            Name = name,
            Type = TarEntryType.SymbolicLink,
            LinkName = link,
            Uid = uid * 3L,
            Gid = uid,
            Mode = (uint)uid & 0xfff,
            ModificationTime = new TarTime(seconds * 5L, nanoseconds),
        };

    /// <summary>Bytes of a file name: all but NUL.</summary>
    private static Gen<byte[]> Names() =>
        from length in Gen.Choose(1, 400)
        from bytes in Gen.ArrayOf(Gen.Choose(1, 255).Select(value => (byte)value), length)
        select bytes;

    private static readonly byte[] Template = MakeTemplate();

    private static byte[] MakeTemplate()
    {
        var stream = new MemoryStream();
        var writer = new TarWriter(stream);
        writer.WriteEntry(new TarEntry { Name = new byte[200].Select(_ => (byte)'n').ToArray(), Xattrs = [new("user.a"u8.ToArray(), [1, 2, 3])], ModificationTime = new TarTime(1, 2) }, new byte[700]);
        writer.WriteEntry(new TarEntry { Name = "d/"u8.ToArray(), Type = TarEntryType.Directory });
        writer.WriteEntry(new TarEntry { Name = "l"u8.ToArray(), Type = TarEntryType.HardLink, LinkName = "d"u8.ToArray() });
        writer.Finish();
        return stream.ToArray();
    }

    private static byte[] Apply((int Offset, byte Value)[] damage, bool fixChecksums)
    {
        var tar = Template.ToArray();
        foreach (var (offset, value) in damage)
        {
            tar[offset] = value;
        }

        for (var block = 0; fixChecksums && block + 512 <= tar.Length; block += 512)
        {
            var header = tar.AsSpan(block, 512);
            if (header.Slice(257, 5).SequenceEqual("ustar"u8))
            {
                header.Slice(148, 8).Fill((byte)' ');
                var sum = 0;
                foreach (var value in header)
                {
                    sum += value;
                }

                System.Text.Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(header[148..]);
            }
        }

        return tar;
    }

    private static bool Read(byte[] tar)
    {
        try
        {
            var reader = new TarReader(new MemoryStream(tar));
            var buffer = new byte[512];
            for (var entries = 0; reader.Next() is not null; entries++)
            {
                while (reader.Read(buffer) > 0)
                {
                }

                if (entries > tar.Length / 512)
                {
                    return false;
                }
            }

            return true;
        }
        catch (OciException)
        {
            return true;
        }
    }
}
