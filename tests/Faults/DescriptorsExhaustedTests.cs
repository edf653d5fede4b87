using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>An engine or a supervisor that may open no more: what fails says so, nothing is left of it, and with room again all goes on.</summary>
public sealed class DescriptorsExhaustedTests() : FaultTest("fds")
{
    private const int InCi = 6;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nothing_is_left_and_all_goes_on(bool engine)
    {
        await Docker.Ok("run", "-d", "--name", "keeper", "alpine", "sleep", "1000");
        var before = await Footprint.Settled(Engine);
        var (enginePid, supervisorPid) = (Engine.Pid, Engine.SupervisorPid);
        var starved = engine ? enginePid : supervisorPid;
        var limit = (await Programs.Run("prlimit", ["--noheadings", "--nofile", "--output", "SOFT", "--pid", Text(starved)])).Ok().Line.Trim();
        var random = new Random(Rounds.Seed);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var open = Directory.EnumerateFileSystemEntries($"/proc/{starved}/fd").Count();
            await Limit(starved, Text(open + random.Next(engine ? 60 : 12)));
            var clients = Enumerable.Range(0, 6).Select(i => Docker.Start((i % 3) switch
            {
                0 => ["run", "--rm", "alpine", "true"],
                1 => ["run", "-d", "--name", $"r{round}-{i}", "-p", "127.0.0.1:0:80", "alpine", "sleep", "1000"],
                _ => ["exec", "keeper", "true"],
            })).ToArray();
            await Task.WhenAny(Task.WhenAll(clients.Select(client => client.WaitForExitAsync(Cancellation))), Task.Delay(Programs.Limit(3), Cancellation));
            await Limit(starved, limit);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            patience.CancelAfter(Programs.Limit(30));
            foreach (var client in clients)
            {
                await client.WaitForExitAsync(patience.Token);
                client.Dispose();
            }

            Assert.True((enginePid, supervisorPid) == (Engine.Pid, Engine.SupervisorPid), $"seed {Rounds.Seed}, round {round}: one of them ended");
            Assert.Equal("well", await Docker.Ok("exec", "keeper", "echo", "well"));
            Assert.Equal("well", await Docker.Ok("run", "--rm", "alpine", "echo", "well"));
            var left = (await Docker.Run("ps", "-aq", "--filter", "name=r", "--no-trunc")).Ok().Lines;
            foreach (var id in left)
            {
                if (await Docker.Inspect(id, "{{.Name}}") != "/keeper")
                {
                    await Docker.Ok("rm", "-f", id);
                }
            }
        }

        (await Footprint.Settled(Engine, before)).EqualTo(before);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>The soft limit alone: an unprivileged hard one could not be raised again.</summary>
    private static async Task Limit(int process, string count) => (await Programs.Run("prlimit", [$"--nofile={count}:", "--pid", Text(process)])).Ok();
}
