using System.Globalization;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>A log that is large: what is asked of it is found without reading it whole, counted by the bytes the engine reads.</summary>
public sealed class LargeLogTests() : FaultTest("biglog")
{
    private const int Lines = 30_000;
    private const int LineBytes = 20_000;
    private const long Enough = 20 << 20;

    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Tail_since_and_follow_read_little_of_it()
    {
        var name = "writer";
        var id = await Docker.Ok("create", "-i", "--name", name, "--log-opt", "max-size=10g", "alpine", "sh", "-c", "read line; echo live; sleep 1000");
        var path = Path.Combine(Engine.DataRoot, "containers", id, $"{id}-json.log");
        await Docker.Ok("start", name);
        WriteBehind(path);
        Assert.True(new FileInfo(path).Length > 500 << 20);

        var tail = await Read(["logs", "--tail", "3", name]);
        Assert.Equal([Lines - 3, Lines - 2, Lines - 1], Numbers(tail));
        var since = await Read(["logs", "--since", Time(Lines - 5), name]);
        Assert.Equal(Enumerable.Range(Lines - 5, 5), Numbers(since));
        var between = await Read(["logs", "-t", "--since", Time(Lines / 3), "--until", Time((Lines / 3) + 2), name]);
        Assert.Equal([Lines / 3, (Lines / 3) + 1, (Lines / 3) + 2], between.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture)));
        Assert.Equal("", await Read(["logs", "--tail", "0", name]));

        var before = EngineReads();
        using var follower = Docker.Start("logs", "-f", "--tail", "1", name);
        Assert.StartsWith($"{Lines - 1} ", await follower.StandardOutput.ReadLineAsync(Cancellation), StringComparison.Ordinal);
        using (var typist = Docker.Start("attach", "--sig-proxy=false", name))
        {
            await typist.StandardInput.WriteAsync("go\n");
            await typist.StandardInput.FlushAsync(Cancellation);
            Assert.Equal("live", await follower.StandardOutput.ReadLineAsync(Cancellation));
            typist.Kill();
        }

        follower.Kill();
        Assert.InRange(EngineReads() - before, 0, Enough);
    }

    private async Task<string> Read(string[] arguments)
    {
        var before = EngineReads();
        var output = (await Docker.Run(arguments)).Ok().Output;
        Assert.InRange(EngineReads() - before, 0, Enough);
        return output;
    }

    private static IEnumerable<int> Numbers(string output) =>
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => int.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture));

    /// <summary>Bytes that the engine has read from files and sockets (proc_pid_io(5), rchar).</summary>
    private long EngineReads() => long.Parse(File.ReadLines($"/proc/{Engine.Pid}/io").First().Split(' ')[1], CultureInfo.InvariantCulture);

    private static string Time(int line) => s_start.AddSeconds(line).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Fills the log as if the container had been busy.</summary>
    private static void WriteBehind(string path)
    {
        var padding = new string('x', LineBytes);
        using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 1 << 20);
        for (var i = 0; i < Lines; i++)
        {
            file.Write(Encoding.ASCII.GetBytes($"{{\"log\":\"{i} {padding}\\n\",\"stream\":\"stdout\",\"time\":\"{Time(i)}\"}}\n"));
        }
    }
}
