using System.Text;
using System.Text.Json;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Kernel.Supervision;

public sealed class LogTests
{
    private static CancellationToken None => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_line_of_a_busy_process_is_in_its_rotated_files()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, _) = await supervisor.LaunchAsync(supervisor.Logged("a", "seq 1 50000", maxSize: 200_000, maxFiles: 1000));
        process.Pidfd.Dispose();
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
        Assert.True(File.Exists(supervisor.LogPath("a") + ".5"));

        int expected = 0;
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(supervisor.LogPath("a"), new LogReadOptions(), () => true, TimeProvider.System, None))
        {
            Assert.Equal($"{++expected}\n", Encoding.ASCII.GetString(entry.Text.Span));
        }

        Assert.Equal(50000, expected);
    }

    [Fact]
    public async Task The_log_is_whole_when_the_exit_is_reported()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        for (int i = 0; i < 20; i++)
        {
            (LaunchedProcess process, _) = await supervisor.LaunchAsync(supervisor.Logged($"a{i}", "seq 1 500; printf end"));
            process.Pidfd.Dispose();
            await supervisor.ExitAsync($"a{i}");
            string[] lines = await File.ReadAllLinesAsync(supervisor.LogPath($"a{i}"), None);
            Assert.Equal(501, lines.Length);
            Assert.Equal("end", JsonDocument.Parse(lines[500]).RootElement.GetProperty("log").GetString());
        }
    }

    [Fact]
    public async Task On_a_full_disk_the_process_waits_and_nothing_is_lost()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        string disk = Directory.CreateDirectory(Path.Combine(supervisor.Root, "disk")).FullName;
        Run("mount", "-t", "tmpfs", "-o", "size=256k", "slipway-launch-test", disk);
        try
        {
            string filler = Path.Combine(disk, "filler");
            await File.WriteAllBytesAsync(filler, new byte[128 * 1024], None);
            string log = Path.Combine(disk, "a.log");
            LaunchRequest request = SupervisorThread.Shell("a", "seq 1 100000") with { Log = new LogTarget(log, -1, 1) };
            (LaunchedProcess process, _) = await supervisor.LaunchAsync(request);
            process.Pidfd.Dispose();

            // 100,000 records take about 7 MB, and their text is more than pipe and reads hold, so the disk fills and the process blocks.
            for (long last = -1, length; (length = new FileInfo(log).Length) != last || length == 0; last = length)
            {
                await Task.Delay(300, None);
            }

            Assert.Equal(["a"], (await supervisor.Client.ListAsync(None)).Running.Select(running => running.Id));

            // Another process does not notice.
            (process, Client[] clients) = await supervisor.LaunchAsync(SupervisorThread.Shell("b", "echo fine"), (false, true, true));
            process.Pidfd.Dispose();
            Assert.Equal(("fine\n", ""), await clients[0].ReadFramesAsync());

            Run("mount", "-o", "remount,size=32m", disk);
            Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
            string[] lines = await File.ReadAllLinesAsync(log, None);
            Assert.Equal(Enumerable.Range(1, 100000).Select(i => $"{i}\n"), lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("log").GetString()));
        }
        finally
        {
            // Lazily: where the test has failed, the supervisor still has the log open.
            Run("umount", "-l", disk);
        }
    }

    [Fact]
    public async Task On_a_full_disk_a_process_that_must_not_wait_loses_whole_records()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        string disk = Directory.CreateDirectory(Path.Combine(supervisor.Root, "disk")).FullName;
        Run("mount", "-t", "tmpfs", "-o", "size=256k", "slipway-launch-test", disk);
        try
        {
            string log = Path.Combine(disk, "a.log");
            LaunchRequest request = SupervisorThread.Shell("a", "seq 1 100000") with { Log = new LogTarget(log, -1, 1) { DropBeyond = 64 * 1024 } };
            (LaunchedProcess process, _) = await supervisor.LaunchAsync(request);
            process.Pidfd.Dispose();
            Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
            Run("mount", "-o", "remount,size=32m", disk);
            List<string> texts;
            do
            {
                await Task.Delay(50, None);
                string[] lines = await File.ReadAllLinesAsync(log, None);
                texts = [.. lines[..^1].Select(line => JsonDocument.Parse(line).RootElement.GetProperty("log").GetString()!)];
            }
            while (new FileInfo(log).Length <= 256 * 1024);

            // The oldest are there, in order; what did not fit is missing as a whole.
            int[] numbers = [.. texts.Select(text => int.Parse(text, System.Globalization.CultureInfo.InvariantCulture))];
            Assert.Equal(Enumerable.Range(1, 1000), numbers[..1000]);
            Assert.Equal(numbers.Order(), numbers);
            Assert.InRange(numbers.Length, 2000, 50_000);
        }
        finally
        {
            Run("umount", "-l", disk);
        }
    }

    private static void Run(string program, params string[] arguments)
    {
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
