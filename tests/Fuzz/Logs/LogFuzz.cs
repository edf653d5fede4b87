using System.IO.Compression;
using System.Text;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Fuzz.Logs;

/// <summary>
/// Log files as power cuts, full disks, foreign programs and containers leave them: flipped bytes, blocks of zeros, torn, doubled, glued and endless lines, emptied and
/// missing files. Reading ends, fails at nothing, and shows every record that is whole.
/// </summary>
public sealed class LogFuzz : IDisposable
{
    private const int MaxLine = 1 << 20;

    /// <summary>The reader unpacks in pieces, and loses the one that ends in damage.</summary>
    private const int Piece = 4096;

    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-log-fuzz-").FullName;

    private string LogPath => Path.Combine(_directory, "a.log");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Damaged_files_lose_only_what_is_damaged()
    {
        foreach (int seed in FuzzRun.Rounds(5))
        {
            Random random = new(seed);
            Array.ForEach(Directory.GetFiles(_directory), File.Delete);
            HashSet<string> genuine = Write(random);
            if (random.Next(2) == 0)
            {
                new LogFileSet(LogPath).Compress();
            }

            List<string> files = [.. Enumerable.Range(0, 6).Reverse().SelectMany(i => i == 0 ? [LogPath] : new[] { $"{LogPath}.{i}", $"{LogPath}.{i}.gz" }).Where(File.Exists)];
            files.ForEach(file => Damage(random, file));
            try
            {
                await ReadAsAnybody(random, [.. files.SelectMany(Lines).Where(genuine.Contains)]);
            }
            catch (Exception e) when (e is not Xunit.Sdk.IAssertionException)
            {
                Assert.Fail($"seed {seed}: {e}");
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}", e);
            }
        }
    }

    /// <summary>Emptied by somebody (<c>: &gt; x-json.log</c>) while it is followed: no record after that is lost, unless it has grown longer than before by the next look.</summary>
    [Fact]
    public async Task A_follower_goes_on_in_a_file_that_was_emptied()
    {
        foreach (int seed in FuzzRun.Rounds(2))
        {
            Random random = new(seed);
            Array.ForEach(Directory.GetFiles(_directory), File.Delete);
            using JsonLogWriter writer = new(new LogTarget(LogPath, 0, 1), TimeProvider.System, new ByteBuffer());
            bool ended = false;
            await using IAsyncEnumerator<LogEntry> reader = JsonLogReader.ReadAsync(LogPath, new LogReadOptions { Follow = true }, () => ended, TimeProvider.System, Cancellation).GetAsyncEnumerator(Cancellation);
            int written = 0;
            for (int step = random.Next(3, 8); step > 0; step--)
            {
                for (int lines = random.Next(3, 30); lines > 0; lines--)
                {
                    writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes($"{written++}\n"));
                    Assert.True(await reader.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60), Cancellation), $"seed {seed}");
                    Assert.Equal($"{written - 1}\n", Encoding.ASCII.GetString(reader.Current.Text.Span));
                }

                File.WriteAllBytes(LogPath, []);
            }

            ended = true;
            Assert.False(await reader.MoveNextAsync(), $"seed {seed}");
        }
    }

    /// <summary>The lines of a log in one to four files; each record is one of its kind.</summary>
    private HashSet<string> Write(Random random)
    {
        HashSet<string> lines = new(StringComparer.Ordinal);
        int number = 0;
        for (int file = random.Next(1, 5) - 1; file >= 0; file--)
        {
            StringBuilder text = new();
            for (int records = random.Next(300); records > 0; records--, number++)
            {
                ByteBuffer record = new();
                JsonLogFormat.WriteRecord(
                    record, random.Next(3) == 0 ? LogStream.Stderr : LogStream.Stdout,
                    Encoding.UTF8.GetBytes($"{number} {new string('\u00e9', random.Next(random.Next(20) == 0 ? 16_000 : 40))}\0\"\\<"), random.Next(8) > 0, s_start.AddSeconds(number));
                string line = Encoding.UTF8.GetString(record.Written);
                lines.Add(line[..^1]);
                text.Append(line);
            }

            File.WriteAllText(file == 0 ? LogPath : $"{LogPath}.{file}", text.ToString());
        }

        return lines;
    }

    private static void Damage(Random random, string path)
    {
        List<byte> bytes = [.. File.ReadAllBytes(path)];
        for (int times = random.Next(4); times > 0; times--)
        {
            int at = random.Next(bytes.Count + 1);
            int some = Math.Min(random.Next(400), bytes.Count - at);
            switch (random.Next(9))
            {
                case 0:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 1:
                    bytes.RemoveRange(at, some);
                    break;
                case 2:
                    bytes.InsertRange(at, new byte[random.Next(5000)]);
                    break;
                case 3:
                    bytes.InsertRange(at, [.. bytes.GetRange(random.Next(bytes.Count - some + 1), some)]);
                    break;
                case 4 when at < bytes.Count:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 5:
                    byte[] noise = new byte[random.Next(2000)];
                    random.NextBytes(noise);
                    bytes.InsertRange(at, noise);
                    break;
                case 6 when random.Next(8) == 0:
                    bytes.InsertRange(at, Enumerable.Repeat((byte)'x', random.Next(3 * MaxLine)));
                    break;
                case 7:
                    bytes.InsertRange(at, Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(
                        random.Next(6) switch { 0 => "{\"log\":5}\n", 1 => "\n", 2 => "null\n", 3 => new string('[', 200), 4 => "{\"log\":\"\\ud800\",\"time\":\"x\"}\n", _ => "{\"time\":{},\"log\":[]}\n" }, random.Next(300)))));
                    break;
                default:
                    bytes.Clear();
                    break;
            }
        }

        File.WriteAllBytes(path, [.. bytes]);
    }

    private static IEnumerable<string> Lines(string path)
    {
        byte[] bytes = path.EndsWith(".gz", StringComparison.Ordinal) ? Unpacked(path) : File.ReadAllBytes(path);
        for (int start = 0, end; (end = Array.IndexOf(bytes, (byte)'\n', start)) >= 0; start = end + 1)
        {
            yield return Encoding.UTF8.GetString(bytes, start, end - start);
        }
    }

    /// <summary>What has to be had of a compressed file: all of one that is not damaged, else all but the last piece before the damage.</summary>
    private static byte[] Unpacked(string path)
    {
        using MemoryStream unpacked = new();
        using GZipStream source = new(File.OpenRead(path), CompressionMode.Decompress);
        try
        {
            for (int next; (next = source.ReadByte()) >= 0;)
            {
                unpacked.WriteByte((byte)next);
            }
        }
        catch (InvalidDataException)
        {
            unpacked.SetLength(Math.Max(0, unpacked.Length - Piece));
        }

        return unpacked.ToArray();
    }

    /// <param name="whole">The lines that nothing has touched, in the order of the files.</param>
    private async Task ReadAsAnybody(Random random, List<string> whole)
    {
        List<LogEntry> all = await Read(new LogReadOptions());
        List<string> shown = [.. all.Select(AsLine)];
        int next = 0;
        foreach (string line in shown)
        {
            next += next < whole.Count && whole[next] == line ? 1 : 0;
        }

        Assert.True(next == whole.Count, $"the record is not shown: {(next < whole.Count ? whole[next] : "")}");

        // The last of them, by number; damaged lines count, as in Docker.
        int tail = random.Next(400);
        List<string> last = [.. (await Read(new LogReadOptions { Tail = tail })).Select(AsLine)];
        Assert.True(last.Count <= tail);
        Assert.Equal(shown.Skip(shown.Count - last.Count), last);

        DateTimeOffset since = s_start.AddSeconds(random.Next(-5, 1200)), until = since.AddSeconds(random.Next(600));
        List<LogEntry> part = await Read(new LogReadOptions { Since = since, Until = until, Stderr = random.Next(2) == 0 });
        Assert.All(part, entry => Assert.InRange(entry.Time, since, until));
    }

    private async Task<List<LogEntry>> Read(LogReadOptions options)
    {
        List<LogEntry> entries = [];
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(LogPath, options, () => true, TimeProvider.System, limit.Token))
        {
            entries.Add(entry);
        }

        return entries;
    }

    private static string AsLine(LogEntry entry)
    {
        ByteBuffer record = new();
        ReadOnlySpan<byte> text = entry.Text.Span;
        bool newline = text.EndsWith("\n"u8);
        JsonLogFormat.WriteRecord(record, entry.Stream, newline ? text[..^1] : text, newline, entry.Time);
        return Encoding.UTF8.GetString(record.Written)[..^1];
    }
}
