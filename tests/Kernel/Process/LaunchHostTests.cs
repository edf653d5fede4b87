using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Kernel.Process;

/// <summary>The processes that clone for a launcher.</summary>
public sealed class LaunchHostTests
{
    private const int SIGKILL = 9;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [Fact]
    public void A_host_has_none_of_the_programs_memory()
    {
        using var parent = new HostParent();
        using var image = new PlanImage(parent);
        Assert.Equal(0, Launch(image, "/bin/true").ExitCode);
        string[] maps = File.ReadAllLines($"/proc/{image.Host!.Pid}/maps");
        Assert.True(maps.Length < 16, string.Join('\n', maps));
        Assert.DoesNotContain(maps, line => line.Contains(".dll", StringComparison.Ordinal) || line.Contains(".so", StringComparison.Ordinal) || line.Contains("[heap]", StringComparison.Ordinal));
        Assert.Equal("slipway-launch", File.ReadAllText($"/proc/{image.Host.Pid}/comm").TrimEnd());
    }

    [Fact]
    public void What_a_host_clones_is_a_child_of_this_process()
    {
        using var parent = new HostParent();
        using var image = new PlanImage(parent);
        string output = Path.GetTempFileName();
        try
        {
            Assert.Equal(0, Launch(image, "/bin/sh", "-c", $"echo $PPID > {output}").ExitCode);
            Assert.Equal(Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture), File.ReadAllText(output).TrimEnd());
        }
        finally
        {
            File.Delete(output);
        }
    }

    [Fact]
    public void One_host_serves_plan_after_plan_and_a_larger_image_gets_another()
    {
        using var parent = new HostParent();
        using var image = new PlanImage(parent);
        Launch(image, "/bin/true");
        int first = image.Host!.Pid;
        Launch(image, "/bin/true");
        Assert.Equal(first, image.Host.Pid);
        Assert.Equal(0, Launch(image, "/bin/true", new string('x', 100_000)).ExitCode);
        Assert.NotEqual(first, image.Host.Pid);
        Assert.False(Directory.Exists($"/proc/{first}"));
    }

    [Fact]
    public void A_launch_whose_host_was_killed_fails_and_the_next_has_another()
    {
        using var parent = new HostParent();
        using var image = new PlanImage(parent);
        Launch(image, "/bin/true");
        int killed = image.Host!.Pid;
        using (SafeFileHandle host = Pidfd.Open(killed))
        {
            Pidfd.SendSignal(host, SIGKILL);
        }

        LaunchOutcome outcome = Run(image, "/bin/true");
        Assert.Null(outcome.Pidfd);
        Assert.Equal(("the launch host has ended with exit code 137", SIGKILL), (outcome.Failure!.Description, outcome.Failure.Signal));
        Assert.False(Directory.Exists($"/proc/{killed}"));
        Assert.Equal(0, Launch(image, "/bin/true").ExitCode);
        Assert.NotEqual(killed, image.Host!.Pid);
    }

    /// <summary>A host that has just been started reads them while the first plan is being bound, and leaves where the parent is not its own.</summary>
    [Fact]
    public void Binding_a_plan_does_not_write_the_turn_and_the_parent()
    {
        using var parent = new HostParent();
        using var image = new PlanImage(parent);
        using LaunchPlan plan = PlanBuilder.Execute(false, "/bin/true");
        using SafeFileHandle none = PlanBuilder.Null();
        PlanDocument document = PlanDocument.Parse(PlanDocument.Serialize(plan));
        int stream = (int)none.DangerousGetHandle();
        image.Bind(document, [], [stream, stream, stream]);
        Assert.Equal((0u, Environment.ProcessId), (image.Header.Turn, image.Header.Parent));

        (image.Header.Turn, image.Header.Parent) = (77, 78);
        image.Bind(document, [], [stream, stream, stream]);
        Assert.Equal((77u, 78), (image.Header.Turn, image.Header.Parent));
    }

    [Fact]
    public void An_image_that_is_given_back_leaves_no_host()
    {
        using var parent = new HostParent();
        var image = new PlanImage(parent);
        Launch(image, "/bin/true");
        int host = image.Host!.Pid;
        image.Dispose();
        Assert.False(Directory.Exists($"/proc/{host}"));
    }

    [Fact]
    public async Task A_process_that_is_to_end_with_its_parent_outlives_launching_threads()
    {
        using var launcher = new Launcher(TimeSpan.FromMilliseconds(50));
        using SafeFileHandle none = PlanBuilder.Null();
        List<LaunchOutcome> outcomes = [];
        try
        {
            // More at once than threads are kept, so that some of these end.
            List<LaunchPlan> plans = [.. Enumerable.Range(0, 8).Select(_ => PlanBuilder.Execute(false, "/usr/bin/setpriv", "--pdeathsig", "KILL", "/bin/sleep", "60"))];
            outcomes.AddRange(await Task.WhenAll(plans.Select(plan => launcher.LaunchAsync(PlanBuilder.Order(plan, none, none)))));
            plans.ForEach(plan => plan.Dispose());
            Assert.All(outcomes, outcome => Assert.Null(outcome.Failure));
            var waited = Stopwatch.StartNew();
            while ((launcher.ThreadCount > Launcher.KeptThreads || !outcomes.TrueForAll(Sleeps)) && waited.Elapsed < s_limit)
            {
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }

            // The kernel sends the signal when the thread itself has ended, a little after it was counted out.
            await Task.Delay(300, TestContext.Current.CancellationToken);
            Assert.All(outcomes, outcome => Assert.Null(Pidfd.TryWait(outcome.Pidfd!)));
        }
        finally
        {
            foreach (LaunchOutcome outcome in outcomes.Where(outcome => outcome.Pidfd is not null))
            {
                Pidfd.SendSignal(outcome.Pidfd!, SIGKILL);
                Pidfd.Wait(outcome.Pidfd!);
                outcome.Pidfd!.Dispose();
            }
        }
    }

    private static bool Sleeps(LaunchOutcome outcome) => File.ReadAllText($"/proc/{outcome.Pid}/comm") == "sleep\n";

    private static ProcessStatus Launch(PlanImage image, params string[] arguments)
    {
        LaunchOutcome outcome = Run(image, arguments);
        Assert.True(outcome.Failure is null, outcome.Failure?.ToString());
        ProcessStatus status = Pidfd.Wait(outcome.Pidfd!);
        outcome.Pidfd!.Dispose();
        return status;
    }

    private static LaunchOutcome Run(PlanImage image, params string[] arguments)
    {
        using LaunchPlan plan = PlanBuilder.Execute(false, arguments);
        using SafeFileHandle none = PlanBuilder.Null();
        PlanDocument document = PlanDocument.Parse(PlanDocument.Serialize(plan));
        int stream = (int)none.DangerousGetHandle();
        image.Bind(document, [], [stream, stream, stream]);
        return image.Run(document, null, -1);
    }
}
