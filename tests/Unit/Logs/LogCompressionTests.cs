using System.Globalization;
using System.IO.Compression;
using System.Text;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Unit.Logs;

/// <summary>Rotated files that are compressed, and their readers.</summary>
public sealed class LogCompressionTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-logz-").FullName;

    private string LogPath => Path.Combine(_directory, "a.log");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Rotated_files_are_compressed_and_read_back_whole()
    {
        Fill(0, 300, maxFiles: 100);
        new LogFileSet(LogPath).Compress();
        string[] files = Names();
        Assert.Equal(["a.log", .. Enumerable.Range(1, files.Length - 1).Select(i => $"a.log.{i}.gz").Order(StringComparer.Ordinal)], files);
        Assert.True(files.Length > 3);
        using (GZipStream oldest = new(File.OpenRead($"{LogPath}.{files.Length - 1}.gz"), CompressionMode.Decompress))
        {
            Assert.StartsWith("""{"log":"0\n",""", new StreamReader(oldest).ReadLine(), StringComparison.Ordinal);
        }

        Assert.Equal(Enumerable.Range(0, 300), await Numbers(new LogReadOptions()));
        Assert.Equal(Enumerable.Range(200, 100), await Numbers(new LogReadOptions { Tail = 100 }));
    }

    [Fact]
    public async Task Rotation_moves_and_drops_compressed_files_as_plain_ones()
    {
        for (int start = 0; start < 1000; start += 50)
        {
            Fill(start, 50, maxFiles: 4);
            new LogFileSet(LogPath).Compress();
        }

        Assert.Equal(["a.log", "a.log.1.gz", "a.log.2.gz", "a.log.3.gz"], Names());
        List<int> kept = await Numbers(new LogReadOptions());
        Assert.Equal(Enumerable.Range(1000 - kept.Count, kept.Count), kept);
        Assert.InRange(kept.Count, 100, 400);
    }

    /// <summary>While it reads a file that file is compressed and its name goes: it must find on, and read nothing again.</summary>
    [Fact]
    public async Task A_follower_loses_and_doubles_nothing_while_files_are_compressed()
    {
        Fill(0, 10, maxFiles: 100);
        bool ended = false;
        List<int> numbers = [];
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(LogPath, new LogReadOptions { Follow = true }, () => ended, TimeProvider.System, Cancellation))
        {
            numbers.Add(Number(entry));
            if (numbers.Count % 10 == 0 && numbers.Count < 500)
            {
                Fill(numbers.Count, 10, maxFiles: 100);
                new LogFileSet(LogPath).Compress();
            }

            ended = numbers.Count == 500;
        }

        Assert.Equal(Enumerable.Range(0, 500), numbers);
        Assert.True(Names().Length > 5);
    }

    [Fact]
    public async Task The_writer_has_them_compressed_by_another_thread()
    {
        LogCompressor compressor = new();
        using (JsonLogWriter writer = new(new LogTarget(LogPath, 4000, 100) { Compress = true }, TimeProvider.System, new ByteBuffer(), compressor))
        {
            for (int i = 0; i < 1000; i++)
            {
                writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes($"{i}\n"));
            }
        }

        DateTime limit = DateTime.UtcNow.AddSeconds(60);
        while (Names().Any(name => name != "a.log" && !name.EndsWith(".gz", StringComparison.Ordinal)))
        {
            Assert.True(DateTime.UtcNow < limit, string.Join(' ', Names()));
            await Task.Delay(10, Cancellation);
        }

        Assert.Equal(Enumerable.Range(0, 1000), await Numbers(new LogReadOptions()));
    }

    [Fact]
    public async Task What_a_killed_compressor_left_changes_nothing()
    {
        Fill(0, 100, maxFiles: 100);
        string[] before = Names();
        await File.WriteAllTextAsync(LogPath + ".part", "half", Cancellation);
        await File.WriteAllTextAsync(LogPath + ".1.gz", "both", Cancellation);
        Assert.Equal(Enumerable.Range(0, 100), await Numbers(new LogReadOptions()));
        new LogFileSet(LogPath).Compress();
        Assert.Equal(before.Length, Names().Length);
        Assert.Equal(Enumerable.Range(0, 100), await Numbers(new LogReadOptions()));
    }

    /// <summary>A file that is no gzip has nothing to tell; one that was cut tells what it held up to there. The others are whole.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_damaged_file_is_read_up_to_the_damage(int parts)
    {
        Fill(0, 5000, maxFiles: 100, maxSize: 200_000);
        new LogFileSet(LogPath).Compress();
        string path = LogPath + ".1.gz";
        byte[] packed = await File.ReadAllBytesAsync(path, Cancellation);
        List<int> whole = await Numbers(new LogReadOptions());
        int held = whole.Count - (await Numbers(new LogReadOptions { Tail = File.ReadLines(LogPath).Count() })).Count;
        await File.WriteAllBytesAsync(path, parts == 0 ? "no gzip"u8.ToArray() : packed[..(packed.Length * parts / 3)], Cancellation);

        List<int> left = await Numbers(new LogReadOptions());
        int read = held - (whole.Count - left.Count);
        Assert.InRange(read, parts == 0 ? 0 : (held * parts / 3) - 400, parts == 0 ? 0 : (held * parts / 3) + 400);
        Assert.Equal([.. whole.Take(read), .. whole.Skip(held)], left);
    }

    [Fact]
    public async Task Attributes_are_written_as_dockerd_writes_them_and_read_past()
    {
        string attributes = LogAttributes.Encode([new("a", "1"), new("b\"", "<x>")]);
        using (JsonLogWriter writer = new(new LogTarget(LogPath, -1, 1) { Attributes = attributes }, TimeProvider.System, new ByteBuffer()))
        {
            writer.Append(LogStream.Stderr, "7\n"u8);
        }

        Assert.StartsWith(
            """{"log":"7\n","stream":"stderr","attrs":{"a":"1","b\"":"\u003cx\u003e"},"time":""", await File.ReadAllTextAsync(LogPath, Cancellation), StringComparison.Ordinal);
        Assert.Equal([7], await Numbers(new LogReadOptions()));
        Assert.Equal("", LogAttributes.Encode([]));
    }

    private void Fill(int first, int count, int maxFiles, long maxSize = 2000)
    {
        using JsonLogWriter writer = new(new LogTarget(LogPath, maxSize, maxFiles), TimeProvider.System, new ByteBuffer());
        for (int i = first; i < first + count; i++)
        {
            writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes($"{i}\n"));
        }
    }

    private string[] Names() => [.. Directory.GetFiles(_directory).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    private static int Number(LogEntry entry) => int.Parse(Encoding.ASCII.GetString(entry.Text.Span), CultureInfo.InvariantCulture);

    private async Task<List<int>> Numbers(LogReadOptions options)
    {
        List<int> numbers = [];
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(LogPath, options, () => true, TimeProvider.System, Cancellation))
        {
            numbers.Add(Number(entry));
        }

        return numbers;
    }
}
