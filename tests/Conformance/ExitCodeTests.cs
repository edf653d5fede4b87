using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>What `docker run` prints and exits with: the program's own code, or 125, 126, 127 with Docker's messages.</summary>
public sealed class ExitCodeTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Output_of_a_program_is_printed()
    {
        var result = (await Docker.Run("run", "--rm", "alpine", "cat", "/etc/os-release")).Ok();
        Assert.Contains("ID=alpine", result.Output, StringComparison.Ordinal);
        Assert.Empty(result.Error);
    }

    [Theory]
    [InlineData("exit 0", 0)]
    [InlineData("exit 1", 1)]
    [InlineData("exit 42", 42)]
    [InlineData("exit 255", 255)]
    public async Task Exit_code_is_the_programs(string script, int code) =>
        (await Docker.Run("run", "--rm", "alpine", "sh", "-c", script)).Exited(code);

    [Theory]
    [InlineData("KILL", 137)]
    [InlineData("USR1", 17)]
    public async Task Signals_end_the_program_or_run_its_handler(string signal, int code)
    {
        var name = Container();
        using var docker = Docker.Start("run", "--name", name, "alpine", "sh", "-c", "trap 'exit 17' USR1; echo up; while :; do sleep 0.1; done");
        Assert.Equal("up", await docker.StandardOutput.ReadLineAsync(Cancellation));
        await Docker.Ok("kill", "-s", signal, name);
        await docker.WaitForExitAsync(Cancellation);
        Assert.Equal(code, docker.ExitCode);
        Assert.Equal($"exited {code}", await Docker.Inspect(name, "{{.State.Status}} {{.State.ExitCode}}"));
    }

    [Theory]
    [InlineData("nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH")]
    [InlineData("/no/such", 127, "exec: \"/no/such\": stat /no/such: no such file or directory")]
    [InlineData("/etc/passwd", 126, "exec: \"/etc/passwd\": permission denied")]
    [InlineData("/etc", 126, "exec: \"/etc\": is a directory")]
    public async Task Program_that_cannot_be_executed(string program, int code, string message) =>
        (await Docker.Run("run", "--rm", "--name", Container(), "alpine", program)).Exited(code).Says(message);

    [Fact]
    public async Task Failed_start_leaves_the_container_created_and_says_why()
    {
        var name = Container();
        (await Docker.Run("run", "--name", name, "alpine", "nosuch")).Exited(127);
        Assert.Equal("created 127", await Docker.Inspect(name, "{{.State.Status}} {{.State.ExitCode}}"));
        Assert.Contains("executable file not found", await Docker.Inspect(name, "{{.State.Error}}"), StringComparison.Ordinal);
        await Docker.Ok("rm", name);
    }

    [Theory]
    [InlineData("Invalid container name", "--name", "a/b")]
    [InlineData("Invalid container name", "--name", "-ab")]
    [InlineData("Minimum memory limit allowed is 6MB", "-m", "1m")]
    [InlineData("Minimum memoryswap limit should be larger than memory limit", "--memory", "64m", "--memory-swap", "32m")]
    [InlineData("Range of CPUs is from 0.01 to", "--cpus", "9999")]
    [InlineData("Requested CPUs are not available", "--cpuset-cpus", "999")]
    [InlineData("invalid CapAdd: unknown capability: \"CAP_NOPE\"", "--cap-add", "NOPE")]
    [InlineData("network nosuchnet not found", "--network", "nosuchnet")]
    [InlineData("it needs to be an absolute path", "-w", "rel")]
    [InlineData("unable to find user nosuch: no matching entries in passwd file", "-u", "nosuch")]
    [InlineData("unable to find group nosuch: no matching entries in group file", "-u", "root:nosuch")]
    [InlineData("uids and gids must be in range 0-2147483647", "-u", "4294967296")]
    [InlineData("invalid signal: NOPE", "--stop-signal", "NOPE")]
    [InlineData("bind source path does not exist: /nonexistent-source", "--mount", "type=bind,src=/nonexistent-source,dst=/x")]
    [InlineData("range for oom score adj is [-1000, 1000]", "--oom-score-adj", "2000")]
    [InlineData("No such container: nosuch", "--pid", "container:nosuch")]
    public async Task Engine_error_is_125(string message, params string[] options) =>
        (await Docker.Run(["run", "--rm", .. options, "alpine", "true"])).Exited(125).Says(message);

    [Fact]
    [RunOption("--workdir")]
    public async Task Missing_working_directory_is_made() =>
        Assert.Equal("/made/here", await Docker.Ok("run", "--rm", "-w", "/made/here", "alpine", "pwd"));

    [Fact]
    public async Task Working_directory_that_is_a_file_is_an_error() =>
        (await Docker.Run("run", "--rm", "-w", "/etc/passwd", "alpine", "pwd")).Exited(125).Says("not a directory");

    [Fact]
    public async Task No_command_at_all() => (await Docker.Run("run", "--rm", "alpine")).Exited(125).Says("no command specified");

    [Fact]
    [RunOption("--env", "--user", "--hostname")]
    public async Task Environment_user_and_host_name()
    {
        var lines = (await Docker.Run("run", "--rm", "-h", "web", "-e", "A=1 2", "-u", "1234:99", "alpine", "sh", "-c", "env; hostname; id -u; id -g")).Ok().Lines;
        Assert.Contains("A=1 2", lines);
        Assert.Contains("HOSTNAME=web", lines);
        Assert.Contains("HOME=/", lines);
        Assert.Contains("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", lines);
        Assert.Equal(["web", "1234", "99"], lines[^3..]);
    }
}
