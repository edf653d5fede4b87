using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the supervisor: its containers end with it; states are truthful, nothing is left, everything can be started again.</summary>
public sealed class SupervisorKilledTests() : FaultTest("skill")
{
    [Fact]
    public async Task With_the_engine_running()
    {
        var before = await Footprint.Settled(Engine);
        var ids = await Start(5, "sleep 1000");
        var pids = (await Docker.Run(["inspect", "-f", "{{.State.Pid}}", .. ids])).Ok().Lines;
        await Engine.KillSupervisor();
        await Docker.Until(output => output.Length == 0, ["ps", "-q"]);
        Assert.All(pids, pid => Assert.False(Programs.Lives(pid)));
        await Docker.Ok("start", "c0");
        Assert.Equal("again", await Docker.Ok("exec", "c0", "echo", "again"));
        await Docker.Ok(["rm", "-f", .. ids]);
        (await Footprint.Settled(Engine)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    [Fact]
    public async Task With_the_engine_killed_too()
    {
        var before = await Footprint.Settled(Engine);
        var ids = await Start(20, "sleep 1000");
        await Engine.Kill();
        await Engine.KillSupervisor();
        await Engine.Start();
        Assert.Empty((await Docker.Run("ps", "-q")).Ok().Lines);
        Assert.All((await Docker.Run(["inspect", "-f", "{{.State.Status}}", .. ids])).Ok().Lines, state => Assert.Equal("exited", state));
        await Docker.Ok("start", "c1");
        Assert.Equal("running", await Docker.Inspect("c1", "{{.State.Status}}"));
        (await Docker.RunFor(Programs.Limit(120), ["rm", "-f", .. ids])).Ok();
        (await Footprint.Settled(Engine)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    [Fact]
    public async Task Containers_with_a_restart_policy_come_back()
    {
        await Docker.Ok("run", "-d", "--name", "always", "--restart", "always", "alpine", "sleep", "1000");
        await Engine.Kill();
        await Engine.KillSupervisor();
        await Engine.Start();
        await Docker.Until(output => output == "running\n", ["inspect", "-f", "{{.State.Status}}", "always"]);
    }
}
