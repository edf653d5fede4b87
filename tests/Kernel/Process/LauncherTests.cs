using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Kernel.Process;

public sealed class LauncherTests : IDisposable
{
    private readonly Launcher _launcher = new();
    private readonly string _output = Path.Combine(Path.GetTempPath(), $"slipway-launch-{Guid.NewGuid():N}");

    public void Dispose()
    {
        _launcher.Dispose();
        File.Delete(_output);
    }

    [Fact]
    public async Task A_program_runs_with_the_streams_it_was_given_and_its_exit_code_comes_back()
    {
        (ProcessStatus status, string output) = await Run(PlanBuilder.Execute(false, "/bin/sh", "-c", "echo $$ $PATH; exit 42"));
        Assert.Equal(new ProcessStatus(42, 0), status);
        Assert.EndsWith(" /usr/bin:/bin\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_signal_that_ended_the_process_is_told()
    {
        (ProcessStatus status, _) = await Run(PlanBuilder.Execute(false, "/bin/sh", "-c", "kill -TERM $$"));
        Assert.Equal(new ProcessStatus(128 + 15, 15), status);
    }

    [Fact]
    public async Task New_namespaces_make_the_process_pid_1()
    {
        const ulong flags = PlanBuilder.CLONE_NEWPID | PlanBuilder.CLONE_NEWNS | PlanBuilder.CLONE_NEWUTS | PlanBuilder.CLONE_NEWIPC | PlanBuilder.CLONE_NEWNET;
        (ProcessStatus status, string output) = await Run(PlanBuilder.Execute(false, flags, plan =>
            plan.Add("sethostname", SystemCall.Sethostname, [plan.Text("inner"), 5]), "/bin/sh", "-c", "echo $$; uname -n"));
        Assert.Equal(0, status.ExitCode);
        Assert.Equal("1\ninner\n", output);
    }

    [Fact]
    public async Task The_result_of_a_step_is_an_argument_of_a_later_one()
    {
        (ProcessStatus status, string output) = await Run(PlanBuilder.Execute(false, 0, plan =>
        {
            int open = plan.Add("openat \"/usr\"", SystemCall.OpenAt, [-100, plan.Text("/usr"), 0x200000 | 0x80000, 0]);
            plan.Add("fchdir", SystemCall.Fchdir, [PlanArgument.ResultOf(open)]);
        }, "/bin/pwd"));
        Assert.Equal(0, status.ExitCode);
        Assert.Equal("/usr\n", output);
    }

    [Fact]
    public async Task A_tolerated_error_lets_the_plan_go_on()
    {
        (ProcessStatus status, _) = await Run(PlanBuilder.Execute(false, 0, plan =>
        {
            plan.Add("mkdirat /", SystemCall.MkdirAt, [-100, plan.Text("/"), 0x1ED], Errno.EEXIST);
            plan.Add("chdir nowhere", SystemCall.Chdir, [plan.Text("/nowhere")], Errno.EACCES, Errno.ENOENT);
        }, "/bin/true"));
        Assert.Equal(0, status.ExitCode);
    }

    [Fact]
    public async Task A_failing_step_is_named()
    {
        using LaunchPlan plan = PlanBuilder.Execute(false, 0, p => p.Add("chdir \"/nowhere\"", SystemCall.Chdir, [p.Text("/nowhere")]), "/bin/true");
        using SafeFileHandle none = PlanBuilder.Null();
        LaunchOutcome outcome = await _launcher.LaunchAsync(PlanBuilder.Order(plan, none, none));
        Assert.Null(outcome.Pidfd);
        Assert.Equal(new PlanFailure(8, 10, "chdir \"/nowhere\"", Errno.ENOENT, 0), outcome.Failure);
    }

    [Fact]
    public async Task A_missing_program_fails_at_execve()
    {
        using LaunchPlan plan = PlanBuilder.Execute(false, "/nowhere/program");
        using SafeFileHandle none = PlanBuilder.Null();
        LaunchOutcome outcome = await _launcher.LaunchAsync(PlanBuilder.Order(plan, none, none));
        Assert.Equal(new PlanFailure(9, 9, "execve \"/nowhere/program\"", Errno.ENOENT, 0), outcome.Failure);
    }

    [Fact]
    public async Task A_child_killed_before_execve_is_told_with_its_signal()
    {
        using LaunchPlan plan = PlanBuilder.Execute(false, 0, p =>
        {
            int pid = p.Add("getpid", SystemCall.Getpid, []);
            p.Add("kill itself", SystemCall.Kill, [PlanArgument.ResultOf(pid), 9]);
        }, "/bin/true");
        using SafeFileHandle none = PlanBuilder.Null();
        LaunchOutcome outcome = await _launcher.LaunchAsync(PlanBuilder.Order(plan, none, none));
        Assert.Equal(0, outcome.Failure!.Errno);
        Assert.Equal(9, outcome.Failure.Signal);
    }

    [Fact]
    public async Task CVE_2024_21626_no_descriptor_above_2_reaches_the_program()
    {
        using SafeFileHandle leak = File.OpenHandle("/etc/passwd");
        (ProcessStatus status, string output) = await Run(PlanBuilder.Execute(false, 0, plan =>
        {
            plan.Own(File.OpenHandle("/etc/hostname"));
            plan.Add("openat without O_CLOEXEC", SystemCall.OpenAt, [-100, plan.Text("/etc"), 0x200000, 0]);
        }, "/bin/sh", "-c", "cd /proc/self/fd && echo *"));
        Assert.Equal(0, status.ExitCode);

        // The shell opens the directory it lists; nothing else is there.
        Assert.Matches("^0 1 2( 3)?\n$", output);
    }

    [Fact]
    public async Task CVE_2024_21626_a_plan_that_opens_after_its_seal_is_refused()
    {
        using var plan = new LaunchPlan();
        PlanPrologue.Begin(plan, terminal: false);
        PlanPrologue.Seal(plan);
        plan.Add("openat", SystemCall.OpenAt, [-100, plan.Text("/etc"), 0x200000, 0]);
        plan.Add("execve", SystemCall.Execve, [plan.Text("/bin/true"), plan.TextArray(["/bin/true"]), plan.TextArray([])]);
        using SafeFileHandle none = PlanBuilder.Null();
        LaunchOutcome outcome = await _launcher.LaunchAsync(PlanBuilder.Order(plan, none, none));
        Assert.Equal(0, outcome.Failure!.Step);
        Assert.Contains("close-on-exec", outcome.Failure.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ignored_and_blocked_signals_of_the_launcher_do_not_reach_the_program()
    {
        (_, string output) = await Run(PlanBuilder.Execute(false, "/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"));
        Assert.Equal("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", output);
    }

    [Fact]
    public async Task A_child_is_cloned_into_a_control_group_of_version_2()
    {
        // Alone, or beside version 1 on hybrid hosts.
        string hierarchy = Directory.Exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
        string name = $"slipway-launch-test-{Guid.NewGuid():N}";
        string group = Directory.CreateDirectory(Path.Combine(hierarchy, name)).FullName;
        try
        {
            LaunchPlan plan = PlanBuilder.Execute(false, "/bin/cat", "/proc/self/cgroup");
            plan.CgroupDirectory = plan.Own(new HostPath(group).Open(OpenFlags.ReadOnly | OpenFlags.Directory));
            (ProcessStatus status, string output) = await Run(plan);
            Assert.Equal(0, status.ExitCode);
            Assert.Contains(output.Split('\n'), line => line.StartsWith("0::", StringComparison.Ordinal) && line.EndsWith($"/{name}", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(group);
        }
    }

    [Fact]
    public async Task CVE_2016_9962_the_child_is_not_dumpable_before_execve()
    {
        // Where PR_GET_DUMPABLE gave 1, the child would send itself SIGHUP.
        const int PR_GET_DUMPABLE = 3;
        ProcessAttributes.SetDumpable(true);
        (ProcessStatus status, _) = await Run(PlanBuilder.Execute(false, 0, plan =>
        {
            int pid = plan.Add("getpid", SystemCall.Getpid, []);
            int dumpable = plan.Add("prctl PR_GET_DUMPABLE", SystemCall.Prctl, [PR_GET_DUMPABLE, 0, 0, 0, 0]);
            plan.Add("kill with that", SystemCall.Kill, [PlanArgument.ResultOf(pid), PlanArgument.ResultOf(dumpable)]);
        }, "/bin/true"));
        Assert.Equal(0, status.ExitCode);
    }

    [Fact]
    public async Task A_child_joins_the_pid_namespace_of_a_container()
    {
        const ulong flags = PlanBuilder.CLONE_NEWPID | PlanBuilder.CLONE_NEWNS;
        using SafeFileHandle none = PlanBuilder.Null();
        using LaunchPlan init = PlanBuilder.Execute(false, flags, null, "/bin/sleep", "60");
        LaunchOutcome container = await _launcher.LaunchAsync(PlanBuilder.Order(init, none, none));
        try
        {
            var exec = new LaunchPlan();
            exec.PidNamespace = exec.Own(Pidfd.Open(container.Pid));
            PlanPrologue.Begin(exec, terminal: false);
            PlanPrologue.Seal(exec);
            exec.Add("execve", SystemCall.Execve, [exec.Text("/bin/sh"), exec.TextArray(["sh", "-c", "echo $$"]), exec.TextArray([])]);
            (_, string output) = await Run(exec);
            Assert.Equal("2\n", output);

            // The launching thread is back in its own namespace.
            (_, string own) = await Run(PlanBuilder.Execute(false, "/bin/readlink", "/proc/self/ns/pid"));
            Assert.Equal(new FileInfo("/proc/self/ns/pid").LinkTarget, own.TrimEnd());
        }
        finally
        {
            Pidfd.SendSignal(container.Pidfd!, 9);
            Pidfd.Wait(container.Pidfd!);
            container.Pidfd!.Dispose();
        }
    }

    [Fact]
    public async Task Launches_under_allocating_threads_and_collections_neither_fail_nor_hang()
    {
        using var stop = new CancellationTokenSource();
        Thread[] allocators = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            byte[][] kept = new byte[64][];
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                kept[i % kept.Length] = new byte[4096];
                if (i % 2000 == 0)
                {
                    GC.Collect(0);
                    Thread.Sleep(1);
                }
            }
        }))];
        Array.ForEach(allocators, thread => thread.Start());
        using SafeFileHandle none = PlanBuilder.Null();
        try
        {
            int collections = GC.CollectionCount(0);
            await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
            {
                for (int i = 0; i < 125; i++)
                {
                    using LaunchPlan plan = PlanBuilder.Execute(false, PlanBuilder.CLONE_NEWPID | PlanBuilder.CLONE_NEWNS, null, "/bin/true");
                    LaunchOutcome outcome = await _launcher.LaunchAsync(PlanBuilder.Order(plan, none, none)).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
                    Assert.Null(outcome.Failure);
                    Assert.Equal(0, Pidfd.Wait(outcome.Pidfd!).ExitCode);
                    outcome.Pidfd!.Dispose();
                }
            }));
            Assert.NotEqual(collections, GC.CollectionCount(0));
        }
        finally
        {
            await stop.CancelAsync();
            Array.ForEach(allocators, thread => thread.Join());
        }
    }

    private async Task<(ProcessStatus Status, string Output)> Run(LaunchPlan plan)
    {
        using (plan)
        {
            using SafeFileHandle none = PlanBuilder.Null();
            LaunchOutcome outcome;
            using (SafeFileHandle output = File.OpenHandle(_output, FileMode.Create, FileAccess.Write, FileShare.ReadWrite))
            {
                outcome = await _launcher.LaunchAsync(PlanBuilder.Order(plan, none, output));
            }

            Assert.True(outcome.Failure is null, outcome.Failure?.ToString());
            ProcessStatus status = Pidfd.Wait(outcome.Pidfd!);
            outcome.Pidfd!.Dispose();
            return (status, await File.ReadAllTextAsync(_output));
        }
    }
}
