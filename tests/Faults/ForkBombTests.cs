using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>
/// A container without any limit forks without end. What bounds it here is a group above its own, in the place of the host's table of processes: full it is
/// all the same, and the two processors have as many as they can to run.
/// </summary>
public sealed class ForkBombTests() : FaultTest("bomb"), IAsyncLifetime
{
    private const int InCi = 2;
    private const int Processes = 1500;

    private readonly string _group = $"slipway-bomb-{Environment.ProcessId}";

    /// <summary>The group in the hierarchy that counts processes: its own in cgroup v1, the only one in v2.</summary>
    private string Group => Path.Combine(Directory.Exists("/sys/fs/cgroup/pids") ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup", _group);

    [Fact]
    public async Task The_engine_answers_others_run_and_it_can_be_removed()
    {
        MakeGroup();
        await Docker.Ok("run", "-d", "--name", "keeper", "alpine", "sleep", "1000");

        // First use opens what stays open, here of the group above.
        await Docker.Ok("run", "-d", "--name", "first", "--cgroup-parent", $"/{_group}", "alpine", "sleep", "1000");
        await Docker.Ok("stats", "--no-stream", "first");
        await Docker.Ok("rm", "-f", "first");
        var before = await Footprint.Settled(Engine);
        var pids = (Engine.Pid, Engine.SupervisorPid);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var id = await Docker.Ok("run", "-d", "--name", "bomb", "--cgroup-parent", $"/{_group}", "alpine", "sh", "-c", "f() { f | f & }; f; exec sleep 1000");
            Assert.Equal("0", await Docker.Inspect("bomb", "{{with .HostConfig.PidsLimit}}{{.}}{{else}}0{{end}}"));
            await Full();

            Assert.Equal("well", await Docker.Ok("exec", "keeper", "echo", "well"));
            Assert.Equal("well", await Docker.Ok("run", "--rm", "alpine", "echo", "well"));
            Assert.Contains("bomb", (await Docker.Run("ps", "--format", "{{.Names}}")).Ok().Lines);
            var state = (await Docker.Inspect("bomb", "{{.State.Status}} {{.State.Pid}}")).Split(' ');
            Assert.True(state[0] == "running" && Programs.Lives(state[1]));
            await Docker.Ok("stats", "--no-stream", "bomb");

            // Nothing can be started in it, or it can when others have just ended; it forks on.
            await Docker.Run("exec", "bomb", "true");
            await Full();
            switch (round % 3)
            {
                case 0:
                    await Docker.Ok("rm", "-f", "bomb");
                    break;
                case 1:
                    await Docker.Ok("stop", "-t", "0", "bomb");
                    Assert.Equal("exited 137", await Docker.Inspect("bomb", "{{.State.Status}} {{.State.ExitCode}}"));
                    await Docker.Ok("rm", "bomb");
                    break;
                default:
                    await Engine.Kill();
                    await Engine.Start();
                    Assert.Equal("running", await Docker.Inspect("bomb", "{{.State.Status}}"));
                    pids = (Engine.Pid, Engine.SupervisorPid);
                    await Docker.Ok("rm", "-f", "bomb");
                    break;
            }

            Assert.Equal(0, Count());
            Assert.Empty(await Footprint.Traces(Engine, [id]));
        }

        Assert.Equal(pids, (Engine.Pid, Engine.SupervisorPid));
        Assert.Equal("running", await Docker.Inspect("keeper", "{{.State.Status}}"));
        (await Footprint.Settled(Engine, before)).EqualTo(before);
    }

    async ValueTask IAsyncDisposable.DisposeAsync()
    {
        await DisposeAsync();
        foreach (var path in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup").Select(hierarchy => Path.Combine(hierarchy, _group)).Where(Directory.Exists))
        {
            Directory.Delete(path);
        }
    }

    /// <summary>Waits until forks fail: they come and go, so the number is seldom the highest that there may be.</summary>
    private async Task Full()
    {
        for (var left = 600; Count() < Processes / 2; left--)
        {
            Assert.True(left > 0, $"only {Count()} processes");
            await Task.Delay(50, Cancellation);
        }
    }

    private void MakeGroup()
    {
        Directory.CreateDirectory(Group);
        var limit = Path.Combine(Group, "pids.max");
        if (!File.Exists(limit))
        {
            File.WriteAllText("/sys/fs/cgroup/cgroup.subtree_control", "+pids");
        }

        File.WriteAllText(limit, Processes.ToString(CultureInfo.InvariantCulture));
    }

    private int Count() => int.Parse(File.ReadAllText(Path.Combine(Group, "pids.current")), CultureInfo.InvariantCulture);
}
