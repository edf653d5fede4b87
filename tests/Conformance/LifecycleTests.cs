using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>create, start, stop, kill, restart, pause, rename, wait, rm: states, exit codes, refusals.</summary>
public sealed class LifecycleTests(SharedEngine engine) : EngineTest(engine)
{
    private Task<string> State(string name) => Docker.Inspect(name, "{{.State.Status}}");

    [Fact]
    public async Task From_create_to_remove()
    {
        var name = Container();
        var id = await Docker.Ok("create", "--name", name, "alpine", "sleep", "1000");
        Assert.Matches("^[0-9a-f]{64}$", id);
        Assert.Equal("created", await State(name));
        Assert.Equal(name, await Docker.Ok("start", name));
        Assert.Equal("running", await State(id[..12]));
        Assert.Equal(name, await Docker.Ok("start", name));
        await Docker.Ok("stop", "-t", "0", name);
        Assert.Equal("exited 137", await Docker.Inspect(name, "{{.State.Status}} {{.State.ExitCode}}"));
        await Docker.Ok("stop", name);
        await Docker.Ok("restart", "-t", "0", name);
        Assert.Equal("running", await State(name));
        await Docker.Ok("rm", "-f", name);
        (await Docker.Run("inspect", "--type", "container", name)).Exited(1).Says($"No such container: {name}");
    }

    [Fact]
    [RunOption("--stop-signal", "--stop-timeout")]
    public async Task Stop_sends_the_stop_signal_and_waits_before_it_kills()
    {
        var gentle = Container("gentle");
        await Docker.Ok("run", "-d", "--name", gentle, "--stop-signal", "USR1", "alpine", "sh", "-c", "trap 'exit 5' USR1; while :; do sleep 0.1; done");
        await Docker.Ok("stop", gentle);
        Assert.Equal("5", await Docker.Inspect(gentle, "{{.State.ExitCode}}"));
        var stubborn = Container("stubborn");
        await Docker.Ok("run", "-d", "--name", stubborn, "--stop-timeout", "1", "alpine", "sleep", "1000");
        var clock = Stopwatch.StartNew();
        await Docker.Ok("stop", stubborn);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0.9, Programs.Limit(8).TotalSeconds);
        Assert.Equal("137", await Docker.Inspect(stubborn, "{{.State.ExitCode}}"));
    }

    [Fact]
    public async Task Pause_freezes_and_unpause_goes_on()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "while :; do echo tick; sleep 0.05; done");
        await Docker.Until(output => output.Length > 0, ["logs", name]);
        await Docker.Ok("pause", name);
        Assert.Equal("paused true true", await Docker.Inspect(name, "{{.State.Status}} {{.State.Paused}} {{.State.Running}}"));
        var frozen = (await Docker.Run("logs", name)).Output.Length;
        await Task.Delay(500, Cancellation);
        Assert.Equal(frozen, (await Docker.Run("logs", name)).Output.Length);
        Assert.Contains("(Paused)", await Docker.Ok("ps", "-f", $"name={name}"), StringComparison.Ordinal);
        (await Docker.Run("pause", name)).Exited(1).Says("is already paused");
        (await Docker.Run("start", name)).Exited(1).Says("cannot start a paused container, try unpause instead");
        (await Docker.Run("rm", name)).Exited(1).Says("container is paused and must be unpaused first");
        await Docker.Ok("unpause", name);
        await Docker.Until(output => output.Length > frozen, ["logs", name]);
        (await Docker.Run("unpause", name)).Exited(1).Says("is not paused");
        await Docker.Ok("pause", name);
        await Docker.Ok("kill", name);
        Assert.Equal("exited", await State(name));
    }

    [Fact]
    public async Task Kill_of_what_does_not_run_and_of_unknown_signals()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        (await Docker.Run("kill", name)).Exited(1).Says("is not running");
        (await Docker.Run("kill", "nosuch")).Exited(1).Says("No such container: nosuch");
        (await Docker.Run("kill", "-s", "NOPE", await Sleeper())).Exited(1).Says("invalid signal: NOPE");
    }

    [Fact]
    public async Task Remove_of_a_running_container_needs_force()
    {
        var name = await Sleeper();
        (await Docker.Run("rm", name)).Exited(1).Says($"cannot remove container \"/{name}\": container is running: stop the container before removing or force remove");
        Assert.Equal("running", await State(name));
        await Docker.Ok("rm", "-f", name);
        (await Docker.Run("rm", name)).Exited(1).Says($"No such container: {name}");
    }

    [Fact]
    public async Task Names_are_unique_and_can_be_changed()
    {
        var (one, two, three) = (Container("one"), Container("two"), Container("three"));
        await Docker.Ok("create", "--name", one, "alpine", "true");
        var id = await Docker.Inspect(one, "{{.Id}}");
        (await Docker.Run("create", "--name", one, "alpine", "true")).Exited(1).Says($"Conflict. The container name \"/{one}\" is already in use by container \"{id}\"");
        await Docker.Ok("create", "--name", two, "alpine", "true");
        (await Docker.Run("rename", one, two)).Exited(1).Says($"The container name \"/{two}\" is already in use");
        (await Docker.Run("rename", one, "a b")).Exited(1).Says("Invalid container name");
        (await Docker.Run("rename", one, one)).Exited(1).Says("same name");
        await Docker.Ok("rename", one, three);
        Assert.Equal(id, await Docker.Inspect(three, "{{.Id}}"));
        Assert.Equal($"/{three}", await Docker.Inspect(id, "{{.Name}}"));
        await Docker.Ok("create", "--name", one, "alpine", "true");
    }

    [Fact]
    public async Task Names_are_given_where_none_is_asked_for()
    {
        var id = await Docker.Ok("create", "alpine", "true");
        Cleanup(() => Docker.Run("rm", id));
        Assert.Matches("^/[a-z]+_[a-z]+[0-9]*$", await Docker.Inspect(id, "{{.Name}}"));
    }

    [Fact]
    public async Task Wait_returns_the_exit_code_of_those_that_end_and_have_ended()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "sleep 0.5; exit 4");
        Assert.Equal("4", await Docker.Ok("wait", name));
        Assert.Equal("4", await Docker.Ok("wait", name));
    }

    [Fact]
    public async Task Removed_after_exit_with_rm()
    {
        var name = Container();
        await Docker.Ok("run", "--rm", "--name", name, "alpine", "true");
        (await Docker.Run("inspect", "--type", "container", name)).Exited(1);
        await Docker.Ok("run", "-d", "--rm", "--name", name, "alpine", "sleep", "0.2");
        await Docker.Until(output => output.Length == 0, ["ps", "-aq", "-f", $"name={name}"]);
    }

    [Fact]
    [RunOption("--restart")]
    public async Task Restart_policy_on_failure_retries_as_often_as_it_says()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "--restart", "on-failure:2", "alpine", "sh", "-c", "echo try; exit 9");
        await Docker.Until(output => output == "2 exited\n", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", name]);
        Assert.Equal("try\ntry\ntry\n", (await Docker.Run("logs", name)).Output);
    }

    [Fact]
    public async Task Restart_policy_always_holds_until_stopped_by_hand()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "--restart", "always", "alpine", "sh", "-c", "sleep 0.3");
        await Docker.Until(output => int.Parse(output, System.Globalization.CultureInfo.InvariantCulture) >= 2, ["inspect", "-f", "{{.RestartCount}}", name]);
        await Docker.Ok("stop", "-t", "0", name);
        Assert.Equal("exited", await State(name));
        await Task.Delay(1000, Cancellation);
        Assert.Equal("exited", await State(name));
    }

    [Fact]
    public async Task Files_written_are_there_after_a_restart()
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "alpine", "sh", "-c", "echo x >> /file; cat /file; test $(wc -l < /file) = 1");
        (await Docker.Run("start", "-a", name)).Exited(1).Says("x\nx\n");
    }

    [Fact]
    public async Task Top_lists_the_processes()
    {
        var name = await Sleeper();
        var lines = (await Docker.Run("top", name)).Ok().Lines;
        Assert.StartsWith("UID", lines[0], StringComparison.Ordinal);
        Assert.EndsWith("sleep 1000", Assert.Single(lines[1..]), StringComparison.Ordinal);
        Assert.Contains(await Docker.Inspect(name, "{{.State.Pid}}"), await Docker.Ok("top", name, "-o", "pid,comm"), StringComparison.Ordinal);
        await Docker.Ok("kill", name);
        (await Docker.Run("top", name)).Exited(1).Says("is not running");
    }

    [Fact]
    public async Task Prefix_of_an_id_names_a_container()
    {
        var name = await Sleeper();
        var id = await Docker.Inspect(name, "{{.Id}}");
        Assert.Equal(id, await Docker.Inspect(id[..5], "{{.Id}}"));
    }

    [Fact]
    public async Task Ps_filters_and_formats()
    {
        var (up, gone) = (Container("up"), Container("gone"));
        var label = "slipway.test=" + up;
        await Docker.Ok("run", "-d", "--name", up, "-l", label, "alpine", "sleep", "1000");
        await Docker.Ok("run", "--name", gone, "-l", label, "alpine", "true");
        Task<string> Names(params string[] filters) => Docker.Ok(["ps", "-a", "--format", "{{.Names}}", .. filters.SelectMany(filter => new[] { "-f", filter })]);
        Assert.Equal($"{gone}\n{up}", await Names($"label={label}"));
        Assert.Equal(up, await Docker.Ok("ps", "--format", "{{.Names}}", "-f", $"label={label}"));
        Assert.Equal(up, await Names($"label={label}", "status=running"));
        Assert.Equal(gone, await Names($"label={label}", "exited=0"));
        Assert.Equal(gone, await Names($"name=^/{gone}$"));
        Assert.Equal(gone, await Names($"since={up}", $"label={label}"));
        Assert.Equal(up, await Names($"before={gone}", $"label={label}"));
        Assert.Equal($"{gone}\n{up}", await Names($"label={label}", "ancestor=alpine"));
        Assert.Equal($"\"sleep 1000\" alpine {label}", await Docker.Ok("ps", "-f", $"name={up}", "--format", "{{.Command}} {{.Image}} {{.Labels}}"));
        (await Docker.Run("ps", "-f", "foo=bar")).Exited(1).Says("invalid filter 'foo'");
        (await Docker.Run("ps", "-f", "status=nope")).Exited(1).Says("invalid filter 'status=nope'");
    }
}
