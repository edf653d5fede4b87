using System.Globalization;
using System.Text;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Unit.Logs;

public sealed class JsonLogReaderTests : IDisposable
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-logs-").FullName;

    private string LogPath => Path.Combine(_directory, "a.log");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(null, 0)]
    [InlineData(0, 30)]
    [InlineData(1, 29)]
    [InlineData(10, 20)]
    [InlineData(11, 19)]
    [InlineData(25, 5)]
    [InlineData(30, 0)]
    [InlineData(100, 0)]
    public async Task The_tail_counts_over_rotated_files(int? tail, int first)
    {
        Write(LogPath + ".2", 0, 10);
        Write(LogPath + ".1", 10, 10);
        Write(LogPath, 20, 10);
        Assert.Equal(Enumerable.Range(first, 30 - first), await Numbers(new LogReadOptions { Tail = tail }));
    }

    [Fact]
    public async Task The_tail_of_a_file_of_many_blocks_is_exact()
    {
        Write(LogPath, 0, 20_000);
        Assert.Equal(Enumerable.Range(20_000 - 7_001, 7_001), await Numbers(new LogReadOptions { Tail = 7_001 }));
        Assert.Equal(20_000, (await Numbers(new LogReadOptions())).Count);
    }

    [Fact]
    public async Task Times_and_streams_select()
    {
        Write(LogPath, 0, 10);
        Assert.Equal([3, 4, 5], await Numbers(new LogReadOptions { Since = s_start.AddSeconds(3), Until = s_start.AddSeconds(5) }));
        Assert.Equal([1, 3, 5, 7, 9], await Numbers(new LogReadOptions { Stdout = false }));
        Assert.Equal([8], await Numbers(new LogReadOptions { Stderr = false, Tail = 3 }));
    }

    [Theory]
    [InlineData(-5)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(9_999)]
    [InlineData(10_000)]
    [InlineData(10_001)]
    [InlineData(14_321)]
    [InlineData(19_999)]
    [InlineData(20_000)]
    [InlineData(29_999)]
    [InlineData(30_000)]
    public async Task A_time_is_found_in_rotated_files(int since)
    {
        Write(LogPath + ".2", 0, 10_000);
        Write(LogPath + ".1", 10_000, 10_000);
        Write(LogPath, 20_000, 10_000);
        int first = Math.Clamp(since, 0, 30_000);
        Assert.Equal(Enumerable.Range(first, 30_000 - first), await Numbers(new LogReadOptions { Since = s_start.AddSeconds(since) }));
    }

    [Fact]
    public async Task A_time_is_found_among_damaged_and_very_long_lines()
    {
        Write(LogPath, 0, 3_000);
        await File.AppendAllTextAsync(LogPath, new string('x', 3_000_000) + "\n", TestContext.Current.CancellationToken);
        Write(LogPath, 3_000, 3_000);
        await File.AppendAllTextAsync(LogPath, string.Concat(Enumerable.Repeat("{\"log\":5}\n", 30_000)), TestContext.Current.CancellationToken);
        Write(LogPath, 6_000, 10);
        foreach (int since in (int[])[1, 2_999, 3_000, 3_001, 5_999, 6_000, 6_009])
        {
            Assert.Equal(Enumerable.Range(since, 6_010 - since), await Numbers(new LogReadOptions { Since = s_start.AddSeconds(since) }));
        }

        await File.WriteAllTextAsync(LogPath, "", TestContext.Current.CancellationToken);
        Assert.Empty(await Numbers(new LogReadOptions { Since = s_start }));
    }

    [Fact]
    public async Task A_torn_last_line_and_damaged_lines_are_passed_over()
    {
        Write(LogPath, 0, 2);
        await File.AppendAllTextAsync(LogPath, "\0\0\0\0garbage\n{\"log\":5}\n", TestContext.Current.CancellationToken);
        Write(LogPath, 2, 1);
        await File.AppendAllTextAsync(LogPath, "{\"log\":\"torn", TestContext.Current.CancellationToken);
        Assert.Equal([0, 1, 2], await Numbers(new LogReadOptions()));
        Assert.Equal([2], await Numbers(new LogReadOptions { Tail = 1 }));
    }

    [Fact]
    public async Task Text_comes_back_as_it_was_logged_and_docker_times_are_read()
    {
        await File.WriteAllTextAsync(
            LogPath, "{\"log\":\"a\\u003cb\\u0009\\\"\\n\",\"stream\":\"stderr\",\"attrs\":{\"x\":\"y\"},\"time\":\"2026-01-02T03:04:05.123456789Z\"}\n", TestContext.Current.CancellationToken);
        LogEntry entry = Assert.Single(await Entries(new LogReadOptions()));
        Assert.Equal("a<b\t\"\n", Encoding.UTF8.GetString(entry.Text.Span));
        Assert.Equal(LogStream.Stderr, entry.Stream);
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(1234567), entry.Time);
    }

    [Fact]
    public async Task No_file_is_no_entry()
    {
        Assert.Empty(await Entries(new LogReadOptions()));
        Assert.Empty(await Entries(new LogReadOptions { Tail = 5 }));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Following_over_rotations_neither_loses_nor_doubles_a_line(int maxFiles)
    {
        const int count = 3000;
        bool ended = false;
        using var read = new SemaphoreSlim(0);
        Task writing = Task.Run(async () =>
        {
            using var writer = new JsonLogWriter(new LogTarget(LogPath, 4000, maxFiles), TimeProvider.System, new ByteBuffer());
            for (int i = 0; i < count; i++)
            {
                writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes(i.ToString(CultureInfo.InvariantCulture) + "\n"));

                // The reader is never so late that rotation deletes what it has not read: a file holds about 40 lines.
                if (i % 20 == 19)
                {
                    Assert.True(await read.WaitAsync(TimeSpan.FromSeconds(30)));
                }
            }

            Volatile.Write(ref ended, true);
        }, TestContext.Current.CancellationToken);

        int expected = 0;
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(
            LogPath, new LogReadOptions { Follow = true }, () => Volatile.Read(ref ended), TimeProvider.System, TestContext.Current.CancellationToken))
        {
            Assert.Equal(expected, int.Parse(Encoding.ASCII.GetString(entry.Text.Span), CultureInfo.InvariantCulture));
            if (++expected % 20 == 0)
            {
                read.Release();
            }
        }

        await writing;
        Assert.Equal(count, expected);
    }

    [Fact]
    public async Task A_follower_that_is_behind_catches_up_over_several_rotations()
    {
        const int count = 500;
        using (var writer = new JsonLogWriter(new LogTarget(LogPath, -1, 1), TimeProvider.System, new ByteBuffer()))
        {
            writer.Append(LogStream.Stdout, "0\n"u8);
        }

        bool ended = false;
        List<int> numbers = [];
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(
            LogPath, new LogReadOptions { Follow = true }, () => ended, TimeProvider.System, TestContext.Current.CancellationToken))
        {
            numbers.Add(int.Parse(Encoding.ASCII.GetString(entry.Text.Span), CultureInfo.InvariantCulture));
            if (numbers.Count == 1)
            {
                using var writer = new JsonLogWriter(new LogTarget(LogPath, 4000, 100), TimeProvider.System, new ByteBuffer());
                for (int i = 1; i < count; i++)
                {
                    writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes(i.ToString(CultureInfo.InvariantCulture) + "\n"));
                }

                ended = true;
            }
        }

        Assert.Equal(Enumerable.Range(0, count), numbers);
    }

    private static void Write(string path, int first, int count)
    {
        var output = new ByteBuffer();
        for (int i = first; i < first + count; i++)
        {
            JsonLogFormat.WriteRecord(
                output, i % 2 == 0 ? LogStream.Stdout : LogStream.Stderr, Encoding.ASCII.GetBytes(i.ToString(CultureInfo.InvariantCulture)), newline: true, s_start.AddSeconds(i));
        }

        using FileStream file = File.Open(path, FileMode.Append);
        file.Write(output.Written);
    }

    private async Task<List<LogEntry>> Entries(LogReadOptions options)
    {
        List<LogEntry> entries = [];
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(LogPath, options, () => true, TimeProvider.System, TestContext.Current.CancellationToken))
        {
            entries.Add(entry);
        }

        return entries;
    }

    private async Task<List<int>> Numbers(LogReadOptions options) =>
        [.. (await Entries(options)).Select(entry => int.Parse(Encoding.ASCII.GetString(entry.Text.Span), CultureInfo.InvariantCulture))];
}
