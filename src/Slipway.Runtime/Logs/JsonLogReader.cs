using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Logs;

/// <summary>
/// Reads Docker's json-file logs over their rotated files. A file is known by its identity, not its name, so a reader loses and doubles no
/// line when files are renamed under it; only what a rotation has deleted before it was read is gone.
/// </summary>
public static class JsonLogReader
{
    // A follower that waits looks again after 2 ms, and ever more seldom up to 50 ms.
    private static readonly TimeSpan s_shortestWait = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_patientWait = TimeSpan.FromMilliseconds(250);

    /// <summary>The records of the log at <paramref name="path"/>, oldest first. Empty where there is no such file.</summary>
    /// <param name="hasEnded">Whether the last record has been written. Asked while following; what was written before it said so is still read.</param>
    public static async IAsyncEnumerable<LogEntry> ReadAsync(
        string path, LogReadOptions options, Func<bool> hasEnded, TimeProvider time, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(hasEnded);
        ArgumentNullException.ThrowIfNull(time);
        var files = new LogFileSet(path);
        LogChain? chain = null;
        try
        {
            TimeSpan wait = s_shortestWait;
            while (true)
            {
                // Asked first: what was written before the end is then found below.
                bool ended = !options.Follow || hasEnded();
                chain ??= await LogChain.OpenAsync(files, options.Tail, options.Since, cancellationToken).ConfigureAwait(false);
                while (chain is not null && await chain.ReadLineAsync(cancellationToken).ConfigureAwait(false) is ReadOnlyMemory<byte> line)
                {
                    wait = s_shortestWait;
                    if (LogEntry.Parse(line.Span) is not LogEntry entry)
                    {
                        continue;
                    }

                    if (entry.Time > options.Until)
                    {
                        yield break;
                    }

                    if (options.Wants(entry))
                    {
                        yield return entry;
                    }
                }

                if (chain is not null && options.Follow && chain.Advance())
                {
                    continue;
                }

                if (ended || time.GetUtcNow() > options.Until)
                {
                    yield break;
                }

                await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
                TimeSpan longest = options.IsPatient ? s_patientWait : s_longestWait;
                wait = wait * 2 < longest ? wait * 2 : longest;
            }
        }
        finally
        {
            chain?.Dispose();
        }
    }
}

/// <summary>The files of a log from the one where reading starts up to the one that is written to.</summary>
internal sealed class LogChain : IDisposable
{
    private const int BlockBytes = 64 * 1024;

    // An escaped line of 16 KiB is below 100 KiB. What is longer is not of this log's writer, and is skipped.
    private const int MaxLineBytes = 1024 * 1024;

    private readonly LogFileSet _set;
    private readonly LinkedList<LogFile> _files;
    private byte[] _buffer = new byte[BlockBytes];
    private int _start;
    private int _end;
    private long _position;
    private bool _skipping;

    private LogChain(LogFileSet set, LinkedList<LogFile> files, long position)
    {
        _set = set;
        _files = files;
        _position = position;
    }

    /// <summary>
    /// Opens the log where reading has to begin: at the last <paramref name="tail"/> lines, or at or a little before the first record of
    /// <paramref name="since"/>. Null where it has no file. What lies before is not read, however long it is.
    /// </summary>
    public static async Task<LogChain?> OpenAsync(LogFileSet set, int? tail, DateTimeOffset? since, CancellationToken cancellationToken)
    {
        var files = new LinkedList<LogFile>();
        try
        {
            int missing = tail ?? int.MaxValue;
            long position = 0;
            for (int index = 0; set.TryOpenRead(index) is LogFile file; index++)
            {
                if (files.First is { Value: LogFile newer } && file.Identity == newer.Identity)
                {
                    // It was renamed between the two openings.
                    file.Dispose();
                    continue;
                }

                files.AddFirst(file);
                if (tail is not null)
                {
                    (position, missing) = await SeekBackAsync(file.Handle, missing, cancellationToken).ConfigureAwait(false);
                    if (missing == 0)
                    {
                        break;
                    }
                }
                else if (since is DateTimeOffset time && await LogTimeSearch.FindAsync(set, file.Handle, time, cancellationToken).ConfigureAwait(false) is long found)
                {
                    position = found;
                    break;
                }
            }

            if (files.Count > 0)
            {
                return new LogChain(set, files, position);
            }
        }
        catch
        {
            Close(files);
            throw;
        }

        return null;
    }

    /// <summary>Reads one file from an offset.</summary>
    /// <param name="file">Stays the caller's.</param>
    public static LogChain At(LogFileSet set, SafeFileHandle file, long offset) => new(set, new LinkedList<LogFile>([new LogFile(Descriptors.Duplicate(file), default)]), offset);

    /// <summary>Where in its file the next line begins.</summary>
    public long Offset => _position - (_end - _start);

    /// <summary>The next whole line without its newline, valid until the next call; null at the end of what is written.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadLineAsync(CancellationToken cancellationToken)
    {
        int searched = _start;
        while (true)
        {
            int newline = _buffer.AsSpan(searched, _end - searched).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                ReadOnlyMemory<byte> line = _buffer.AsMemory(_start, searched + newline - _start);
                _start = searched + newline + 1;
                if (!_skipping)
                {
                    return line;
                }

                _skipping = false;
                searched = _start;
                continue;
            }

            MakeRoom();
            searched = _end;
            int count = await RandomAccess.ReadAsync(_files.First!.Value.Handle, _buffer.AsMemory(_end), _position, cancellationToken).ConfigureAwait(false);
            if (count > 0)
            {
                _end += count;
                _position += count;
            }
            else if (_files.Count > 1)
            {
                Next();
                searched = 0;
            }
            else if (RandomAccess.GetLength(_files.First!.Value.Handle) < _position)
            {
                // Somebody has emptied the file to get its space back; what is logged since begins it anew.
                Rewind();
                searched = 0;
            }
            else
            {
                return null;
            }
        }
    }

    /// <summary>At the end of the newest file that is open: whether there is more to read because the log was rotated.</summary>
    public bool Advance()
    {
        if (FindNewer() is not LogFile newer)
        {
            return false;
        }

        // What was written to the old file between the last read of it and the rotation is read before.
        _files.AddLast(newer);
        return true;
    }

    public void Dispose() => Close(_files);

    private static void Close(LinkedList<LogFile> files)
    {
        foreach (LogFile file in files)
        {
            file.Dispose();
        }
    }

    /// <summary>Where the last <paramref name="lines"/> lines of a file begin, and how many of them it lacks.</summary>
    private static async Task<(long Position, int Missing)> SeekBackAsync(SafeFileHandle file, int lines, CancellationToken cancellationToken)
    {
        byte[] block = new byte[BlockBytes];
        long end = RandomAccess.GetLength(file);
        bool isLastNewline = true;
        int found = 0;
        while (end > 0)
        {
            int length = (int)Math.Min(BlockBytes, end);
            long start = end - length;
            int read = await RandomAccess.ReadAsync(file, block.AsMemory(0, length), start, cancellationToken).ConfigureAwait(false);
            for (int at = read; (at = block.AsSpan(0, at).LastIndexOf((byte)'\n')) >= 0;)
            {
                // The newline that ends the last line begins no other; a torn line after it counts as none.
                if (isLastNewline)
                {
                    isLastNewline = false;
                    if (lines == 0)
                    {
                        return (start + at + 1, 0);
                    }
                }
                else if (++found == lines)
                {
                    return (start + at + 1, 0);
                }
            }

            end = start;
        }

        // The first line of a file has no newline before it.
        return (0, isLastNewline ? lines : lines - found - 1);
    }

    /// <summary>The file that followed the newest one that is open, or null where that is still the current one.</summary>
    private LogFile? FindNewer()
    {
        LogFileIdentity own = _files.Last!.Value.Identity;
        while (true)
        {
            int index = 0;
            int count = 0;
            bool found = false;
            for (; _set.Identify(count) is LogFileIdentity identity; count++)
            {
                if (identity == own)
                {
                    (index, found) = (count, true);
                    break;
                }
            }

            if ((found && index == 0) || (!found && count == 0))
            {
                return null;
            }

            // Not found: rotation has deleted it; the oldest that is left comes next.
            LogFile? newer = _set.TryOpenRead(found ? index - 1 : count - 1);
            if (newer is null)
            {
                return null;
            }

            if (!found || _set.Identify(index) is LogFileIdentity again && again == own)
            {
                return newer;
            }

            // Rotated once more meanwhile: the names have moved.
            newer.Dispose();
        }
    }

    private void Next()
    {
        _files.First!.Value.Dispose();
        _files.RemoveFirst();
        Rewind();
    }

    /// <summary>To the beginning of the file that is read; a line that has begun has no end.</summary>
    private void Rewind()
    {
        _position = 0;
        _start = _end = 0;
        _skipping = false;
    }

    private void MakeRoom()
    {
        if (_end < _buffer.Length)
        {
            return;
        }

        if (_end - _start >= MaxLineBytes)
        {
            _skipping = true;
            _start = _end = 0;
            return;
        }

        byte[] target = _start > 0 ? _buffer : new byte[_buffer.Length * 2];
        _buffer.AsSpan(_start, _end - _start).CopyTo(target);
        _end -= _start;
        _start = 0;
        _buffer = target;
    }
}
