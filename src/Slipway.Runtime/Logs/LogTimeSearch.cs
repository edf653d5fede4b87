using Microsoft.Win32.SafeHandles;

namespace Slipway.Runtime.Logs;

/// <summary>
/// Finds a time in a log file by halving, since records are written in the order of their times. Where the clock was set back between two
/// records, what was written before that may count as older than it says.
/// </summary>
internal static class LogTimeSearch
{
    /// <summary>Below this it is read on from the lower end: as fast as looking once more.</summary>
    private const long CloseEnough = 64 * 1024;

    /// <summary>The beginning of a record at or a little before the first that is not older than <paramref name="since"/>.</summary>
    /// <returns>Null where the file's first record is not older: there may be more in the file before it.</returns>
    public static async Task<long?> FindAsync(LogFileSet set, SafeFileHandle file, DateTimeOffset since, CancellationToken cancellationToken)
    {
        if (await RecordAtAsync(set, file, 0, cancellationToken).ConfigureAwait(false) is not { } first || first.Time >= since)
        {
            return null;
        }

        long low = first.Start;
        long high = RandomAccess.GetLength(file);
        while (high - low > CloseEnough)
        {
            long middle = low + ((high - low) / 2);
            if (await RecordAtAsync(set, file, middle, cancellationToken).ConfigureAwait(false) is { } record && record.Start < high && record.Time < since)
            {
                low = record.Start;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>The first record that begins behind an offset, or at the beginning of the file; null where there is none.</summary>
    private static async Task<(long Start, DateTimeOffset Time)?> RecordAtAsync(LogFileSet set, SafeFileHandle file, long offset, CancellationToken cancellationToken)
    {
        using LogChain reader = LogChain.At(set, file, offset);
        if (offset > 0 && await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is null)
        {
            return null;
        }

        while (true)
        {
            long start = reader.Offset;
            if (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is not ReadOnlyMemory<byte> line)
            {
                return null;
            }

            if (LogEntry.Parse(line.Span) is LogEntry entry)
            {
                return (start, entry.Time);
            }
        }
    }
}
