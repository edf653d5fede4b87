using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker exec`: options, exit codes, and refusals.</summary>
public sealed class ExecTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Exit_code_is_the_programs()
    {
        var name = await Sleeper();
        (await Docker.Run("exec", name, "sh", "-c", "exit 7")).Exited(7);
        (await Docker.Run("exec", name, "sh", "-c", "kill -9 $$")).Exited(137);
    }

    [Fact]
    public async Task Input_output_and_error()
    {
        var name = await Sleeper();
        var result = (await Docker.RunWith("typed", "exec", "-i", name, "sh", "-c", "cat; echo err >&2")).Ok();
        Assert.Equal("typed", result.Output);
        Assert.Equal("err\n", result.Error);
    }

    [Fact]
    public async Task Environment_directory_and_user()
    {
        var name = await Sleeper("-e", "FROM=run");
        var lines = (await Docker.Run("exec", "-e", "A=1", "-e", "FROM=exec", "-w", "/tmp", "-u", "nobody", name, "sh", "-c", "echo $A $FROM; pwd; id -un")).Ok().Lines;
        Assert.Equal(["1 exec", "/tmp", "nobody"], lines);
        Assert.Equal("run", await Docker.Ok("exec", name, "sh", "-c", "echo $FROM"));
    }

    [Fact]
    public async Task Joins_all_namespaces_of_the_container()
    {
        var name = await Sleeper();
        const string list = "for n in mnt pid net ipc uts; do readlink /proc/1/ns/$n; done";
        var own = await Docker.Ok("exec", name, "sh", "-c", list.Replace("/proc/1/", "/proc/self/", StringComparison.Ordinal));
        Assert.Equal(await Docker.Ok("exec", name, "sh", "-c", list), own);
        var pid = await Docker.Inspect(name, "{{.State.Pid}}");
        Assert.Equal(own, (await Programs.Run("sh", ["-c", list.Replace("/proc/1/", $"/proc/{pid}/", StringComparison.Ordinal)])).Ok().Line);
    }

    [Fact]
    public async Task Detached_runs_on()
    {
        var name = await Sleeper();
        Assert.Equal("", await Docker.Ok("exec", "-d", name, "sh", "-c", "echo done > /mark"));
        await Docker.Until(output => output == "done\n", ["exec", name, "cat", "/mark"]);
    }

    [Theory]
    [InlineData("executable file not found in $PATH", "nosuch")]
    [InlineData("permission denied", "/etc/passwd")]
    public async Task Program_that_cannot_be_executed(string message, string program)
    {
        var result = (await Docker.Run("exec", await Sleeper(), program)).Says(message);
        Assert.InRange(result.ExitCode, 126, 127);
    }

    [Theory]
    [InlineData("unable to find user nosuch", "-u", "nosuch")]
    [InlineData("/nonexistent", "-w", "/nonexistent")]
    public async Task Option_that_cannot_be_met(string message, params string[] options) =>
        Assert.NotEqual(0, (await Docker.Run(["exec", .. options, await Sleeper(), "true"])).Says(message).ExitCode);

    [Fact]
    public async Task Stopped_created_and_missing_containers_refuse()
    {
        var stopped = Container("stopped");
        await Docker.Ok("run", "--name", stopped, "alpine", "true");
        (await Docker.Run("exec", stopped, "true")).Exited(1).Says("is not running");
        var created = Container("created");
        await Docker.Ok("create", "--name", created, "alpine", "true");
        (await Docker.Run("exec", created, "true")).Exited(1).Says("is not running");
        (await Docker.Run("exec", "nosuch", "true")).Exited(1).Says("No such container: nosuch");
    }

    [Fact]
    public async Task Paused_container_refuses()
    {
        var name = await Sleeper();
        await Docker.Ok("pause", name);
        (await Docker.Run("exec", name, "true")).Exited(1).Says($"Container {name} is paused, unpause the container before exec");
        await Docker.Ok("unpause", name);
        await Docker.Ok("exec", name, "true");
    }

    [Fact]
    public async Task Processes_of_exec_end_with_the_container()
    {
        var name = await Sleeper();
        await Docker.Ok("exec", "-d", name, "sleep", "2000");
        await Docker.Until(output => output.Contains("sleep 2000", StringComparison.Ordinal), ["top", name]);
        using var docker = Docker.Start("exec", name, "sleep", "3000");
        await Docker.Until(output => output.Contains("sleep 3000", StringComparison.Ordinal), ["top", name]);
        await Docker.Ok("kill", name);
        await docker.WaitForExitAsync(Cancellation);
        Assert.Equal(137, docker.ExitCode);
    }

    [Fact]
    public async Task Privileged_exec_has_all_capabilities()
    {
        var name = await Sleeper();
        const string effective = "grep CapEff /proc/self/status | cut -f 2";
        Assert.Equal("00000000a80425fb", await Docker.Ok("exec", name, "sh", "-c", effective));
        // All that this machine's root has: a restricted root cannot give what it lacks.
        var host = await Programs.Run("sh", ["-c", effective]);
        Assert.Equal(host.Ok().Line, await Docker.Ok("exec", "--privileged", name, "sh", "-c", effective));
    }

    [Fact]
    public async Task Many_at_once()
    {
        var name = await Sleeper();
        var results = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Docker.Run("exec", name, "sh", "-c", $"echo {i}; exit {i}")));
        Assert.Equal(Enumerable.Range(0, 20), results.Select(result => result.ExitCode));
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}\n"), results.Select(result => result.Output));
    }
}
