using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Many containers, at once and one after another: all succeed and nothing is left behind.</summary>
public sealed class ChurnTests() : FaultTest("churn")
{
    [Fact]
    public async Task Fifty_that_end_and_fifty_that_run_at_once()
    {
        var before = await Footprint.Settled(Engine);
        var results = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Docker.RunFor(Programs.Limit(120), "run", "--rm", "alpine", "sh", "-c", $"echo {i}; exit {i}")));
        Assert.Equal(Enumerable.Range(0, 50), results.Select(result => result.ExitCode));
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"{i}\n"), results.Select(result => result.Output));

        var ids = await Start(50, "sleep 1000");
        Assert.Equal(50, (await Docker.Run("ps", "-q")).Lines.Length);
        var addresses = (await Docker.Run(["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", .. ids])).Ok().Lines;
        Assert.Equal(50, addresses.Distinct().Count());
        (await Docker.RunFor(Programs.Limit(120), ["rm", "-f", .. ids])).Ok();
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    /// <summary>As many as there are faults in ten other tests: 500 in the long form.</summary>
    [Fact]
    public async Task Hundreds_in_sequence()
    {
        var before = await Footprint.Settled(Engine);
        for (var i = 0; i < 10 * Rounds.Of(15); i++)
        {
            Assert.Equal($"{i}", await Docker.Ok("run", "--rm", "alpine", "echo", $"{i}"));
        }
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty((await Docker.Run("ps", "-aq")).Lines);
    }

    [Fact]
    public async Task Hundred_execs_leave_nothing()
    {
        await Docker.Ok("run", "-d", "--name", "host", "alpine", "sleep", "1000");
        await Docker.Ok("exec", "host", "true");
        var before = await Footprint.Settled(Engine);
        for (var i = 0; i < 100; i++)
        {
            (await Docker.Run("exec", "host", "sh", "-c", $"exit {i}")).Exited(i);
        }
        (await Footprint.Settled(Engine, before)).EqualTo(before);
    }

    [Fact]
    public async Task Clients_that_vanish_in_the_middle_leave_nothing()
    {
        var before = await Footprint.Settled(Engine);
        for (var i = 0; i < 20; i++)
        {
            using var client = Docker.Start("run", "--rm", "-i", "--name", $"v{i}", "alpine", "cat");
            await Task.Delay(i * 10, Cancellation);
            client.Kill();
            await client.WaitForExitAsync(Cancellation);
        }
        var left = (await Docker.Run("ps", "-aq")).Lines;
        if (left.Length > 0)
        {
            await Docker.Ok(["rm", "-f", .. left]);
        }
        (await Footprint.Settled(Engine, before)).EqualTo(before);
    }
}
