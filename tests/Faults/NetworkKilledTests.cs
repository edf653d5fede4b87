using System.Diagnostics;
using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine while containers' traffic flows: the kernel carries it on, and questions for names wait for the next engine.</summary>
public sealed class NetworkKilledTests() : FaultTest("nkill")
{
    /// <summary>Counts to whoever connects, and serves the next one when he has left.</summary>
    private const string Counts = "while :; do { i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done; } | nc -l -p 80; done";

    [Fact]
    public async Task No_connection_through_a_published_port_breaks_and_new_ones_are_served()
    {
        await using var outside = await OutsideWorld.Make("nk", 211);
        string[] inOutside = ["netns", "exec", outside.Namespace, "busybox", "nc"];
        await Docker.Ok("network", "create", "net");
        var ports = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            await Docker.Ok("run", "-d", "--name", $"s{i}", "--network", i % 2 == 0 ? "net" : "bridge", "-p", "0.0.0.0::80", "alpine", "sh", "-c", Counts);
            ports.Add((await Docker.Ok("port", $"s{i}", "80/tcp")).Split(':')[^1]);
        }

        // From another machine and from this one; the last container is left for later.
        Process[] clients =
        [
            .. ports[..2].Select(port => Programs.Start("ip", [.. inOutside, outside.HostAddress, port])),
            .. ports[2..4].Select(port => Programs.Start("busybox", ["nc", "127.0.0.1", port])),
        ];
        var last = new int[clients.Length];
        await Advance();
        for (var round = 0; round < Rounds.Of(3); round++)
        {
            await Engine.Kill();
            await Advance();
            if (round == 0)
            {
                using var late = Programs.Start("ip", [.. inOutside, outside.HostAddress, ports[4]]);
                Assert.Equal("1", await late.StandardOutput.ReadLineAsync(Cancellation));
                late.Kill();
            }

            await Engine.Start();
            await Advance();
        }

        foreach (var client in clients)
        {
            client.Kill();
            client.Dispose();
        }

        // Each goes on, and without a gap: ten more numbers.
        async Task Advance()
        {
            for (var i = 0; i < clients.Length; i++)
            {
                for (var more = 0; more < 10; more++)
                {
                    var line = await clients[i].StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(Programs.Limit(30), Cancellation);
                    Assert.Equal((++last[i]).ToString(CultureInfo.InvariantCulture), line);
                }
            }
        }
    }

    [Fact]
    public async Task Names_pause_for_no_longer_than_a_repeated_query()
    {
        Requirement.Program("python3", "python3");
        await Docker.Ok("network", "create", "names");
        await Docker.Ok("run", "-d", "--name", "server", "--network", "names", "alpine", "sleep", "1000");
        await Docker.Ok("run", "-d", "--name", "client", "--network", "names", "alpine", "sleep", "1000");
        var pid = await Docker.Inspect("client", "{{.State.Pid}}");
        using var asking = Programs.Start("nsenter", [$"--net=/proc/{pid}/ns/net", "python3", Path.Combine(Repository.Root, "tests/Harness/names.py"), "127.0.0.11", "server"]);
        var answered = 0;
        try
        {
            await Answered(20);
            for (var round = 0; round < Rounds.Of(3); round++)
            {
                await Engine.Kill();
                await Task.Delay(Programs.Limit(0.3), Cancellation);
                await Engine.Start();
                await Answered(20);
            }
        }
        finally
        {
            asking.Kill();
        }

        Assert.True(answered >= 20);

        async Task Answered(int count)
        {
            for (var i = 0; i < count; i++, answered++)
            {
                var line = await asking.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(Programs.Limit(30), Cancellation);
                Assert.True(line is "answered at attempt 1" or "answered at attempt 2", $"query {answered + 1}: {line}");
            }
        }
    }

    [Fact]
    public async Task Names_that_ended_with_their_container_while_no_engine_ran_are_let_go()
    {
        await Docker.Ok("network", "create", "gone");
        await Docker.Ok("run", "-d", "--name", "short", "--network", "gone", "alpine", "sleep", "1000");
        var pid = await Docker.Inspect("short", "{{.State.Pid}}");
        var space = (await Programs.Run("readlink", [$"/proc/{pid}/ns/net"])).Ok().Output.Trim();
        await Engine.Kill();
        (await Programs.Run("kill", ["-KILL", pid])).Ok();
        await Engine.Start();
        Assert.Equal("exited", await Docker.Inspect("short", "{{.State.Status}}"));

        // The container's end of a link goes with its namespace, which lives as long as a socket of it.
        var clock = Stopwatch.StartNew();
        while ((await Programs.Run("ip", ["-o", "link", "show", "master", $"br-{(await Docker.Ok("network", "inspect", "-f", "{{.Id}}", "gone"))[..12]}"])).Output.Length > 0)
        {
            Assert.True(clock.Elapsed < Programs.Limit(20), $"a link into {space} is left");
            await Task.Delay(50, Cancellation);
        }

        await Docker.Ok("start", "short");
        await Docker.Ok("exec", "short", "nslookup", "short.");
    }
}
