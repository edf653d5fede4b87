namespace Slipway.Oci.Tar;

/// <summary>The maps of sparse files (GNU tar manual, "Storing Sparse Files"). All have a bounded number of segments.</summary>
internal static class SparseMap
{
    /// <summary>What fits a map of 1 MiB in the old form; also keeps the work per entry bounded.</summary>
    private const int MaxSegments = (1 << 20) / TarHeader.GnuSparseEntryLength;

    /// <summary>Old GNU form: four segments in the header, then 21 in each block that follows.</summary>
    public static List<SparseSegment> ReadOldGnu(byte[] header, Func<byte[]> nextBlock)
    {
        var segments = new List<SparseSegment>();
        AddOldGnu(segments, header.AsSpan(TarHeader.GnuSparseOffset), TarHeader.GnuSparseCount);
        var extended = header[TarHeader.GnuSparseExtendedOffset] != 0;
        while (extended)
        {
            var block = nextBlock();
            var before = segments.Count;
            AddOldGnu(segments, block, TarHeader.GnuSparseBlockCount);
            extended = block[TarHeader.GnuSparseBlockExtendedOffset] != 0;

            // Blocks that add nothing and say "more follows" would go on for ever.
            if (extended && segments.Count == before)
            {
                throw Invalid();
            }
        }

        return segments;
    }

    /// <summary>Version 1.0: decimal lines before the data (count, then offset and length of each), padded to a block.</summary>
    public static List<SparseSegment> ReadVersion1(Func<byte[]> nextBlock)
    {
        var block = nextBlock();
        var position = 0;
        var count = NextNumber();
        if (count > MaxSegments)
        {
            throw Invalid();
        }

        var segments = new List<SparseSegment>();
        for (var i = 0; i < count; i++)
        {
            var offset = NextNumber();
            segments.Add(new SparseSegment(offset, NextNumber()));
        }

        return segments;

        long NextNumber()
        {
            long value = 0;
            for (var digits = 0; ; digits++)
            {
                if (position == block.Length)
                {
                    block = nextBlock();
                    position = 0;
                }

                var c = block[position++];
                if (c == '\n' && digits > 0)
                {
                    return value;
                }

                if (c is < (byte)'0' or > (byte)'9' || digits > 18)
                {
                    throw Invalid();
                }

                value = (value * 10) + (c - '0');
            }
        }
    }

    /// <summary>Versions 0.0 and 0.1: offset and length in turn.</summary>
    public static List<SparseSegment> FromNumbers(List<long> numbers)
    {
        if (numbers.Count % 2 != 0 || numbers.Count / 2 > MaxSegments)
        {
            throw Invalid();
        }

        var segments = new List<SparseSegment>(numbers.Count / 2);
        for (var i = 0; i < numbers.Count; i += 2)
        {
            segments.Add(new SparseSegment(numbers[i], numbers[i + 1]));
        }

        return segments;
    }

    /// <summary>Segments ascend, do not overlap, stay within the file, and account for every stored byte.</summary>
    public static void Validate(List<SparseSegment> segments, long size, long stored)
    {
        long end = 0, sum = 0;
        foreach (var segment in segments)
        {
            if (segment.Offset < end || segment.Length < 0 || segment.Offset > size || segment.Length > size - segment.Offset)
            {
                throw Invalid();
            }

            end = segment.End;
            sum += segment.Length;
        }

        if (size < 0 || sum != stored)
        {
            throw Invalid();
        }
    }

    public static OciException Invalid() => new("archive/tar: invalid tar header: bad sparse map");

    private static void AddOldGnu(List<SparseSegment> segments, ReadOnlySpan<byte> entries, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var entry = entries.Slice(i * TarHeader.GnuSparseEntryLength, TarHeader.GnuSparseEntryLength);
            if (entry[0] == 0)
            {
                return;
            }

            if (segments.Count == MaxSegments)
            {
                throw Invalid();
            }

            segments.Add(new SparseSegment(TarHeader.Number(entry[..12], "sparse map"), TarHeader.Number(entry[12..], "sparse map")));
        }
    }
}
