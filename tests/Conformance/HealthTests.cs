using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker run --health-*`, HEALTHCHECK of images, what inspect, ps and events show of them, and `--restart on-unhealthy`.</summary>
public sealed class HealthTests(SharedEngine engine) : EngineTest(engine)
{
    private static readonly string[] s_quick = ["--health-interval", "100ms"];

    private async Task<string> Checked(string command, params string[] options)
    {
        var name = Container("h" + Guid.NewGuid().ToString("N")[..4]);
        await Docker.Ok(["run", "-d", "--name", name, .. s_quick, "--health-cmd", command, .. options, "alpine", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]);
        return name;
    }

    private Task<string> Becomes(string name, string status) =>
        Docker.Until(output => output.Trim() == status, ["inspect", "-f", "{{.State.Health.Status}}", name]);

    private async Task<JsonNode> Health(string name) => JsonNode.Parse(await Docker.Inspect(name, "{{json .State.Health}}"))!;

    [Fact]
    [RunOption("--health-retries", "--health-start-interval", "--health-start-period")]
    public async Task From_starting_to_healthy_to_unhealthy_and_back()
    {
        var name = await Checked("test -e /good && echo fine || { echo bad; exit 7; }", "--health-retries", "2", "--health-start-period", "10m", "--health-start-interval", "100ms");
        await Docker.Until(output => output.Contains("bad", StringComparison.Ordinal), ["inspect", "-f", "{{json .State.Health.Log}}", name]);
        Assert.Contains("(health: starting)", await Docker.Ok("ps", "-f", $"name={name}"), StringComparison.Ordinal);
        Assert.Equal(name, await Docker.Ok("ps", "-f", "health=starting", "-f", $"name={name}", "--format", "{{.Names}}"));
        Assert.Equal("0", await Docker.Inspect(name, "{{.State.Health.FailingStreak}}"));

        await Docker.Ok("exec", name, "touch", "/good");
        await Becomes(name, "healthy");
        Assert.Contains("(healthy)", await Docker.Ok("ps", "-f", $"name={name}"), StringComparison.Ordinal);
        await Docker.Ok("exec", name, "rm", "/good");
        await Becomes(name, "unhealthy");
        Assert.Contains("(unhealthy)", await Docker.Ok("ps", "-f", $"name={name}"), StringComparison.Ordinal);
        Assert.Equal("", await Docker.Ok("ps", "-q", "-f", "health=healthy", "-f", $"name={name}"));
        await Docker.Until(output => output.Trim() == "5", ["inspect", "-f", "{{len .State.Health.Log}}", name]);
        var log = (await Health(name))["Log"]!.AsArray();
        Assert.Equal((7, "bad\n"), ((int)log[^1]!["ExitCode"]!, (string?)log[^1]!["Output"]));
        Assert.True((int)(await Health(name))["FailingStreak"]! >= 2);
        Assert.Equal(log.Select(probe => (DateTimeOffset)probe!["Start"]!).Order(), log.Select(probe => (DateTimeOffset)probe!["Start"]!));
        Assert.All(log, probe => Assert.True((DateTimeOffset)probe!["End"]! >= (DateTimeOffset)probe["Start"]!));

        await Docker.Ok("exec", name, "touch", "/good");
        await Becomes(name, "healthy");
        Assert.Equal("0", await Docker.Inspect(name, "{{.State.Health.FailingStreak}}"));
    }

    [Fact]
    public async Task Events_tell_each_change_once_and_each_probe()
    {
        var since = TimeProvider.System.GetUtcNow().ToString("O");
        var name = await Checked("echo no; exit 1", "--health-retries", "2");
        await Becomes(name, "unhealthy");
        await Docker.Ok("stop", "-t", "20", name);
        var events = (await Docker.Run("events", "--since", since, "--until", TimeProvider.System.GetUtcNow().ToString("O"), "-f", $"container={name}", "--format", "{{.Action}}")).Ok().Lines;
        Assert.Equal(["health_status: unhealthy"], events.Where(action => action.StartsWith("health_status", StringComparison.Ordinal)));
        Assert.Contains("exec_create: /bin/sh -c echo no; exit 1", events);
        Assert.Contains("exec_start: /bin/sh -c echo no; exit 1", events);
        Assert.True(events.TakeWhile(action => action != "health_status: unhealthy").Count(action => action == "exec_die") == 2, string.Join('\n', events));
    }

    [Fact]
    [RunOption("--health-timeout")]
    public async Task A_probe_that_hangs_is_killed_with_what_it_started()
    {
        var name = await Checked("echo begun; sleep 7654; true", "--health-timeout", "1s", "--health-retries", "1");
        await Becomes(name, "unhealthy");
        var probe = (await Health(name))["Log"]![0]!;
        Assert.Equal((-1, "Health check exceeded timeout (1s): begun\n"), ((int)probe["ExitCode"]!, (string?)probe["Output"]));
        Assert.SkipUnless(IsSlipway, "dockerd kills the first process of a probe only");
        await Docker.Ok("pause", name);
        Assert.DoesNotContain("7654", await Docker.Ok("top", name), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Output_is_kept_up_to_4096_bytes()
    {
        var name = await Checked("head -c 100000 /dev/zero | tr '\\0' x");
        await Becomes(name, "healthy");
        Assert.Equal(new string('x', 4096) + "...", (string?)(await Health(name))["Log"]![0]!["Output"]);
    }

    [Fact]
    public async Task A_probe_that_cannot_be_started_says_why()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        var image = Image();
        await Docker.Ok("commit", "-c", "HEALTHCHECK --interval=100ms --retries=1 CMD [\"/no/such\"]", name, image);
        var run = Container("run");
        await Docker.Ok("run", "-d", "--name", run, image, "sleep", "1000");
        await Becomes(run, "unhealthy");
        var probe = (await Health(run))["Log"]![0]!;
        Assert.Equal(-1, (int)probe["ExitCode"]!);
        Assert.Contains("OCI runtime exec failed: exec failed: unable to start container process: exec: \"/no/such\"", (string?)probe["Output"], StringComparison.Ordinal);
    }

    [Fact]
    [RunOption("--health-cmd", "--no-healthcheck")]
    public async Task Checks_of_images_are_inherited_overridden_and_switched_off()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        var image = Image();
        await Docker.Ok("commit", "-c", "HEALTHCHECK --interval=100ms --timeout=3s CMD echo by-image", name, image);
        var (inherits, overrides, none) = (Container("inherits"), Container("overrides"), Container("none"));
        await Docker.Ok("run", "-d", "--name", inherits, image, "sleep", "1000");
        await Docker.Ok("run", "-d", "--name", overrides, "--health-cmd", "echo by-run", image, "sleep", "1000");
        await Docker.Ok("run", "-d", "--name", none, "--no-healthcheck", image, "sleep", "1000");
        await Becomes(inherits, "healthy");
        await Becomes(overrides, "healthy");
        Assert.Equal("by-image\n", (string?)(await Health(inherits))["Log"]![0]!["Output"]);
        Assert.Equal("by-run\n", (string?)(await Health(overrides))["Log"]![0]!["Output"]);
        Assert.Equal("3s", await Docker.Inspect(overrides, "{{.Config.Healthcheck.Timeout}}"));
        Assert.Equal("null", await Docker.Inspect(none, "{{json .State.Health}}"));
        Assert.Equal(none, await Docker.Ok("ps", "-f", "health=none", "-f", $"name={none}", "--format", "{{.Names}}"));
        Assert.DoesNotContain("health", await Docker.Ok("ps", "-f", $"name={none}", "--format", "{{.Status}}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Probes_run_as_the_containers_user_in_its_directory_with_its_environment()
    {
        var name = await Checked("echo $(id -u) $(pwd) $COLOR", "-u", "1234", "-w", "/tmp", "-e", "COLOR=blue");
        await Becomes(name, "healthy");
        Assert.Equal("1234 /tmp blue\n", (string?)(await Health(name))["Log"]![0]!["Output"]);
    }

    [Fact]
    public async Task Probes_end_with_the_container_and_begin_anew()
    {
        var name = await Checked("echo probe");
        await Becomes(name, "healthy");
        await Docker.Ok("stop", "-t", "20", name);
        Assert.Equal("unhealthy", await Docker.Inspect(name, "{{.State.Health.Status}}"));
        var last = (await Health(name))["Log"]!.ToJsonString();
        await Docker.Ok("start", name);
        await Becomes(name, "healthy");
        Assert.NotEqual(last, (await Health(name))["Log"]!.ToJsonString());
        await Docker.Ok("pause", name);
        var paused = (await Health(name))["Log"]!.ToJsonString();
        await Task.Delay(500, Cancellation);
        Assert.Equal(paused, (await Health(name))["Log"]!.ToJsonString());
        await Docker.Ok("unpause", name);
        await Docker.Until(output => output.Trim() != paused, ["inspect", "-f", "{{json .State.Health.Log}}", name]);
        await Becomes(name, "healthy");
    }

    [Fact]
    public async Task Restart_on_unhealthy_restarts_until_the_count_is_reached()
    {
        Assert.SkipUnless(IsSlipway, "--restart on-unhealthy is Slipway's own");
        var name = await Checked("exit 1", "--health-retries", "1", "--restart", "on-unhealthy:2");
        Assert.Equal("on-unhealthy 2", await Docker.Inspect(name, "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}"));
        await Docker.Until(output => output.Trim() == "2 running unhealthy", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.Health.Status}}", name]);
        await Task.Delay(500, Cancellation);
        Assert.Equal("2 running", await Docker.Inspect(name, "{{.RestartCount}} {{.State.Status}}"));
        await Docker.Ok("stop", "-t", "20", name);
        Assert.Equal("exited", await Docker.Inspect(name, "{{.State.Status}}"));
    }

    [Fact]
    [RunOption("--health-interval")]
    public async Task Restart_on_unhealthy_heals_a_container_whose_fault_goes_with_the_restart()
    {
        Assert.SkipUnless(IsSlipway, "--restart on-unhealthy is Slipway's own");
        var name = Container();
        await Docker.Ok(
            "run", "-d", "--name", name, "--restart", "on-unhealthy", "--stop-timeout", "0", "--health-interval", "100ms", "--health-retries", "1", "--health-cmd", "test ! -e /tmp/broken",
            "--tmpfs", "/tmp", "alpine", "sleep", "1000");
        await Becomes(name, "healthy");
        await Docker.Ok("exec", name, "touch", "/tmp/broken");
        await Docker.Until(output => output.Trim() == "1 running healthy", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.Health.Status}}", name]);
    }

    [Fact]
    public async Task Clients_before_1_44_have_no_start_interval()
    {
        using var http = new EngineHttp(Docker.Socket);
        foreach (var (version, interval) in new[] { ("1.43", ""), ("1.44", "1s") })
        {
            var name = Container("v" + version[2..]);
            (await http.Post($"v{version}/containers/create?name={name}", "{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"StartInterval\":1000000000}}")).Is(201);
            Assert.Equal(interval.Length > 0 ? interval : "0s", await Docker.Inspect(name, "{{.Config.Healthcheck.StartInterval}}"));
        }
    }

    [Fact]
    public async Task Bad_checks_are_refused()
    {
        (await Docker.Run("create", "--health-cmd", "true", "--health-interval", "10us", "alpine", "true")).Exited(1).Says("Interval in Healthcheck cannot be less than 1ms");
        (await Docker.Run("create", "--health-cmd", "true", "--health-retries", "-1", "alpine", "true")).Exited(125).Says("--health-retries cannot be negative");
        Assert.SkipUnless(IsSlipway, "--restart on-unhealthy is Slipway's own");
        (await Docker.Run("create", "--restart", "on-unhealthy", "alpine", "true")).Exited(1).Says("'on-unhealthy' needs a health check");
        (await Docker.Run("create", "--restart", "on-unhealthy:-1", "--health-cmd", "true", "alpine", "true")).Exited(1).Says("maximum retry count cannot be negative");
    }
}
