namespace Slipway.Kernel.Users;

/// <summary>A run of ids: those from <paramref name="Inside"/> on in a user namespace are those from <paramref name="Outside"/> on outside of it.</summary>
/// <param name="Count">At least 1.</param>
public readonly record struct IdRange(uint Inside, uint Outside, uint Count);

/// <summary>How user or group ids of a namespace stand for ids outside of it (user_namespaces(7), "User and group ID mappings").</summary>
public sealed class IdMap
{
    /// <summary>Ranges the kernel takes (Linux 4.15).</summary>
    public const int MaximumRanges = 340;

    /// <param name="ranges">Neither their inner nor their outer ids overlap.</param>
    /// <exception cref="ArgumentException">None, too many, overlapping, or beyond the largest id.</exception>
    public IdMap(IReadOnlyList<IdRange> ranges)
    {
        if (ranges.Count is 0 or > MaximumRanges)
        {
            throw new ArgumentException($"an id map has 1 to {MaximumRanges} ranges, not {ranges.Count}", nameof(ranges));
        }

        for (int i = 0; i < ranges.Count; i++)
        {
            // The largest number is no id, but the "none" of chown(2) (CVE-2024-40635 is what wrapping around leads to).
            IdRange range = ranges[i];
            if (range.Count == 0 || (ulong)range.Inside + range.Count > uint.MaxValue || (ulong)range.Outside + range.Count > uint.MaxValue)
            {
                throw new ArgumentException($"id range {Text(range)} is empty or goes beyond the largest id", nameof(ranges));
            }

            if (ranges.Take(i).Any(other => Overlap(other.Inside, other.Count, range.Inside, range.Count) || Overlap(other.Outside, other.Count, range.Outside, range.Count)))
            {
                throw new ArgumentException($"id range {Text(range)} overlaps another", nameof(ranges));
            }
        }

        Ranges = ranges;
    }

    public IReadOnlyList<IdRange> Ranges { get; }

    /// <summary>The id outside that an id inside stands for; null where it stands for none.</summary>
    public uint? Outside(uint inside)
    {
        foreach (IdRange range in Ranges)
        {
            if (inside - range.Inside < range.Count && inside >= range.Inside)
            {
                return range.Outside + (inside - range.Inside);
            }
        }

        return null;
    }

    /// <summary>The id inside that stands for an id outside; null where there is none.</summary>
    public uint? Inside(uint outside)
    {
        foreach (IdRange range in Ranges)
        {
            if (outside >= range.Outside && outside - range.Outside < range.Count)
            {
                return range.Inside + (outside - range.Outside);
            }
        }

        return null;
    }

    /// <summary>Reads <c>/proc/pid/uid_map</c> or <c>gid_map</c>.</summary>
    /// <exception cref="FormatException">It is not such a file.</exception>
    public static IdMap Parse(string text)
    {
        List<IdRange> ranges = [];
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            uint[] numbers = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(field => uint.Parse(field, System.Globalization.CultureInfo.InvariantCulture))];
            ranges.Add(numbers.Length == 3 ? new IdRange(numbers[0], numbers[1], numbers[2]) : throw new FormatException($"\"{line}\" is no line of an id map"));
        }

        return new IdMap(ranges);
    }

    /// <summary>As the kernel reads it.</summary>
    public override string ToString() => string.Concat(Ranges.Select(range => Text(range) + "\n"));

    private static string Text(IdRange range) => FormattableString.Invariant($"{range.Inside} {range.Outside} {range.Count}");

    private static bool Overlap(uint left, uint leftCount, uint right, uint rightCount) =>
        left < (ulong)right + rightCount && right < (ulong)left + leftCount;
}

/// <summary>The two maps of a user namespace.</summary>
public sealed record IdMaps(IdMap Users, IdMap Groups)
{
    /// <summary>Who is root inside, as seen from outside.</summary>
    /// <exception cref="InvalidOperationException">Nobody is.</exception>
    public (uint UserId, uint GroupId) Root => (Outside(Users, 0), Outside(Groups, 0));

    private static uint Outside(IdMap map, uint id) => map.Outside(id) ?? throw new InvalidOperationException($"id {id} of the user namespace is not mapped");
}
