using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Slipway.Oci.Tar;

/// <summary>The records of one extended header that mean something to an image (POSIX.1-2001 pax; star and libarchive extensions for xattrs; GNU sparse keys).</summary>
internal sealed class PaxRecords
{
    private const int MaxRecords = 4096;

    public byte[]? Path { get; private set; }

    public byte[]? LinkPath { get; private set; }

    public long? Size { get; private set; }

    public long? Uid { get; private set; }

    public long? Gid { get; private set; }

    public TarTime? ModificationTime { get; private set; }

    public TarTime? AccessTime { get; private set; }

    public List<TarXattr> Xattrs { get; } = [];

    public byte[]? SparseName { get; private set; }

    public long? SparseRealSize { get; private set; }

    public (long Major, long Minor) SparseVersion { get; private set; }

    /// <summary>The map of version 0.0 (one record a number) or 0.1 (one record with commas).</summary>
    public List<long>? SparseNumbers { get; private set; }

    /// <summary>Reads <c>length key=value\n</c> records.</summary>
    public static PaxRecords Parse(ReadOnlySpan<byte> data)
    {
        var records = new PaxRecords();
        var count = 0;
        while (!data.IsEmpty && data[0] != 0)
        {
            if (!Utf8Parser.TryParse(data, out int length, out var digits) || data[0] is < (byte)'0' or > (byte)'9'
                || digits >= data.Length || data[digits] != ' ' || length > data.Length || length < digits + 3 || data[length - 1] != '\n')
            {
                throw Invalid("malformed record");
            }

            var record = data[(digits + 1)..(length - 1)];
            data = data[length..];
            var equals = record.IndexOf((byte)'=');
            if (equals <= 0 || record[..equals].Contains((byte)0) || ++count > MaxRecords)
            {
                throw Invalid(count > MaxRecords ? "too many records" : "malformed record");
            }

            records.Add(record[..equals], record[(equals + 1)..]);
        }

        return records;
    }

    private void Add(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (key.StartsWith("SCHILY.xattr."u8))
        {
            AddXattr(key["SCHILY.xattr."u8.Length..], value);
            return;
        }

        if (key.StartsWith("LIBARCHIVE.xattr."u8))
        {
            AddLibarchiveXattr(key["LIBARCHIVE.xattr."u8.Length..], value);
            return;
        }

        // An empty value takes a record back (POSIX: "shall delete any header block field").
        if (value.IsEmpty)
        {
            return;
        }

        switch (Encoding.UTF8.GetString(key))
        {
            case "path": Path = NameOf(value); break;
            case "linkpath": LinkPath = NameOf(value); break;
            case "size": Size = NumberOf(value); break;
            case "uid": Uid = NumberOf(value); break;
            case "gid": Gid = NumberOf(value); break;
            case "mtime": ModificationTime = TimeOf(value); break;
            case "atime": AccessTime = TimeOf(value); break;
            case "GNU.sparse.name": SparseName = NameOf(value); break;
            case "GNU.sparse.size" or "GNU.sparse.realsize": SparseRealSize = NumberOf(value); break;
            case "GNU.sparse.major": SparseVersion = SparseVersion with { Major = NumberOf(value) }; break;
            case "GNU.sparse.minor": SparseVersion = SparseVersion with { Minor = NumberOf(value) }; break;
            case "GNU.sparse.offset" or "GNU.sparse.numbytes": (SparseNumbers ??= []).Add(NumberOf(value)); break;
            case "GNU.sparse.map": SparseNumbers = NumbersOf(value); break;
            default: break;
        }
    }

    /// <summary>An xattr named twice keeps its last value; star's form wins over libarchive's, which comes first in archives that have both.</summary>
    private void AddXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var key = name.ToArray();
        if (key.Length is 0 or > 255)
        {
            throw Invalid("bad xattr name");
        }

        Xattrs.RemoveAll(xattr => xattr.Name.AsSpan().SequenceEqual(key));
        Xattrs.Add(new TarXattr(key, value.ToArray()));
    }

    /// <summary>libarchive encodes the name like a URL and the value in base 64, without padding.</summary>
    private void AddLibarchiveXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var padded = Encoding.ASCII.GetString(value.TrimEnd((byte)'='));
        padded = padded.PadRight((padded.Length + 3) / 4 * 4, '=');
        var decoded = new byte[padded.Length];
        if (!Convert.TryFromBase64String(padded, decoded, out var length))
        {
            throw Invalid("bad xattr value");
        }

        AddXattr(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(Encoding.UTF8.GetString(name))), decoded.AsSpan(0, length));
    }

    private static byte[] NameOf(ReadOnlySpan<byte> value) => value.Contains((byte)0) ? throw Invalid("NUL in a name") : value.ToArray();

    private static long NumberOf(ReadOnlySpan<byte> value) =>
        long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw Invalid("bad number");

    private static List<long> NumbersOf(ReadOnlySpan<byte> value)
    {
        var numbers = new List<long>();
        foreach (var range in value.Split((byte)','))
        {
            numbers.Add(NumberOf(value[range]));
        }

        return numbers;
    }

    /// <summary>Decimal seconds with a fraction; digits beyond nanoseconds are cut.</summary>
    private static TarTime TimeOf(ReadOnlySpan<byte> value)
    {
        var point = value.IndexOf((byte)'.');
        var whole = point < 0 ? value : value[..point];
        var negative = whole.StartsWith("-"u8);
        var seconds = whole.SequenceEqual("-"u8) || whole.IsEmpty ? 0 : NumberOf(whole);
        var nanoseconds = 0;
        var scale = 100_000_000;
        foreach (var digit in point < 0 ? [] : value[(point + 1)..])
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                throw Invalid("bad time");
            }

            nanoseconds += (digit - '0') * scale;
            scale /= 10;
        }

        return negative && nanoseconds > 0 ? new TarTime(seconds - 1, 1_000_000_000 - nanoseconds) : new TarTime(seconds, nanoseconds);
    }

    private static OciException Invalid(string what) => new($"archive/tar: invalid tar header: pax {what}");
}
