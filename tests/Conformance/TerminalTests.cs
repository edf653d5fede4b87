using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker run -it`, attach and exec -it at a terminal, as a person uses them.</summary>
public sealed class TerminalTests(SharedEngine engine) : EngineTest(engine)
{
    private const string CtrlC = "\x03";
    private const string CtrlZ = "\x1a";
    private const string Detach = "\x10\x11";
    private const string Prompt = "# ";

    [Fact]
    public async Task Prompt_echo_exit_then_start_finds_the_file_written_before()
    {
        var name = Container();
        await using (var terminal = new Terminal(Docker, "run", "-it", "--name", name, "alpine", "sh"))
        {
            await terminal.Expect(Prompt);
            await terminal.Type("echo mar''ker\n");
            await terminal.Expect("echo mar''ker");
            await terminal.Expect("marker");
            await terminal.Type("echo kept > /file; exit 7\n");
            Assert.Equal(7, await terminal.End());
        }
        Assert.Equal("exited 7", await Docker.Inspect(name, "{{.State.Status}} {{.State.ExitCode}}"));

        await using var again = new Terminal(Docker, "start", "-ai", name);
        // The prompt may have been shown before the client attached: ask for a new one.
        await again.Type("cat /file; exit 3\n");
        await again.Expect("kept");
        Assert.Equal(3, await again.End());
    }

    [Fact]
    public async Task Ctrl_C_interrupts_the_foreground_program_only()
    {
        await using var terminal = new Terminal(Docker, "run", "-it", "--rm", "--name", Container(), "alpine", "sh");
        await terminal.Expect(Prompt);
        await terminal.Type("sh -c 'echo start\"\"ed; sleep 1000'\n");
        await terminal.Expect("started");
        await terminal.Type(CtrlC);
        await terminal.Expect(Prompt);
        await terminal.Type("echo code=$?; exit\n");
        await terminal.Expect("code=130");
        await terminal.End();
    }

    [Fact]
    public async Task Job_control_works()
    {
        await using var terminal = new Terminal(Docker, "run", "-it", "--rm", "--name", Container(), "alpine", "sh");
        await terminal.Expect(Prompt);
        await terminal.Type("sh -c 'echo start\"\"ed; sleep 1000'\n");
        await terminal.Expect("started");
        await terminal.Type(CtrlZ);
        await terminal.Expect("Stopped");
        await terminal.Type("jobs\n");
        await terminal.Expect("sleep 1000");
        await terminal.Type("kill %1; exit 4\n");
        Assert.DoesNotContain("no job control", terminal.Shown, StringComparison.Ordinal);
        Assert.DoesNotContain("can't access tty", terminal.Shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("run")]
    [InlineData("exec")]
    public async Task Window_size_and_its_changes_reach_the_program(string verb)
    {
        string[] arguments = verb == "run" ? ["run", "-it", "--rm", "--name", Container(), "alpine", "sh"] : ["exec", "-it", await Sleeper(), "sh"];
        await using var terminal = new Terminal(Docker, arguments);
        await terminal.Expect(Prompt);
        await Size("24 80");
        await terminal.Resize(33, 101);
        await Size("33 101");
        await terminal.Type("exit\n");
        Assert.Equal(0, await terminal.End());

        // The client sends the size in a request of its own, so it may arrive a little after the terminal.
        async Task Size(string expected)
        {
            await terminal.Type($"until [ \"$(stty size)\" = \"{expected}\" ]; do sleep 0.1; done; echo size''ok\n");
            await terminal.Expect("sizeok");
        }
    }

    [Fact]
    public async Task Terminal_is_a_real_one()
    {
        await using var terminal = new Terminal(Docker, "run", "-it", "--rm", "--name", Container(), "alpine", "sh", "-c", "tty; echo TERM=$TERM; ls -l /proc/self/fd/0; test -c /dev/console && echo console");
        await terminal.Expect("/dev/pts/0");
        await terminal.Expect("TERM=xterm");
        await terminal.Expect("/dev/pts/0");
        await terminal.Expect("console");
        Assert.Equal(0, await terminal.End());
    }

    [Fact]
    public async Task Detach_keys_leave_the_container_running_and_attach_returns()
    {
        var name = Container();
        await using (var terminal = new Terminal(Docker, "run", "-it", "--name", name, "alpine", "sh"))
        {
            await terminal.Expect(Prompt);
            await terminal.Type("X=rem''embered\n");
            await terminal.Expect(Prompt);
            await terminal.Type(Detach);
            Assert.Equal(0, await terminal.End());
        }
        Assert.Equal("true", await Docker.Inspect(name, "{{.State.Running}}"));

        await using var again = new Terminal(Docker, "attach", name);
        await again.Type("echo $X; exit 6\n");
        await again.Expect("remembered");
        Assert.Equal(6, await again.End());
    }

    [Fact]
    [RunOption("--detach-keys")]
    public async Task Own_detach_keys()
    {
        var name = Container();
        await using var terminal = new Terminal(Docker, "run", "-it", "--detach-keys", "ctrl-a,d", "--name", name, "alpine", "sh");
        await terminal.Expect(Prompt);
        await terminal.Type("\x01" + "d");
        Assert.Equal(0, await terminal.End());
        Assert.Equal("true", await Docker.Inspect(name, "{{.State.Running}}"));
    }

    [Fact]
    public async Task Two_terminals_attached_at_once_see_and_type_the_same()
    {
        var name = Container();
        await Docker.Ok("run", "-dit", "--name", name, "alpine", "sh");
        await using var first = new Terminal(Docker, "attach", name);
        await using var second = new Terminal(Docker, "attach", name);
        await first.Type("echo from''first\n");
        await first.Expect("fromfirst");
        // The second may have attached after that line; from here on both are attached, which a shown line proves.
        await second.Type("echo from''second\n");
        await second.Expect("fromsecond");
        await first.Expect("fromsecond");
        await first.Type("echo to''both\n");
        await second.Expect("toboth");
        await first.Type("exit 8\n");
        Assert.Equal(8, await first.End());
        Assert.Equal(8, await second.End());
    }

    [Fact]
    public async Task Exec_at_a_terminal()
    {
        await using var terminal = new Terminal(Docker, "exec", "-it", await Sleeper(), "sh");
        await terminal.Expect(Prompt);
        await terminal.Type("tty; exit 11\n");
        await terminal.Expect("/dev/pts/");
        Assert.Equal(11, await terminal.End());
    }
}
