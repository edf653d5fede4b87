using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker run --init`: a first process that reaps, hands signals on and ends with the program's exit code.</summary>
public sealed class InitTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    [RunOption("--init")]
    public async Task The_init_is_the_first_process_and_the_program_the_second()
    {
        var result = (await Docker.Run("run", "--rm", "--init", "alpine", "sh", "-c", "cat /proc/1/comm; tr '\\0' ' ' < /proc/1/cmdline; echo; echo $$ $PPID")).Ok();
        Assert.Equal("docker-init", result.Lines[0]);
        Assert.StartsWith("/sbin/docker-init -- sh -c ", result.Lines[1], StringComparison.Ordinal);
        Assert.EndsWith(" 1", result.Lines[^1], StringComparison.Ordinal);
        Assert.Equal("docker-init", await Docker.Ok("info", "-f", "{{.InitBinary}}"));
    }

    [Theory]
    [InlineData("exit 0", 0)]
    [InlineData("exit 42", 42)]
    [InlineData("exit 255", 255)]
    [InlineData("kill -KILL $$", 137)]
    [InlineData("kill -TERM $$", 143)]
    public async Task The_exit_code_is_that_of_the_program(string script, int code) =>
        Assert.Equal(code, (await Docker.Run("run", "--rm", "--init", "alpine", "sh", "-c", script)).ExitCode);

    [Fact]
    public async Task The_plan_shows_the_init()
    {
        Assert.SkipUnless(IsSlipway, "plans are Slipway's own");
        var name = Container();
        await Docker.Ok("create", "--init", "--name", name, "alpine", "sleep", "1");
        var plan = (await Programs.Run(Repository.Executable!, ["-H", $"unix://{Docker.Socket}", "explain", name])).Ok().Lines[^1];
        Assert.Contains("execveat", plan, StringComparison.Ordinal);
        Assert.Contains("/sbin/docker-init", plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Orphans_are_reaped()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--init", "--name", name, "alpine", "sh", "-c", "while :; do (sh -c : & :) ; i=$((i+1)); [ $i = 30 ] && touch /done; sleep 0.01; done");
        await Docker.Until(output => output.Contains("yes", StringComparison.Ordinal), ["exec", name, "sh", "-c", "[ -e /done ] && echo yes"]);

        // One may just have ended; thirty have not stayed.
        await Docker.Until(
            output => int.Parse(output, System.Globalization.CultureInfo.InvariantCulture) <= 2,
            ["exec", name, "sh", "-c", "grep -l '^State:.*zombie' /proc/[0-9]*/status 2>/dev/null | wc -l"]);
    }

    [Fact]
    public async Task Signals_reach_the_program()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--init", "--name", name, "alpine", "sh", "-c", "trap 'echo usr1' USR1; trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done");
        await Docker.Until(output => output.Contains("ready", StringComparison.Ordinal), ["logs", name]);
        await Docker.Ok("kill", "-s", "USR1", name);
        await Docker.Until(output => output.Contains("usr1", StringComparison.Ordinal), ["logs", name]);
        await Docker.Ok("stop", "-t", "60", name);
        Assert.Equal("7", await Docker.Inspect(name, "{{.State.ExitCode}}"));
        Assert.Equal("true", await Docker.Inspect(name, "{{.HostConfig.Init}}"));
    }

    [Fact]
    public async Task Without_a_handler_the_program_ends_at_once_as_it_is_not_the_first_process()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--init", "--name", name, "alpine", "sleep", "1000");
        await Docker.Ok("kill", "-s", "TERM", name);
        Assert.Equal("143", await Docker.Ok("wait", name));
    }

    [Fact]
    public async Task With_a_terminal_the_program_is_in_the_foreground()
    {
        var name = Container();
        await Docker.Ok("run", "-dt", "--init", "--name", name, "alpine", "sh", "-c", "[ $(cut -d' ' -f8 /proc/$$/stat) = $$ ] && echo foreground");
        await Docker.Ok("wait", name);
        Assert.Equal("foreground", (await Docker.Ok("logs", name)).Trim());
    }

    [Fact]
    public async Task A_missing_program_is_127_and_another_user_may_use_the_init()
    {
        Assert.Equal(127, (await Docker.Run("run", "--rm", "--init", "alpine", "nosuch")).ExitCode);
        Assert.Equal("65534", (await Docker.Run("run", "--rm", "--init", "-u", "65534:65534", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--read-only", "alpine", "id", "-u")).Ok().Line);
    }

    [Fact]
    public async Task The_program_that_cannot_be_executed_is_told_on_stderr()
    {
        var script = Path.Combine(Folder(), "x");
        await File.WriteAllTextAsync(script, "#!/nosuch\n", Cancellation);
        File.SetUnixFileMode(script, (UnixFileMode)0x1ED);
        var direct = await Docker.Run("run", "--rm", "--init", "-v", $"{script}:/x:ro", "alpine", "/x");
        Assert.Equal(127, direct.ExitCode);
        Assert.Contains("docker-init: cannot execute the program", direct.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_the_host_s_processes_there_is_no_init() =>
        Assert.DoesNotContain("docker-init", (await Docker.Run("run", "--rm", "--init", "--pid", "host", "alpine", "sh", "-c", "cat /proc/$PPID/comm /proc/$$/comm")).Ok().Output, StringComparison.Ordinal);

    /// <summary>CVE-2019-5736: what a container executes as its first process it cannot change, even privileged.</summary>
    [Fact]
    public async Task CVE_2019_5736_the_init_cannot_be_written_by_a_privileged_container()
    {
        Assert.SkipUnless(IsSlipway, "how Docker protects its init is its own matter");
        var result = await Docker.Run(
            "run", "--rm", "--init", "--privileged", "alpine", "sh", "-c", "echo x > /proc/1/exe; echo $?; truncate -s 0 /proc/1/exe; echo $?; cat /proc/1/comm");
        Assert.Equal(["1", "1", "docker-init"], result.Lines);
    }

    [Fact]
    public async Task The_daemon_s_own_default_is_used_where_a_container_does_not_say()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        await using var engine = new Engine("init") { Flags = ["--init"] };
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        Assert.Equal("docker-init", (await engine.Docker.Run("run", "--rm", "alpine", "cat", "/proc/1/comm")).Ok().Line);
        Assert.Equal("cat", (await engine.Docker.Run("run", "--rm", "--init=false", "alpine", "cat", "/proc/1/comm")).Ok().Line);
    }
}
