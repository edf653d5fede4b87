using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine while it probes: the next one goes on from the health that was known, and no probe is left to hang.</summary>
public sealed class HealthCheckKilledTests() : FaultTest("health")
{
    private Task<string> Becomes(string name, string status) =>
        Docker.Until(output => output.Trim() == status, ["inspect", "-f", "{{.State.Health.Status}}", name]);

    [Fact]
    public async Task Probing_goes_on_with_the_next_engine()
    {
        await Docker.Ok("run", "-d", "--name", "watched", "--health-interval", "100ms", "--health-retries", "1", "--health-cmd", "test ! -e /bad", "alpine", "sleep", "1000");
        await Becomes("watched", "healthy");
        for (var round = 0; round < 3; round++)
        {
            await Engine.Kill();
            await Engine.Start();
            Assert.Equal("running healthy", await Docker.Inspect("watched", "{{.State.Status}} {{.State.Health.Status}}"));
            await Docker.Ok("exec", "watched", "touch", "/bad");
            await Becomes("watched", "unhealthy");
            await Docker.Ok("exec", "watched", "rm", "/bad");
            await Becomes("watched", "healthy");
        }
    }

    [Fact]
    public async Task A_probe_that_ran_when_the_engine_died_is_ended()
    {
        await Docker.Ok(
            "run", "-d", "--name", "hanging", "--health-interval", "100ms", "--health-timeout", "10m", "--health-cmd", "sleep 7654; true", "alpine", "sleep", "1000");
        await Docker.Until(output => output.Contains("7654", StringComparison.Ordinal), ["top", "hanging"]);
        var before = await Probes();
        await Engine.Kill();
        await Engine.Start();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while ((await Probes()).Intersect(before).Any())
        {
            Assert.True(clock.Elapsed < Programs.Limit(30), "the probe of the engine before still runs");
            await Task.Delay(50, Cancellation);
        }

        async Task<string[]> Probes() =>
            [.. (await Docker.Run("top", "hanging", "-eo", "pid,args")).Ok().Lines.Where(line => line.Contains("sleep 7654", StringComparison.Ordinal)).Select(line => line.Trim().Split(' ')[0])];
    }

    [Fact]
    public async Task A_restart_because_of_health_survives_the_engine()
    {
        await Docker.Ok(
            "run", "-d", "--name", "stubborn", "--restart", "on-unhealthy", "--stop-timeout", "2", "--health-interval", "100ms", "--health-retries", "1", "--health-cmd", "test ! -e /tmp/bad",
            "--tmpfs", "/tmp", "alpine", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done");
        await Becomes("stubborn", "healthy");
        await Docker.Ok("exec", "stubborn", "touch", "/tmp/bad");
        await Becomes("stubborn", "unhealthy");
        await Engine.Kill();
        await Engine.Start();
        await Docker.Until(output => output.Trim() == "1 running healthy", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.Health.Status}}", "stubborn"]);
    }
}
