using System.Text;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Unit.Logs;

public sealed class JsonLogWriterTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-log-").FullName;

    private string LogPath => Path.Combine(_directory, "a.log");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a\"b\\c", "a\\\"b\\\\c")]
    [InlineData("\r\t\0\u001b\u007f", "\\r\\u0009\\u0000\\u001b\u007f")]
    [InlineData("<a href=\"x\">&</a>", "\\u003ca href=\\\"x\\\"\\u003e\\u0026\\u003c/a\\u003e")]
    [InlineData("grün 漢字 😀", "grün 漢字 😀")]
    [InlineData("\u2028|\u2029", "\\u2028|\\u2029")]
    public void Text_is_escaped_as_dockerd_escapes_it(string text, string expected)
    {
        var output = new ByteBuffer();
        JsonLogFormat.WriteRecord(output, LogStream.Stderr, Encoding.UTF8.GetBytes(text), newline: true, DateTimeOffset.UnixEpoch);
        Assert.Equal($"{{\"log\":\"{expected}\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:00Z\"}}\n", Encoding.UTF8.GetString(output.Written));
    }

    [Fact]
    public void Each_byte_that_is_not_UTF8_becomes_a_replacement_character()
    {
        var output = new ByteBuffer();

        // A lone continuation, a cut sequence of three, a surrogate, and an overlong slash.
        JsonLogFormat.WriteRecord(output, LogStream.Stdout, [0x80, (byte)'a', 0xE2, 0x82, (byte)'b', 0xED, 0xA0, 0x80, 0xC0, 0xAF], newline: false, DateTimeOffset.UnixEpoch);
        Assert.Contains("\"log\":\"\\ufffda\\ufffd\\ufffdb\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"", Encoding.UTF8.GetString(output.Written), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "2026-01-02T03:04:05Z")]
    [InlineData(1, "2026-01-02T03:04:05.0000001Z")]
    [InlineData(1_000_000, "2026-01-02T03:04:05.1Z")]
    [InlineData(1_234_560, "2026-01-02T03:04:05.123456Z")]
    public void Times_are_RFC3339_without_trailing_zeros(long ticks, string expected)
    {
        var output = new ByteBuffer();
        JsonLogFormat.WriteTime(output, new DateTimeOffset(2026, 1, 2, 4, 4, 5, TimeSpan.FromHours(1)).AddTicks(ticks));
        Assert.Equal(expected, Encoding.ASCII.GetString(output.Written));
    }

    [Fact]
    public void Lines_are_joined_over_reads_and_kept_apart_by_stream()
    {
        using (JsonLogWriter writer = Open())
        {
            writer.Append(LogStream.Stdout, "one\ntw"u8);
            writer.Append(LogStream.Stderr, "err\n"u8);
            writer.Append(LogStream.Stdout, "o\nrest"u8);
            writer.Finish();
        }

        Assert.Equal([("one\n", "stdout"), ("err\n", "stderr"), ("two\n", "stdout"), ("rest", "stdout")], Entries(LogPath));
    }

    [Theory]
    [InlineData(16383, new[] { 16383 })]
    [InlineData(16384, new[] { 16384, 0 })]
    [InlineData(16385, new[] { 16384, 1 })]
    [InlineData(40000, new[] { 16384, 16384, 7232 })]
    public void Long_lines_are_cut_at_16_KiB_and_end_with_one_newline(int length, int[] expected)
    {
        byte[] line = [.. Enumerable.Repeat((byte)'x', length), (byte)'\n'];
        foreach (int chunk in (int[])[1000, 4096, 65536])
        {
            List<(int, bool)> records = [];
            var splitter = new LineSplitter(LogStream.Stdout);
            foreach (byte[] part in line.Chunk(chunk))
            {
                splitter.Split(part, (_, text, newline) => records.Add((text.Length, newline)));
            }

            splitter.Finish((_, text, newline) => records.Add((text.Length, newline)));
            Assert.Equal(expected.Select((l, i) => (l, i == expected.Length - 1)), records);
        }
    }

    [Fact]
    public void A_line_is_not_cut_inside_a_character()
    {
        byte[] line = [(byte)'a', .. Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("漢", 8000))), (byte)'\n'];
        List<byte> joined = [];
        new LineSplitter(LogStream.Stdout).Split(line, (_, text, newline) =>
        {
            Assert.DoesNotContain('\uFFFD', Encoding.UTF8.GetString(text));
            joined.AddRange(text);
        });
        Assert.Equal(line[..^1], joined);
    }

    [Fact]
    public void Files_are_rotated_before_the_record_beyond_their_size_and_the_oldest_go()
    {
        using (JsonLogWriter writer = Open(maxSize: 200, maxFiles: 3))
        {
            for (int i = 0; i < 20; i++)
            {
                writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes($"line {i:d2}\n"));
            }
        }

        string[] files = [.. Directory.GetFiles(_directory).Select(f => Path.GetFileName(f)!).Order()];
        Assert.Equal(["a.log", "a.log.1", "a.log.2"], files);
        string[] kept = [.. new[] { LogPath + ".2", LogPath + ".1", LogPath }.SelectMany(Entries).Select(e => e.Text)];
        Assert.Equal(Enumerable.Range(20 - kept.Length, kept.Length).Select(i => $"line {i:d2}\n"), kept);
        Assert.All(files, file => Assert.InRange(new FileInfo(Path.Combine(_directory, file)).Length, 1, 200 + 100));
    }

    [Fact]
    public void One_batch_larger_than_the_size_is_spread_over_files()
    {
        using (JsonLogWriter writer = Open(maxSize: 500, maxFiles: 100))
        {
            writer.Append(LogStream.Stdout, Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 50).Select(i => $"{i}\n"))));
        }

        Assert.InRange(Directory.GetFiles(_directory).Length, 5, 20);
        Assert.All(Directory.GetFiles(_directory), file => Assert.InRange(new FileInfo(file).Length, 1, 600));
    }

    [Fact]
    public void A_torn_last_line_of_an_earlier_writer_is_ended()
    {
        File.WriteAllText(LogPath, "{\"log\":\"tor");
        using (JsonLogWriter writer = Open())
        {
            writer.Append(LogStream.Stdout, "next\n"u8);
        }

        Assert.Equal(2, File.ReadAllLines(LogPath).Length);
        Assert.StartsWith("{\"log\":\"next\\n\"", File.ReadAllLines(LogPath)[1], StringComparison.Ordinal);
    }

    private JsonLogWriter Open(long maxSize = -1, int maxFiles = 1) => new(new LogTarget(LogPath, maxSize, maxFiles), TimeProvider.System, new ByteBuffer());

    private static IEnumerable<(string Text, string Stream)> Entries(string path) => File.ReadAllLines(path)
        .Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement)
        .Select(e => (e.GetProperty("log").GetString()!, e.GetProperty("stream").GetString()!));
}
