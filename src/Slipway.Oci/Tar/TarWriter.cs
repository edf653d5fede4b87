using System.Globalization;
using System.Text;

namespace Slipway.Oci.Tar;

/// <summary>
/// Writes a tar: ustar headers, with a pax header before where ustar cannot say something (long or non-ASCII names, big
/// numbers, fractions of seconds, xattrs). The caller writes exactly as many bytes as an entry's size says.
/// </summary>
/// <param name="destination">Written synchronously and not disposed.</param>
public sealed class TarWriter(Stream destination)
{
    private const long MaxOctal7 = (1 << 21) - 1;
    private const long MaxOctal11 = (1L << 33) - 1;

    private static readonly byte[] Zeros = new byte[2 * TarHeader.BlockSize];

    private long _dataLeft;
    private int _padding;

    /// <summary>Starts an entry; sparse files are written with their holes as zeros.</summary>
    public void WriteEntry(TarEntry entry)
    {
        FinishData();
        if (Pax(entry) is { Length: > 0 } pax)
        {
            WriteHeader(entry with { Name = [.. "PaxHeaders.0/"u8, .. Cut(entry.Name)], Mode = 0x1a4, Uid = 0, Gid = 0, LinkName = [], DeviceMajor = 0, DeviceMinor = 0 }, 'x', pax.Length);
            destination.Write(pax);
            destination.Write(Zeros, 0, Padding(pax.Length));
        }

        var size = entry.Type == TarEntryType.Regular ? entry.Size : 0;
        WriteHeader(entry, Flag(entry.Type), size);
        (_dataLeft, _padding) = (size, Padding(size));
    }

    /// <summary>Adds data to the entry started last.</summary>
    public void WriteData(ReadOnlySpan<byte> data)
    {
        if (data.Length > _dataLeft)
        {
            throw new InvalidOperationException("more data than the entry's size");
        }

        destination.Write(data);
        _dataLeft -= data.Length;
    }

    /// <summary>All data of the entry started last has been written to the destination by another way.</summary>
    public void DataWritten() => _dataLeft = 0;

    /// <summary>Writes an entry with all its data.</summary>
    public void WriteEntry(TarEntry entry, ReadOnlySpan<byte> data)
    {
        WriteEntry(entry with { Size = data.Length });
        WriteData(data);
    }

    /// <summary>Completes the entry started last, where the tar goes on by another writer.</summary>
    public void EndEntry() => FinishData();

    /// <summary>Writes the two zero blocks at the end.</summary>
    public void Finish()
    {
        FinishData();
        destination.Write(Zeros);
    }

    private void FinishData()
    {
        if (_dataLeft != 0)
        {
            throw new InvalidOperationException("less data than the entry's size");
        }

        destination.Write(Zeros, 0, _padding);
        _padding = 0;
    }

    private static int Padding(long size) => (int)(-size & (TarHeader.BlockSize - 1));

    private static ReadOnlySpan<byte> Cut(byte[] name) => name.AsSpan(0, Math.Min(name.Length, 80));

    private void WriteHeader(TarEntry entry, char flag, long size)
    {
        Span<byte> block = stackalloc byte[TarHeader.BlockSize];
        block.Clear();
        entry.Name.AsSpan(0, Math.Min(entry.Name.Length, TarHeader.Name.Length)).CopyTo(block);
        Octal(block.Field(TarHeader.Mode), entry.Mode);
        Octal(block.Field(TarHeader.Uid), entry.Uid is >= 0 and <= MaxOctal7 ? entry.Uid : 0);
        Octal(block.Field(TarHeader.Gid), entry.Gid is >= 0 and <= MaxOctal7 ? entry.Gid : 0);
        Octal(block.Field(TarHeader.Size), size <= MaxOctal11 ? size : 0);
        Octal(block.Field(TarHeader.ModificationTime), entry.ModificationTime.Seconds is >= 0 and <= MaxOctal11 ? entry.ModificationTime.Seconds : 0);
        block[TarHeader.TypeOffset] = (byte)flag;
        entry.LinkName.AsSpan(0, Math.Min(entry.LinkName.Length, TarHeader.LinkName.Length)).CopyTo(block.Field(TarHeader.LinkName));
        TarHeader.UstarMagic.CopyTo(block.Field(TarHeader.Magic));
        "00"u8.CopyTo(block[(TarHeader.Magic.Offset + 6)..]);
        Octal(block.Field(TarHeader.DeviceMajor), entry.DeviceMajor);
        Octal(block.Field(TarHeader.DeviceMinor), entry.DeviceMinor);
        Octal(block.Field(TarHeader.Checksum)[..7], TarHeader.Sums(block).Unsigned);
        block[TarHeader.Checksum.Offset + 7] = (byte)' ';
        destination.Write(block);
    }

    private static void Octal(Span<byte> field, long value)
    {
        for (var i = field.Length - 2; i >= 0; i--)
        {
            field[i] = (byte)('0' + (value & 7));
            value >>= 3;
        }
    }

    private static char Flag(TarEntryType type) => type switch
    {
        TarEntryType.Regular => '0',
        TarEntryType.HardLink => '1',
        TarEntryType.SymbolicLink => '2',
        TarEntryType.CharacterDevice => '3',
        TarEntryType.BlockDevice => '4',
        TarEntryType.Directory => '5',
        TarEntryType.Fifo => '6',
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    private static byte[] Pax(TarEntry entry)
    {
        var records = new MemoryStream();
        if (!FitsName(entry.Name, TarHeader.Name.Length))
        {
            Record(records, "path"u8, entry.Name);
        }

        if (!FitsName(entry.LinkName, TarHeader.LinkName.Length))
        {
            Record(records, "linkpath"u8, entry.LinkName);
        }

        NumberRecord(records, "uid"u8, entry.Uid, MaxOctal7);
        NumberRecord(records, "gid"u8, entry.Gid, MaxOctal7);
        if (entry.Type == TarEntryType.Regular)
        {
            NumberRecord(records, "size"u8, entry.Size, MaxOctal11);
        }

        var time = entry.ModificationTime;
        if (time.Nanoseconds != 0 || time.Seconds is < 0 or > MaxOctal11)
        {
            Record(records, "mtime"u8, Time(time));
        }

        foreach (var xattr in entry.Xattrs)
        {
            Record(records, [.. "SCHILY.xattr."u8, .. xattr.Name], xattr.Value);
        }

        return records.ToArray();
    }

    private static bool FitsName(byte[] name, int length) => name.Length <= length && System.Text.Ascii.IsValid(name);

    private static void NumberRecord(MemoryStream records, ReadOnlySpan<byte> key, long value, long max)
    {
        if (value < 0 || value > max)
        {
            Record(records, key, Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)));
        }
    }

    private static byte[] Time(TarTime time)
    {
        // Pax writes times as signed decimals: -0.25 is second -1 and 750 000 000 ns.
        var (seconds, nanoseconds) = time.Seconds < 0 && time.Nanoseconds > 0 ? (time.Seconds + 1, 1_000_000_000 - time.Nanoseconds) : (time.Seconds, time.Nanoseconds);
        var sign = time.Seconds < 0 && seconds == 0 ? "-" : "";
        var fraction = nanoseconds == 0 ? "" : "." + nanoseconds.ToString("D9", CultureInfo.InvariantCulture).TrimEnd('0');
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{sign}{seconds}{fraction}"));
    }

    /// <summary>The length at the front counts itself.</summary>
    private static void Record(MemoryStream records, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        var body = key.Length + value.Length + 3;
        var length = body + Digits(body);
        length = body + Digits(length);
        records.Write(Encoding.ASCII.GetBytes(length.ToString(CultureInfo.InvariantCulture)));
        records.WriteByte((byte)' ');
        records.Write(key);
        records.WriteByte((byte)'=');
        records.Write(value);
        records.WriteByte((byte)'\n');
    }

    private static int Digits(int value) => value.ToString(CultureInfo.InvariantCulture).Length;
}
