namespace Slipway.Oci.Tar;

/// <summary>
/// Reads a tar forwards: v7, ustar, pax, GNU and star forms, with GNU's four sparse forms. Memory is bounded whatever
/// the archive says: special headers and sparse maps have 1 MiB at most (CVE-2026-32288), data is never buffered whole.
/// </summary>
/// <param name="source">Read synchronously and not disposed.</param>
public sealed class TarReader(Stream source)
{
    private const int MaxSpecialSize = 1 << 20;
    private const int MaxSpecialHeaders = 16;

    private readonly byte[] _block = new byte[TarHeader.BlockSize];
    private long _dataLeft;
    private int _padding;
    private bool _ended;

    /// <summary>Whether something begins like a tar: with a header block whose sum is right.</summary>
    public static bool IsHeader(ReadOnlySpan<byte> start)
    {
        if (start.Length < TarHeader.BlockSize)
        {
            return false;
        }

        var block = start[..TarHeader.BlockSize];
        var field = block.Field(TarHeader.Checksum);
        return TarHeader.TryNumber(field, out var stored) && stored > 0 && TarHeader.Sums(block) is var sums && (stored == sums.Unsigned || stored == sums.Signed);
    }

    /// <summary>Moves to the next entry, or returns null at the end of the archive. Data of the last one that was not read is skipped.</summary>
    /// <exception cref="OciException">The archive is malformed or ends in the middle of an entry.</exception>
    public TarEntry? Next()
    {
        Skip(_dataLeft);
        SkipPadding();
        _dataLeft = 0;
        byte[]? longName = null, longLink = null;
        PaxRecords? pax = null;
        for (var special = 0; special <= MaxSpecialHeaders; special++)
        {
            if (_ended || !ReadHeader())
            {
                _ended = true;
                return longName is null && longLink is null && pax is null ? null : throw Truncated();
            }

            ReadOnlySpan<byte> block = _block;
            switch ((char)block[TarHeader.TypeOffset])
            {
                case 'x' or 'X':
                    pax = PaxRecords.Parse(ReadSpecial());
                    break;
                case 'g':
                    // Defaults for all later entries; no builder of images writes any, and Docker ignores them too.
                    ReadSpecial();
                    break;
                case 'L':
                    longName = TarHeader.Text(ReadSpecial()).ToArray();
                    break;
                case 'K':
                    longLink = TarHeader.Text(ReadSpecial()).ToArray();
                    break;
                default:
                    return Entry(longName, longLink, pax);
            }
        }

        throw new OciException("archive/tar: invalid tar header: too many headers for one entry");
    }

    /// <summary>Reads data of the current entry as stored: for a sparse file the segments one after the other. Returns 0 at its end.</summary>
    public int Read(Span<byte> buffer)
    {
        if (_dataLeft == 0 || buffer.IsEmpty)
        {
            return 0;
        }

        var count = source.Read(buffer[..(int)Math.Min(buffer.Length, _dataLeft)]);
        if (count == 0)
        {
            throw Truncated();
        }

        _dataLeft -= count;
        return count;
    }

    private TarEntry Entry(byte[]? longName, byte[]? longLink, PaxRecords? pax)
    {
        ReadOnlySpan<byte> block = _block;
        var flag = (char)block[TarHeader.TypeOffset];
        var stored = pax?.Size ?? TarHeader.Number(block.Field(TarHeader.Size), "size");
        var name = pax?.SparseName ?? pax?.Path ?? longName ?? HeaderName(block);
        var type = TypeOf(flag, name);

        // Only regular files have data. Links with a size exist (old pax writers): the size is that of their target, no data follows.
        var hasData = type == TarEntryType.Regular || flag == 'D';
        if (stored < 0)
        {
            throw new OciException("archive/tar: invalid tar header: bad size");
        }

        _dataLeft = hasData ? stored : 0;
        _padding = hasData ? (int)(-stored & (TarHeader.BlockSize - 1)) : 0;
        var isDevice = type is TarEntryType.CharacterDevice or TarEntryType.BlockDevice;
        var entry = new TarEntry
        {
            Name = name,
            Type = type,
            LinkName = pax?.LinkPath ?? longLink ?? TarHeader.Text(block.Field(TarHeader.LinkName)).ToArray(),
            Mode = (uint)TarHeader.Number(block.Field(TarHeader.Mode), "mode") & 0xfff,
            Uid = pax?.Uid ?? TarHeader.Number(block.Field(TarHeader.Uid), "uid"),
            Gid = pax?.Gid ?? TarHeader.Number(block.Field(TarHeader.Gid), "gid"),
            Size = type == TarEntryType.Regular ? stored : 0,
            ModificationTime = pax?.ModificationTime ?? new TarTime(TarHeader.Number(block.Field(TarHeader.ModificationTime), "mtime"), 0),
            AccessTime = pax?.AccessTime,
            DeviceMajor = isDevice ? Device(block.Field(TarHeader.DeviceMajor)) : 0,
            DeviceMinor = isDevice ? Device(block.Field(TarHeader.DeviceMinor)) : 0,
            Xattrs = pax?.Xattrs ?? [],
        };
        return type == TarEntryType.Regular ? WithSparse(entry, flag, pax) : entry;
    }

    private TarEntry WithSparse(TarEntry entry, char flag, PaxRecords? pax)
    {
        List<SparseSegment>? segments;
        long size;
        if (flag == 'S')
        {
            size = TarHeader.Number(((ReadOnlySpan<byte>)_block).Field(TarHeader.GnuRealSize), "real size");
            segments = SparseMap.ReadOldGnu(_block, ReadBlock);
        }
        else if (pax is { SparseVersion: (1, 0) })
        {
            size = pax.SparseRealSize ?? throw new OciException("archive/tar: invalid tar header: sparse file without a size");
            segments = SparseMap.ReadVersion1(ReadMapBlock);
        }
        else if (pax is { SparseNumbers: not null } or { SparseRealSize: not null, SparseVersion: (0, _) })
        {
            size = pax.SparseRealSize ?? entry.Size;
            segments = SparseMap.FromNumbers(pax.SparseNumbers ?? []);
        }
        else
        {
            return entry;
        }

        SparseMap.Validate(segments, size, _dataLeft);
        return entry with { Size = size, Sparse = segments };
    }

    private static TarEntryType TypeOf(char flag, byte[] name) => flag switch
    {
        // v7 had no directories of their own: a trailing slash said it.
        '0' or '\0' => name is [.., (byte)'/'] ? TarEntryType.Directory : TarEntryType.Regular,
        '7' or 'S' => TarEntryType.Regular,
        '1' => TarEntryType.HardLink,
        '2' => TarEntryType.SymbolicLink,
        '3' => TarEntryType.CharacterDevice,
        '4' => TarEntryType.BlockDevice,
        '5' or 'D' => TarEntryType.Directory,
        '6' => TarEntryType.Fifo,
        _ => throw new OciException($"unhandled tar header type {(int)flag}"),
    };

    private static byte[] HeaderName(ReadOnlySpan<byte> block)
    {
        var name = TarHeader.Text(block.Field(TarHeader.Name));
        if (!block.Field(TarHeader.Magic).StartsWith(TarHeader.UstarMagic))
        {
            return name.ToArray();
        }

        var isStar = block.Field(TarHeader.StarTrailer).SequenceEqual("tar\0"u8);
        var prefix = TarHeader.Text(block.Field(isStar ? TarHeader.StarPrefix : TarHeader.Prefix));
        return prefix.IsEmpty ? name.ToArray() : [.. prefix, (byte)'/', .. name];
    }

    private static uint Device(ReadOnlySpan<byte> field)
    {
        var number = TarHeader.Number(field, "device number");
        return number is >= 0 and <= uint.MaxValue ? (uint)number : throw new OciException("archive/tar: invalid tar header: bad device number");
    }

    /// <summary>Reads a header block and checks its sum. False at the end of the archive: two zero blocks, or the end of the stream.</summary>
    private bool ReadHeader()
    {
        var count = source.ReadAtLeast(_block, TarHeader.BlockSize, throwOnEndOfStream: false);
        if (count == 0)
        {
            return false;
        }

        if (count < TarHeader.BlockSize)
        {
            throw Truncated();
        }

        if (!_block.AsSpan().ContainsAnyExcept((byte)0))
        {
            count = source.ReadAtLeast(_block, TarHeader.BlockSize, throwOnEndOfStream: false);
            if (count > 0 && _block.AsSpan(0, count).ContainsAnyExcept((byte)0))
            {
                throw new OciException("archive/tar: invalid tar header");
            }

            return false;
        }

        var sums = TarHeader.Sums(_block);
        var stored = TarHeader.Number(((ReadOnlySpan<byte>)_block).Field(TarHeader.Checksum), "checksum");
        return stored == sums.Unsigned || stored == sums.Signed ? true : throw new OciException("archive/tar: invalid tar header");
    }

    /// <summary>The content of a header that describes the next entry.</summary>
    private byte[] ReadSpecial()
    {
        var size = TarHeader.Number(((ReadOnlySpan<byte>)_block).Field(TarHeader.Size), "size");
        if (size is < 0 or > MaxSpecialSize)
        {
            throw new OciException("archive/tar: header field too long");
        }

        var data = new byte[size];
        ReadExactly(data);
        Skip(-size & (TarHeader.BlockSize - 1));
        return data;
    }

    /// <summary>A further block of an old GNU sparse map; it lies between header and data and is not counted as data.</summary>
    private byte[] ReadBlock()
    {
        ReadExactly(_block);
        return _block;
    }

    /// <summary>A block of a version 1.0 sparse map; it is the beginning of the data.</summary>
    private byte[] ReadMapBlock()
    {
        if (_dataLeft < TarHeader.BlockSize)
        {
            throw SparseMap.Invalid();
        }

        ReadExactly(_block);
        _dataLeft -= TarHeader.BlockSize;
        return _block;
    }

    private void ReadExactly(Span<byte> buffer)
    {
        if (source.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false) < buffer.Length)
        {
            throw Truncated();
        }
    }

    private void Skip(long count)
    {
        Span<byte> scratch = stackalloc byte[4096];
        while (count > 0)
        {
            var read = source.Read(scratch[..(int)Math.Min(scratch.Length, count)]);
            if (read == 0)
            {
                throw Truncated();
            }

            count -= read;
        }
    }

    /// <summary>What fills the last block of a content up. Docker's own client ends a context without it where the Dockerfile came from standard input.</summary>
    private void SkipPadding()
    {
        Span<byte> scratch = stackalloc byte[TarHeader.BlockSize];
        var read = source.ReadAtLeast(scratch[.._padding], _padding, throwOnEndOfStream: false);
        _ended |= read < _padding;
        _padding = 0;
    }

    private static OciException Truncated() => new("unexpected EOF");
}
