using System.Globalization;
using Slipway.Kernel.Users;

namespace Slipway.Engine.Users;

/// <summary>
/// Ids that a user of the host may give to containers: subuid(5) and subgid(5), <c>name:first:count</c> a line. A user may have several lines; the ids
/// inside are counted through them from 0 on, in the order of the file, as Docker does.
/// </summary>
internal static class SubordinateIds
{
    /// <summary>What a user gets who has none yet: as useradd(8) does it.</summary>
    private const uint FirstId = 100_000;
    private const uint DefaultCount = 65_536;

    /// <summary>The map of a user, or null where the file has no line for it.</summary>
    /// <param name="text">Of the file.</param>
    /// <param name="names">The user's name, and its number as text.</param>
    /// <exception cref="FormatException">A line is malformed, or the ranges do not make a map.</exception>
    public static IdMap? Find(string text, params ReadOnlySpan<string> names)
    {
        List<IdRange> ranges = [];
        uint inside = 0;
        foreach ((string name, uint first, uint count) in Lines(text))
        {
            if (names.Contains(name) && count > 0)
            {
                ranges.Add(new IdRange(inside, first, count));
                inside = checked(inside + count);
            }
        }

        try
        {
            return ranges.Count == 0 ? null : new IdMap(ranges);
        }
        catch (ArgumentException error)
        {
            throw new FormatException(error.Message, error);
        }
    }

    /// <summary>The text with a line more, for a user without one: ids that nobody else has.</summary>
    /// <exception cref="FormatException">A line is malformed, or there are no ids left.</exception>
    public static string Add(string text, string name)
    {
        ulong first = FirstId;
        foreach ((_, uint start, uint count) in Lines(text).OrderBy(line => line.First))
        {
            if (start < first + DefaultCount && first < (ulong)start + count)
            {
                first = (ulong)start + count;
            }
        }

        return first + DefaultCount < uint.MaxValue
            ? string.Create(CultureInfo.InvariantCulture, $"{text}{(text.Length == 0 || text.EndsWith('\n') ? "" : "\n")}{name}:{first}:{DefaultCount}\n")
            : throw new FormatException("no subordinate ids are left");
    }

    private static IEnumerable<(string Name, uint First, uint Count)> Lines(string text)
    {
        foreach (string line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] == '#')
            {
                continue;
            }

            string[] fields = line.Split(':');
            if (fields.Length != 3
                || !uint.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out uint first)
                || !uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint count))
            {
                throw new FormatException($"cannot parse the subordinate ids \"{line}\"");
            }

            yield return (fields[0], first, count);
        }
    }
}
