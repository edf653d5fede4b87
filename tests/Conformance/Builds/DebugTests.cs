using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary><c>slipway build --debug</c> and <c>--break</c>, as a person uses them at a terminal.</summary>
public sealed class DebugTests(SharedEngine engine) : BuildTest(engine)
{
    private readonly string _mark = Guid.NewGuid().ToString("N");

    [Fact]
    public async Task A_shell_opens_in_the_step_that_failed_and_its_error_is_that_of_the_build()
    {
        Put("secret", _mark);
        Put("Dockerfile", $"""
            FROM alpine AS work
            ENV GIVEN=by-the-image
            ARG ASKED
            WORKDIR /w
            USER nobody
            RUN --mount=type=tmpfs,target=/scratch --mount=type=secret,id=s,mode=0444 --mount=type=cache,id={_mark},sharing=locked,target=/cache,mode=0777 --network=none \
                echo seen by $(id -un); echo made > /tmp/made; echo kept > /cache/kept; exit 7
            """);
        await using (var terminal = Slipway("--debug", "--no-cache", "--build-arg", "ASKED=for", "--secret", $"id=s,src={Context}/secret"))
        {
            // What the step wrote comes before the shell.
            await terminal.Expect("seen by nobody");
            await terminal.Expect("step failed: [3/3] RUN");
            await terminal.Expect("(Dockerfile:6)");
            await terminal.Expect("exit code: 7");
            await terminal.Expect("/w $ ");
            await Answers(terminal, "cat /tmp/made /cache/kept", "made\r\nkept");
            await Answers(terminal, "echo $GIVEN $ASKED $(id -un) $PWD $(tty)", "by-the-image for nobody /w /dev/pts/0");
            await Answers(terminal, "cat /run/secrets/s", _mark);
            await Answers(terminal, "ls /sys/class/net | tr '\\n' .; mount | grep -c ' /scratch '", "lo.1");
            await Answers(terminal, "stty size", "24 80");
            await terminal.Resize(33, 101);
            await terminal.Type("until [ \"$(stty size)\" = '33 101' ]; do sleep 0.1; done; echo size''ok\n");
            await terminal.Expect("sizeok");

            // Ctrl-C is the shell's.
            await terminal.Type("sh -c 'echo start\"\"ed; sleep 1000'\n");
            await terminal.Expect("started");
            await terminal.Type("\x03");
            await terminal.Expect("/w $ ");
            await terminal.Type("echo code=$?\n");
            await terminal.Expect("code=130");
            await terminal.Type("exit 3\n");
            await terminal.Expect("ERROR: failed to build: process \"/bin/sh -c echo seen");
            await terminal.Expect("did not complete successfully: exit code: 7");
            Assert.Equal(1, await terminal.End());
        }

        // The next step that asks for the locked cache gets it.
        Put("Dockerfile", $"FROM alpine\nRUN --mount=type=cache,id={_mark},sharing=locked,target=/cache cat /cache/kept\n");
        await using var next = Slipway("--debug", "--no-cache");
        await next.Expect("kept");
        Assert.Equal(0, await next.End());
    }

    [Fact]
    public async Task A_breakpoint_opens_a_shell_before_the_step_whose_changes_are_thrown_away()
    {
        var image = Image();
        Put("a.txt", "a");
        Put("Dockerfile", """
            FROM alpine AS first
            RUN echo one > /one
            FROM first AS second
            COPY a.txt /a.txt
            RUN cat /one /a.txt && \
                test ! -e /left
            """);
        // Steps that are cached are stopped at too: twice the same.
        for (var round = 0; round < 2; round++)
        {
            await using var terminal = Slipway("-t", image, "--break", "2", "--break", "second", "--break", "6");
            await terminal.Expect("breakpoint before: [first 2/2] RUN echo one > /one (Dockerfile:2)");
            await terminal.Expect("# ");
            await Answers(terminal, "ls /one", "ls: /one: No such file");
            await terminal.Type("exit\n");
            await terminal.Expect("breakpoint before: [second 1/2] COPY a.txt /a.txt (Dockerfile:4)");
            await terminal.Expect("# ");
            await Answers(terminal, "cat /one; ls /a.txt", "one\r\nls: /a.txt: No such file");
            await terminal.Type("exit 1\n");
            await terminal.Expect("(Dockerfile:5)");
            await terminal.Expect("# ");
            await Answers(terminal, "cat /a.txt; echo left > /left; cat /left", "aleft");
            await terminal.Type("exit\n");
            Assert.Equal(0, await terminal.End());
        }

        Assert.Equal("a", await Docker.Ok("run", "--rm", "--network", "none", image, "cat", "/a.txt"));
        (await Docker.Run("run", "--rm", "--network", "none", image, "ls", "/left")).Exited(1);
    }

    [Fact]
    public async Task A_client_that_is_killed_in_the_shell_leaves_nothing()
    {
        var sleep = $"sleep {Random.Shared.Next(100_000, 1_000_000)}";
        Put("Dockerfile", $"FROM alpine\nRUN touch /{_mark}; exit 7\n");
        await using (var terminal = Slipway("--debug", "--no-cache"))
        {
            await terminal.Expect("/ # ");
            await terminal.Type($"ls /; trap '' HUP INT TERM; {sleep}\n");
            await terminal.Expect(_mark);
            await StepProcess.Until(sleep, runs: true);
        }

        await StepProcess.Until(sleep, runs: false);
        for (var clock = Stopwatch.StartNew(); DataRoot is { } root && (await Programs.Run("find", [root, "-name", _mark])).Lines.Length > 0; await Task.Delay(100, Cancellation))
        {
            Assert.True(clock.Elapsed < Programs.Limit(30), "the file system of the step is still there");
        }

        Assert.DoesNotContain((await Programs.Run("ps", ["-ef"])).Lines, line => line.Contains(sleep, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_cannot_be_debugged_is_told()
    {
        Put("Dockerfile", "FROM alpine AS first\nRUN exit 7\n");
        var variables = SlipwayVariables;
        (await Programs.Run(Repository.Executable!, ["build", "--debug", Context], new MemoryStream(), environment: variables)).Exited(1).Says("the input device is not a TTY");
        (await Programs.Run(Repository.Executable!, ["build", "--break", "first", Context], new MemoryStream(), environment: variables)).Exited(1).Says("the input device is not a TTY");
        foreach (var nowhere in new[] { "1", "9", "nosuch" })
        {
            await using var refused = Slipway("--break", nowhere);
            await refused.Expect($"breakpoint \"{nowhere}\" is neither a line of an instruction after FROM nor a stage");
            Assert.Equal(1, await refused.End());
        }

        await using (var shellless = Slipway("--debug-shell", "/no/such"))
        {
            await shellless.Expect("step failed: [2/2] RUN exit 7");
            await shellless.Expect("no shell: ");
            await shellless.Expect("exit code: 7");
            Assert.Equal(1, await shellless.End());
        }

        // A program that cannot be started is a failure as another.
        Put("Dockerfile", "FROM alpine\nRUN [\"/no/program\"]\n");
        await using var missing = Slipway("--debug", "--debug-shell", "/bin/ash");
        await missing.Expect("/no/program");
        await missing.Expect("/ # ");
        await Answers(missing, "echo $0", "/bin/ash");
        await missing.Type("exit\n");
        await missing.Expect("ERROR: failed to build");
        Assert.Equal(1, await missing.End());
    }

    private Dictionary<string, string> SlipwayVariables => new() { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" };

    private Terminal Slipway(params string[] options)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        return new Terminal(Repository.Executable!, SlipwayVariables, ["build", .. options, Context]);
    }

    /// <summary>Types a command and waits for what it prints, between lines that the echo of the command is not.</summary>
    private static async Task Answers(Terminal terminal, string command, string answer)
    {
        await terminal.Type($"echo be''gin; {command}; echo e''nd\n");
        await terminal.Expect($"begin\r\n{answer}");
        await terminal.Expect("end\r\n");
    }
}
