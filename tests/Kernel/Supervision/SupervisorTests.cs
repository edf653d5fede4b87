using System.Security.Cryptography;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision;
using Slipway.Tests.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Kernel.Supervision;

public sealed class SupervisorTests
{
    private static CancellationToken None => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Output_comes_in_frames_by_stream_and_the_exit_after_it()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(SupervisorThread.Shell("a", "echo out; echo err >&2; exit 3"), (false, true, true));
        using (process.Pidfd)
        {
            Assert.Equal(("out\n", "err\n"), await clients[0].ReadFramesAsync());
            ProcessExit exit = await supervisor.ExitAsync("a");
            Assert.Equal((3, 0), (exit.ExitCode, exit.Signal));
            Assert.InRange(exit.ExitedAt, process.StartedAt, process.StartedAt.AddSeconds(20));
        }
    }

    [Fact]
    public async Task A_failed_launch_names_its_step_and_ends_the_attachments()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (Client client, Attachment attachment) = Client.Create(true, true, true);
        using LaunchPlan plan = PlanBuilder.Execute(false, "/nowhere");
        LaunchException exception = await Assert.ThrowsAsync<LaunchException>(() =>
            supervisor.Client.LaunchAsync(new LaunchRequest { Id = "a", Plan = plan, Attachments = [attachment] }, None));
        Assert.Equal(Errno.ENOENT, exception.Errno);
        Assert.Equal("step 9 of 9, execve \"/nowhere\": ENOENT (No such file or directory)", exception.Message);
        Assert.Empty(await client.ReadToEndAsync());
        Assert.Empty((await supervisor.Client.ListAsync(None)).Running);
    }

    [Fact]
    public async Task Held_output_waits_for_its_release_and_the_exit_with_it()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(supervisor.Logged("a", "echo out; echo err >&2; exit 3") with { HoldOutput = true }, (false, true, true));
        using (process.Pidfd)
        {
            while (Pidfd.SendSignal(process.Pidfd, 0))
            {
                await Task.Delay(5, None);
            }

            // A call later nothing has come, and the process is still known.
            await supervisor.Client.ListAsync(None);
            Assert.Equal(0, new FileInfo(supervisor.LogPath("a")).Length);
            await Assert.ThrowsAsync<SupervisorException>(() => supervisor.LaunchAsync(SupervisorThread.Shell("a", "true")));

            Assert.True(await supervisor.Client.ReleaseAsync("a", discard: false, None));
            Assert.Equal(("out\n", "err\n"), await clients[0].ReadFramesAsync());
            Assert.Equal(3, (await supervisor.ExitAsync("a")).ExitCode);
            Assert.Equal(2, (await File.ReadAllLinesAsync(supervisor.LogPath("a"), None)).Length);
            Assert.False(await supervisor.Client.ReleaseAsync("a", discard: false, None));
        }
    }

    [Fact]
    public async Task Held_output_that_is_thrown_away_comes_nowhere()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(supervisor.Logged("a", "echo out; echo err >&2; exit 3") with { HoldOutput = true }, (false, true, true));
        using (process.Pidfd)
        {
            Assert.True(await supervisor.Client.ReleaseAsync("a", discard: true, None));
            Assert.Equal(("", ""), await clients[0].ReadFramesAsync());
            Assert.Equal(3, (await supervisor.ExitAsync("a")).ExitCode);
            Assert.Equal(0, new FileInfo(supervisor.LogPath("a")).Length);
        }
    }

    [Fact]
    public async Task Held_output_is_let_go_with_the_engine_that_held_it()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(supervisor.Logged("a", "echo out; exit 3") with { HoldOutput = true }, (false, true, true));
        using (process.Pidfd)
        {
            await supervisor.Client.DisposeAsync();
            Assert.Equal(("out\n", ""), await clients[0].ReadFramesAsync());
        }
    }

    [Fact]
    public async Task The_id_of_a_running_process_is_refused()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, _) = await supervisor.LaunchAsync(SupervisorThread.Shell("a", "exec sleep 60"));
        process.Pidfd.Dispose();
        await Assert.ThrowsAsync<SupervisorException>(() => supervisor.LaunchAsync(SupervisorThread.Shell("a", "true")));
    }

    [Fact]
    public async Task CVE_2026_53489_a_log_that_is_a_symbolic_link_is_refused()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        File.CreateSymbolicLink(supervisor.LogPath("a"), "/etc/slipway-must-not-exist");
        SupervisorException exception = await Assert.ThrowsAsync<SupervisorException>(() => supervisor.LaunchAsync(supervisor.Logged("a", "echo x")));
        Assert.Contains("ELOOP", exception.Message, StringComparison.Ordinal);
        Assert.False(File.Exists("/etc/slipway-must-not-exist"));
    }

    [Fact]
    public async Task Input_of_64_MiB_comes_back_unchanged()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        LaunchRequest request = SupervisorThread.Shell("a", "exec cat") with { OpenStdin = true, StdinOnce = true };
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(request, (true, true, false));
        process.Pidfd.Dispose();
        byte[] sent = new byte[64 << 20];
        new Random(1).NextBytes(sent);
        Task sending = Task.Run(async () =>
        {
            await clients[0].SendAsync(sent);
            clients[0].EndInput();
        }, None);

        byte[] received = Deframe(await clients[0].ReadToEndAsync());
        await sending;
        Assert.Equal(SHA256.HashData(sent), SHA256.HashData(received));
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
    }

    [Fact]
    public async Task A_terminal_echoes_has_a_size_and_hangs_up()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        LaunchRequest request = new()
        {
            Id = "a",
            Plan = PlanBuilder.Execute(true, "/bin/sh", "-c", "read x; echo got $x; stty size; tty"),
            Terminal = PseudoTerminal.Create(new HostPath("/dev/pts").Open(OpenFlags.ReadOnly | OpenFlags.Directory)).Master,
            OpenStdin = true,
        };
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(request, (true, true, true));
        process.Pidfd.Dispose();
        Assert.True(await supervisor.Client.ResizeAsync("a", new TerminalSize(33, 77), None));
        await clients[0].SendAsync("hello\n");
        string output = Encoding.UTF8.GetString(await clients[0].ReadToEndAsync());
        Assert.Matches("^hello\r\ngot hello\r\n33 77\r\n/dev/pts/[0-9]+\r\n$", output);
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
        Assert.False(await supervisor.Client.ResizeAsync("a", new TerminalSize(1, 1), None));
    }

    [Fact]
    public async Task A_slow_reader_holds_back_its_own_process_only()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        string progress = Path.Combine(supervisor.Root, "progress");
        (LaunchedProcess writer, Client[] slow) = await supervisor.LaunchAsync(
            SupervisorThread.Shell("writer", $"i=0; while [ $i -lt 200 ]; do head -c 65536 /dev/zero; i=$((i+1)); echo $i > {progress}; done"), (false, true, true));
        writer.Pidfd.Dispose();

        // Others are served meanwhile.
        for (int i = 0; i < 20; i++)
        {
            (LaunchedProcess other, Client[] clients) = await supervisor.LaunchAsync(SupervisorThread.Shell($"other{i}", "echo x"), (false, true, true));
            other.Pidfd.Dispose();
            Assert.Equal(("x\n", ""), await clients[0].ReadFramesAsync());
        }

        // 12.5 MiB were to be written; what was taken is about what the buffers on the way hold.
        string written;
        while ((written = await File.ReadAllTextAsync(progress, None)).Length == 0)
        {
            await Task.Delay(5, None); // The shell has emptied the file and is about to write it.
        }

        Assert.InRange(int.Parse(written, System.Globalization.CultureInfo.InvariantCulture), 1, 40);
        Assert.Equal(200 * 65536, Deframe(await slow[0].ReadToEndAsync()).Length);
        Assert.Equal(0, (await supervisor.ExitAsync("writer")).ExitCode);
    }

    [Fact]
    public async Task A_reader_that_is_gone_is_dropped_and_the_log_is_whole()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(
            supervisor.Logged("a", "i=0; while [ $i -lt 20000 ]; do echo line $i 0123456789012345678901234567890123456789012345678901234567890123456789; i=$((i+1)); done"), (false, true, true));
        process.Pidfd.Dispose();
        await clients[0].ReceiveAsync(new byte[100]);
        clients[0].Dispose();
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
        Assert.Equal(20000, (await File.ReadAllLinesAsync(supervisor.LogPath("a"), None)).Length);
    }

    [Fact]
    public async Task A_stalled_reader_does_not_delay_the_exit_and_gets_the_rest()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(SupervisorThread.Shell("a", "head -c 1000000 /dev/zero"), (false, true, true));
        process.Pidfd.Dispose();
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
        Assert.Equal(1000000, Deframe(await clients[0].ReadToEndAsync()).Length);
    }

    [Fact]
    public async Task The_exit_does_not_wait_for_a_grandchild_that_keeps_stdout()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(
            SupervisorThread.Shell("a", "echo before; sleep 60 & echo $!") with { ContainerId = "c" }, (false, true, true));
        process.Pidfd.Dispose();
        (string output, _) = await clients[0].ReadFramesAsync();
        Assert.StartsWith("before\n", output, StringComparison.Ordinal);
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
        using var background = System.Diagnostics.Process.GetProcessById(int.Parse(output.Split('\n')[1], System.Globalization.CultureInfo.InvariantCulture));
        background.Kill();
    }

    [Fact]
    public async Task Half_closing_ends_stdin_once_and_else_the_session()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        LaunchRequest request = SupervisorThread.Shell("a", "cat; echo done") with { OpenStdin = true, StdinOnce = true };
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(request, (true, true, true));
        process.Pidfd.Dispose();
        await clients[0].SendAsync("x\n");
        clients[0].EndInput();
        Assert.Equal(("x\ndone\n", ""), await clients[0].ReadFramesAsync());

        request = SupervisorThread.Shell("b", "read a; read b; echo $a$b") with { OpenStdin = true };
        (process, clients) = await supervisor.LaunchAsync(request, (true, true, true));
        process.Pidfd.Dispose();
        await clients[0].SendAsync("x\n");
        clients[0].EndInput();
        Assert.Empty(await clients[0].ReadToEndAsync());
        (Client second, Attachment attachment) = Client.Create(true, true, true);
        Assert.True(await supervisor.Client.AttachAsync("b", attachment, None));
        await second.SendAsync("y\n");
        Assert.Equal(("xy\n", ""), await second.ReadFramesAsync());
    }

    [Fact]
    public async Task Attaching_to_what_does_not_run_is_told()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        (Client client, Attachment attachment) = Client.Create(true, true, true);
        Assert.False(await supervisor.Client.AttachAsync("nobody", attachment, None));
        Assert.Empty(await client.ReadToEndAsync());
    }

    [Fact]
    public async Task An_attachment_that_is_no_socket_is_refused_and_nothing_starts()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        using LaunchPlan plan = PlanBuilder.Execute(false, "/bin/sleep", "60");
        var request = new LaunchRequest { Id = "a", Plan = plan, Attachments = [new Attachment(File.OpenHandle("/etc/passwd"), false, true, true)] };
        await Assert.ThrowsAsync<SupervisorException>(() => supervisor.Client.LaunchAsync(request, None));
        Assert.Empty((await supervisor.Client.ListAsync(None)).Running);
        await supervisor.LaunchAsync(SupervisorThread.Shell("a", "sleep 60"));
        await Assert.ThrowsAsync<SupervisorException>(() => supervisor.Client.AttachAsync("a", new Attachment(File.OpenHandle("/etc/passwd"), false, true, true), None));
    }

    [Fact]
    public async Task A_launch_that_is_stuck_delays_no_other_and_holds_nobodys_streams()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        LaunchRequest cat = SupervisorThread.Shell("cat", "exec cat") with { OpenStdin = true, StdinOnce = true };
        (LaunchedProcess process, Client[] clients) = await supervisor.LaunchAsync(cat, (true, true, true));
        process.Pidfd.Dispose();

        // A read of an empty pipe stands for the mount of a server that does not answer.
        Pipe pipe = Pipe.Create();
        LaunchPlan plan = PlanBuilder.Execute(false, 0, plan => plan.Add("read a pipe", SystemCall.Read, [plan.Own(pipe.Reader), plan.Bytes(new byte[8]), 1]), "/bin/true");
        Task<(LaunchedProcess Process, Client[])> stuck = supervisor.LaunchAsync(new LaunchRequest { Id = "stuck", Plan = plan });

        for (int i = 0; i < 5; i++)
        {
            (process, Client[] others) = await supervisor.LaunchAsync(SupervisorThread.Shell($"other{i}", "echo x"), (false, true, true));
            process.Pidfd.Dispose();
            Assert.Equal(("x\n", ""), await others[0].ReadFramesAsync());
        }

        // The stuck child was cloned when the supervisor held the writing end of this stdin.
        clients[0].EndInput();
        Assert.Empty(await clients[0].ReadToEndAsync());
        await supervisor.ExitAsync("cat");
        Assert.False(stuck.IsCompleted);
        Assert.Equal(1, DescriptorIO.Write(pipe.Writer, [1]));
        (process, _) = await stuck;
        process.Pidfd.Dispose();
        pipe.Writer.Dispose();
    }

    [Fact]
    public async Task A_cancelled_launch_is_given_up_in_whatever_step_it_is()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        Pipe pipe = Pipe.Create();
        using LaunchPlan plan = PlanBuilder.Execute(false, 0, plan => plan.Add("read a pipe", SystemCall.Read, [plan.Own(pipe.Reader), plan.Bytes(new byte[8]), 1]), "/bin/sleep", "600");
        using var cancellation = new CancellationTokenSource();
        Task<LaunchedProcess> launch = supervisor.Client.LaunchAsync(new LaunchRequest { Id = "a", Plan = plan }, cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => launch);

        // The writing end was never used: the child was killed in its step, and the id is free again.
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                (LaunchedProcess process, _) = await supervisor.LaunchAsync(SupervisorThread.Shell("a", "true"));
                process.Pidfd.Dispose();
                break;
            }
            catch (SupervisorException) when (attempt < 500)
            {
                await Task.Delay(10, None);
            }
        }

        pipe.Writer.Dispose();
    }

    [Fact]
    public async Task Containers_outlive_the_engine_and_a_new_one_adopts_them()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        string go = Path.Combine(supervisor.Root, "go");
        string script = $"while ! [ -e {go} ]; do sleep 0.01; done; echo late; exit 7";
        (LaunchedProcess process, _) = await supervisor.LaunchAsync(supervisor.Logged("a", script));
        process.Pidfd.Dispose();
        (process, _) = await supervisor.LaunchAsync(supervisor.Logged("b", "exit 5"));
        process.Pidfd.Dispose();
        await supervisor.ExitAsync("b");
        await supervisor.Client.DisposeAsync();
        await File.WriteAllTextAsync(go, "", None);

        await using SupervisorClient next = await supervisor.ConnectAsync();
        List<(string, int)> exits = [];
        await foreach (ProcessExit exit in next.ExitsAsync(None))
        {
            exits.Add((exit.Id, exit.ExitCode));
            if (exits.Count == 2)
            {
                break;
            }
        }

        Assert.Equal([("b", 5), ("a", 7)], exits);
        Assert.Contains("late", await File.ReadAllTextAsync(supervisor.LogPath("a"), None), StringComparison.Ordinal);
        Assert.Equal(["b", "a"], (await next.ListAsync(None)).Unacknowledged.Select(exit => exit.Id));
        await next.AcknowledgeExitAsync("b", None);
        Assert.Equal(["a"], (await next.ListAsync(None)).Unacknowledged.Select(exit => exit.Id));
    }

    [Fact]
    public async Task CVE_2020_15257_there_is_no_abstract_socket_and_the_named_one_is_private()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        Assert.DoesNotContain("@", string.Concat((await File.ReadAllLinesAsync("/proc/net/unix", None)).Where(line => line.Contains("supervisor", StringComparison.Ordinal))), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(supervisor.Options.SocketPath));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(supervisor.Options.ExecRoot));
    }

    [Fact]
    public async Task More_descriptors_than_one_packet_carries_reach_the_launcher()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        LaunchPlan plan = PlanBuilder.Execute(false, 0, plan =>
        {
            PlanArgument last = default;
            for (int i = 0; i < 600; i++)
            {
                last = plan.Own(PlanBuilder.Null());
            }

            plan.Add("dup3 the last", SystemCall.Dup3, [last, 1, 0]);
        }, "/bin/readlink", "/proc/self/fd/1");
        (LaunchedProcess process, _) = await supervisor.LaunchAsync(new LaunchRequest { Id = "a", Plan = plan });
        process.Pidfd.Dispose();
        Assert.Equal(0, (await supervisor.ExitAsync("a")).ExitCode);
    }

    private static byte[] Deframe(ReadOnlySpan<byte> frames)
    {
        using var output = new MemoryStream();
        while (!frames.IsEmpty)
        {
            int length = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(frames[4..]);
            output.Write(frames.Slice(8, length));
            frames = frames[(8 + length)..];
        }

        return output.ToArray();
    }
}
