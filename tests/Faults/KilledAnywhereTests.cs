using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>
/// kill -9 of the engine, the supervisor or both at a random instant while containers are created, started, executed in, stopped, removed, copied to,
/// committed and pruned, all at once: each round is a kill during each of them.
/// </summary>
public sealed class KilledAnywhereTests() : FaultTest("any")
{
    private const int InCi = 8;

    private readonly string _file = Path.GetTempFileName();

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task States_are_truthful_and_nothing_is_left(bool engine, bool supervisor)
    {
        await using (var file = File.OpenWrite(_file))
        {
            file.SetLength(20 << 20);
        }
        var before = await Footprint.Settled(Engine);
        var random = new Random(Rounds.Seed);
        var ids = new HashSet<string>(StringComparer.Ordinal);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var where = $"seed {Rounds.Seed}, round {round}";
            await Docker.Ok("run", "-d", "--name", $"keeper{round}", "-v", $"data{round}:/data", "-m", "64m", "alpine", "sh", "-c", "while :; do date; sleep 0.1; done");
            await Docker.Ok("run", "-d", "--name", $"stop{round}", "alpine", "sleep", "1000");
            await Docker.Ok("run", "-d", "--name", $"rm{round}", "-v", "/anonymous", "alpine", "sleep", "1000");
            await Docker.Ok("create", "--name", $"start{round}", "alpine", "sleep", "1000");
            await Docker.Ok("create", "--name", $"prune{round}", "--label", "prune", "alpine", "true");
            string[][] verbs =
            [
                ["create", "--name", $"create{round}", "-v", "/anonymous", "alpine", "sleep", "1000"],
                ["start", $"start{round}"],
                ["run", "-d", "--name", $"run{round}", "-p", "127.0.0.1:0:80", "alpine", "sleep", "1000"],
                ["exec", $"keeper{round}", "sh", "-c", "date; sleep 0.3; date"],
                ["stop", "-t", "0", $"stop{round}"],
                ["rm", "-f", "-v", $"rm{round}"],
                ["cp", _file, $"keeper{round}:/data/file"],
                ["commit", $"keeper{round}", $"made:{round}"],
                ["container", "prune", "-f", "--filter", "label=prune"],
            ];
            var clients = verbs.Select(verb => Docker.Start(verb)).ToArray();
            await Task.Delay(random.Next(400), Cancellation);
            if (supervisor)
            {
                await Engine.KillSupervisor();
            }
            if (engine)
            {
                await Engine.Kill();
            }
            await Task.WhenAll(clients.Select(client => client.WaitForExitAsync(Cancellation)));
            var told = verbs.Zip(clients).Where(pair => pair.Second.ExitCode == 0).Select(pair => pair.First[0]).ToHashSet(StringComparer.Ordinal);
            Array.ForEach(clients, client => client.Dispose());
            if (engine)
            {
                await Engine.Start();
            }
            await Truthful(where);
            if (!supervisor)
            {
                Assert.True(await Docker.Inspect($"keeper{round}", "{{.State.Status}}") == "running", $"{where}: a bystander ended");
                Assert.True(!told.Contains("stop") || await Docker.Inspect($"stop{round}", "{{.State.Status}}") == "exited", where);
            }
            if (told.Contains("rm"))
            {
                (await Docker.Run("inspect", "--type", "container", $"rm{round}")).Exited(1);
            }
            if (told.Contains("commit"))
            {
                await Docker.Ok("image", "inspect", $"made:{round}");
            }
            // A supervisor that was killed is replaced as soon as its end has been dealt with.
            await Docker.Until(output => output == "after\n", ["run", "--rm", "alpine", "echo", "after"]);

            var all = (await Docker.Run("ps", "-aq", "--no-trunc")).Ok().Lines;
            ids.UnionWith(all);
            await Docker.Ok(["rm", "-f", "-v", .. all]);
            await Docker.Ok("volume", "rm", $"data{round}");
            await Docker.Run("rmi", $"made:{round}");
            Assert.True((await Docker.Run("volume", "ls", "-q")).Lines is [], $"{where}: volumes are left: {await Docker.Ok("volume", "ls")}");
        }

        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
        File.Delete(_file);
    }

    /// <summary>What is said to run runs, and nothing else does; soon, since a supervisor's end has to be noticed.</summary>
    private async Task Truthful(string where)
    {
        string[] lies = [];
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Programs.Limit(20); await Task.Delay(50, Cancellation))
        {
            var containers = (await Docker.Run("ps", "-aq")).Ok().Lines;
            if (containers.Length == 0)
            {
                return;
            }
            var states = await Docker.Run(["inspect", "-f", "{{.Name}} {{.State.Running}} {{.State.Pid}}", .. containers]);
            lies = [.. states.Lines.Where(line => line.Split(' ') is not [_, var running, var pid] || (running == "true") != (pid != "0" && Programs.Lives(pid)))];
            if (lies.Length == 0 && states.ExitCode == 0)
            {
                return;
            }
        }
        Assert.Fail($"{where}: {string.Join(", ", lies)}");
    }
}
