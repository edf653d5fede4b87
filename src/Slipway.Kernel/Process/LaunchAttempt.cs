namespace Slipway.Kernel.Process;

/// <summary>A launch that is queued or under way. All members are thread-safe.</summary>
public sealed class LaunchAttempt
{
    private const int SIGKILL = 9;

    private readonly Lock _gate = new();
    private PlanImage? _image;
    private bool _isCancelled;

    internal LaunchAttempt(LaunchOrder order, Action<LaunchOutcome> completed)
    {
        Order = order;
        Completed = completed;
    }

    internal LaunchOrder Order { get; }

    internal Action<LaunchOutcome> Completed { get; }

    /// <summary>
    /// Kills the child, also one that is stuck in a step of its plan. A process that was launched before is not touched: its outcome has
    /// been told. The outcome of a cancelled launch is a failure by signal 9, or a process that is killed already. A child that was being cloned
    /// at that very moment may be missed while it runs its plan: cancel again where no outcome comes.
    /// </summary>
    public void Cancel()
    {
        lock (_gate)
        {
            _isCancelled = true;
            _image?.KillChild(SIGKILL);
        }
    }

    internal LaunchOutcome Run(PlanImage image, int? pidNamespace, int ownPidNamespace)
    {
        lock (_gate)
        {
            if (_isCancelled)
            {
                return new LaunchOutcome(0, null, new PlanFailure(0, Order.Plan.StepCount, "clone3", 0, SIGKILL));
            }

            _image = image;
        }

        LaunchOutcome outcome = image.Run(Order.Plan, pidNamespace, ownPidNamespace);
        lock (_gate)
        {
            _image = null;

            // Where the kill came before the kernel had told the pidfd, the child could not be hit then.
            if (_isCancelled && outcome.Pidfd is not null)
            {
                Pidfd.SendSignal(outcome.Pidfd, SIGKILL);
            }

            return outcome;
        }
    }
}
