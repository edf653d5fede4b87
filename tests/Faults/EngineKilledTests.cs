using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine: containers go on, a new engine takes them over, no logged line and no exit code is lost.</summary>
public sealed class EngineKilledTests() : FaultTest("ekill")
{
    private static string[] Numbers(int count) => [.. Enumerable.Range(1, count).Select(i => i.ToString(CultureInfo.InvariantCulture))];

    [Fact]
    public async Task Twenty_containers_go_on_and_are_taken_over()
    {
        var ids = await Start(20, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done");
        var pids = (await Docker.Run(["inspect", "-f", "{{.State.Pid}}", .. ids])).Ok().Lines;
        await Engine.Kill();
        Assert.All(pids, pid => Assert.True(Programs.Lives(pid), $"process {pid} ended with the engine"));
        await Engine.Start();
        Assert.Equal(ids.Order(), (await Docker.Run("ps", "-q", "--no-trunc")).Ok().Lines.Order());
        Assert.Equal(pids, (await Docker.Run(["inspect", "-f", "{{.State.Pid}}", .. ids])).Ok().Lines);
        Assert.Equal("alive", await Docker.Ok("exec", "c3", "echo", "alive"));
        using (var follower = Docker.Start("logs", "-f", "-n", "0", "c4"))
        {
            Assert.NotNull(await follower.StandardOutput.ReadLineAsync(Cancellation));
            follower.Kill();
        }
        await Docker.Ok("stop", "-t", "0", "c5");
        Assert.Equal("exited 137", await Docker.Inspect("c5", "{{.State.Status}} {{.State.ExitCode}}"));
        await Docker.Ok("restart", "-t", "0", "c6");
        await Docker.Ok("pause", "c7");
        await Docker.Ok("unpause", "c7");
        // Unbroken from the first line on: what was written while no engine ran is there too.
        foreach (var name in new[] { "c0", "c5", "c19" })
        {
            var lines = (await Docker.Run("logs", name)).Ok().Lines;
            Assert.NotEmpty(lines);
            Assert.Equal(Numbers(lines.Length), lines);
        }
        await Docker.Ok("run", "--rm", "alpine", "true");
    }

    [Fact]
    public async Task Exit_codes_of_those_that_ended_in_between_are_known()
    {
        await Task.WhenAll(Enumerable.Range(1, 5).Select(i => Docker.Ok("run", "-d", "--name", $"e{i}", "alpine", "sh", "-c", $"sleep 1; echo bye; exit {i}")));
        await Engine.Kill();
        await Task.Delay(Programs.Limit(2), Cancellation);
        await Engine.Start();
        for (var i = 1; i <= 5; i++)
        {
            Assert.Equal($"exited {i}", await Docker.Inspect($"e{i}", "{{.State.Status}} {{.State.ExitCode}}"));
            Assert.Equal($"{i}", await Docker.Ok("wait", $"e{i}"));
            Assert.Equal("bye", await Docker.Ok("logs", $"e{i}"));
        }
    }

    [Fact]
    public async Task Nothing_is_lost_of_a_fast_log_while_the_engine_dies_again_and_again()
    {
        await Docker.Ok("run", "-d", "--name", "writer", "alpine", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done");
        for (var i = 0; i < 3; i++)
        {
            await Engine.Kill();
            await Engine.Start();
        }
        Assert.Equal("0", await Docker.Ok("wait", "writer"));
        Assert.Equal(Numbers(20000), (await Docker.Run("logs", "writer")).Ok().Lines);
    }

    [Fact]
    public async Task Kills_during_starts_lose_no_committed_container_and_leave_nothing()
    {
        var before = await Footprint.Settled(Engine);
        for (var round = 0; round < 5; round++)
        {
            var clients = Enumerable.Range(0, 10).Select(i => Docker.Start("run", "-d", "--name", $"r{round}-{i}", "alpine", "sleep", "1000")).ToArray();
            await Task.Delay(20 * round, Cancellation);
            await Engine.Kill();
            var created = new List<string>();
            foreach (var client in clients)
            {
                await client.WaitForExitAsync(Cancellation);
                if (client.ExitCode == 0)
                {
                    created.Add((await client.StandardOutput.ReadToEndAsync(Cancellation)).Trim());
                }
                client.Dispose();
            }
            await Engine.Start();
            // What a client was told of is there and runs; what it was not told of is in a truthful state.
            var running = (await Docker.Run("ps", "-q", "--no-trunc")).Ok().Lines;
            Assert.All(created, id => Assert.Contains(id, running));
            foreach (var line in (await Docker.Run(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"])).Ok().Lines)
            {
                var pid = await Docker.Inspect(line.Split(' ')[0], "{{.State.Pid}}");
                Assert.Equal(line.EndsWith(" running", StringComparison.Ordinal), pid != "0" && Programs.Lives(pid));
            }
            var all = (await Docker.Run("ps", "-aq")).Ok().Lines;
            if (all.Length > 0)
            {
                await Docker.Ok(["rm", "-f", .. all]);
            }
        }
        (await Footprint.Settled(Engine)).EqualTo(before);
    }

    [Fact]
    public async Task Restart_by_hand_keeps_containers_too()
    {
        var ids = await Start(3, "sleep 1000");
        await Engine.Stop();
        await Engine.Start();
        Assert.Equal(ids.Order(), (await Docker.Run("ps", "-q", "--no-trunc")).Ok().Lines.Order());
    }

    [Fact]
    public async Task Published_ports_go_on_without_an_engine()
    {
        await Docker.Ok("run", "-d", "--name", "web", "-p", "127.0.0.1:0:80", "alpine", "sh", "-c", "while :; do echo served | nc -l -p 80; done");
        var port = (await Docker.Ok("port", "web", "80/tcp")).Split(':')[^1];
        string[] ask = ["-c", $"for i in 1 2 3 4 5 6 7 8 9 10; do busybox nc -w 2 127.0.0.1 {port} < /dev/null | grep served && exit 0; sleep 0.2; done; exit 1"];
        (await Programs.Run("sh", ask)).Ok();
        await Engine.Kill();
        (await Programs.Run("sh", ask)).Ok();
        await Engine.Start();
        (await Programs.Run("sh", ask)).Ok();
        Assert.Equal(port, (await Docker.Ok("port", "web", "80/tcp")).Split(':')[^1]);
    }
}
