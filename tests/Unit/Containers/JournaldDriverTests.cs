using System.Net.Sockets;
using System.Text;
using Slipway.Engine.Logging;
using Slipway.Runtime.Logs;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>What the journal gets, at a socket of the test's own in place of its.</summary>
public sealed class JournaldDriverTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-journal-").FullName;
    private readonly Socket _journal = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

    private string Path => _folder + "/socket";

    private static LogSubject Subject => new()
    {
        Id = new string('a', 64), Name = "web", ImageId = "sha256:" + new string('b', 64), ImageName = "nginx:1", Command = "nginx", Created = DateTimeOffset.UnixEpoch,
        Labels = new Dictionary<string, string> { ["com.example/team"] = "blue\nand green" }, Environment = [],
        Options = new Dictionary<string, string> { ["tag"] = "{{.Name}}", ["labels"] = "com.example/team" },
    };

    public void Dispose()
    {
        _journal.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Records_are_datagrams_of_fields()
    {
        _journal.Bind(new UnixDomainSocketEndPoint(Path));
        await using JournaldDriver driver = JournaldDriver.Create(Subject, Path);
        await driver.SendAsync(new LogEntry(LogStream.Stderr, new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), "hello\n"u8.ToArray()), TestContext.Current.CancellationToken);
        string text = await ReceiveAsync();
        Assert.StartsWith("MESSAGE=hello\nPRIORITY=3\nCONTAINER_ID=aaaaaaaaaaaa\nCONTAINER_ID_FULL=" + new string('a', 64) + "\nCONTAINER_NAME=web\nCONTAINER_TAG=web\nIMAGE_NAME=nginx:1\nSYSLOG_IDENTIFIER=web\n", text, StringComparison.Ordinal);
        Assert.Contains("\nSYSLOG_TIMESTAMP=2026-01-02T03:04:05Z\n", text, StringComparison.Ordinal);
        Assert.Contains("\nCONTAINER_LOG_ORDINAL=1\n", text, StringComparison.Ordinal);

        // A value of two lines comes with its length, and the name of the field is made of what the journal allows.
        Assert.Contains("\nCOM_EXAMPLE_TEAM\n\u000e\0\0\0\0\0\0\0blue\nand green\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("PARTIAL", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Parts_of_a_long_line_are_told()
    {
        _journal.Bind(new UnixDomainSocketEndPoint(Path));
        await using JournaldDriver driver = JournaldDriver.Create(Subject, Path);
        byte[] part = [.. Enumerable.Repeat((byte)'x', 16 * 1024)];
        await driver.SendAsync(new LogEntry(LogStream.Stdout, DateTimeOffset.UnixEpoch, part), TestContext.Current.CancellationToken);
        await driver.SendAsync(new LogEntry(LogStream.Stdout, DateTimeOffset.UnixEpoch, "y\n"u8.ToArray()), TestContext.Current.CancellationToken);
        string first = await ReceiveAsync();
        Assert.Contains("\nCONTAINER_PARTIAL_ORDINAL=1\nCONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n", first, StringComparison.Ordinal);
        string second = await ReceiveAsync();
        Assert.Contains("\nCONTAINER_PARTIAL_ORDINAL=2\nCONTAINER_PARTIAL_LAST=true\n", second, StringComparison.Ordinal);
        Assert.DoesNotContain("CONTAINER_PARTIAL_MESSAGE", second, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_without_a_journal_is_told() =>
        Assert.Equal("journald is not enabled on this host", Assert.Throws<IOException>(() => JournaldDriver.Create(Subject, Path)).Message);

    private async Task<string> ReceiveAsync()
    {
        byte[] buffer = new byte[65536];
        int count = await _journal.ReceiveAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        return Encoding.Latin1.GetString(buffer, 0, count);
    }
}
