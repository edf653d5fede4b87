using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>
/// A child that executes no program: it makes the calls of a plan and ends. For calls that belong into another namespace: there it has
/// no runtime that could load anything from files of that namespace (CVE-2019-14271), and nothing of it is left.
/// </summary>
public static class BriefProcess
{
    private const int PR_SET_DUMPABLE = 4;

    /// <summary>Begins a plan: nobody in the namespace may look into the child (CVE-2016-9962, CVE-2019-5736).</summary>
    public static LaunchPlan Begin()
    {
        LaunchPlan plan = new();
        plan.Add("prctl PR_SET_DUMPABLE 0", SystemCall.Prctl, [PR_SET_DUMPABLE, 0, 0, 0, 0]);
        return plan;
    }

    /// <summary>Ends the plan, runs it, and waits until the child is gone.</summary>
    /// <exception cref="KernelException">The step that failed. Those before it are done.</exception>
    public static async Task RunAsync(LaunchPlan plan)
    {
        plan.Add("exit_group", SystemCall.ExitGroup, [0]);
        using SafeFileHandle nothing = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        using Launcher launcher = new();
        var completion = new TaskCompletionSource<PlanFailure?>(TaskCreationOptions.RunContinuationsAsynchronously);
        launcher.Launch(new LaunchOrder(PlanDocument.Parse(PlanDocument.Serialize(plan)), plan.Descriptors, nothing, nothing, nothing), outcome =>
        {
            using (outcome.Pidfd)
            {
                // It is about to end: the launch was over only because it no longer shares this process' memory.
                if (outcome.Pidfd is not null)
                {
                    Pidfd.Wait(outcome.Pidfd);
                }
            }

            completion.SetResult(outcome.Failure);
        });
        if (await completion.Task.ConfigureAwait(false) is { } failure)
        {
            throw new KernelException(failure.Description, failure.Errno);
        }
    }
}
