namespace Slipway.Kernel.Process;

/// <summary>
/// The steps every plan has. Who compiles a plan calls <see cref="Begin"/> first and <see cref="Seal"/> after the last step that
/// opens a descriptor (so just before the seccomp filter, if any, and execve). The launcher adds nothing visible to that but
/// clone3 itself and the closing of descriptors that the plan does not name; it refuses a plan without the seal.
/// </summary>
public static class PlanPrologue
{
    internal const uint CLOSE_RANGE_CLOEXEC = 4;

    private const int F_DUPFD_CLOEXEC = 1030;
    private const int SIGPIPE = 13;
    private const int SIG_SETMASK = 2;
    private const int KernelSignalSetSize = 8;
    private const int PR_SET_DUMPABLE = 4;
    private const uint TIOCSCTTY = 0x540E;

    /// <summary>Signals, session, standard streams and, where <paramref name="terminal"/>, the controlling terminal.</summary>
    public static void Begin(LaunchPlan plan, bool terminal)
    {
        ArgumentNullException.ThrowIfNull(plan);

        // .NET ignores SIGPIPE, and an ignored signal survives both CLONE_CLEAR_SIGHAND and execve (signal(7)). SIG_DFL is all zeros.
        plan.Add("rt_sigaction SIGPIPE default", SystemCall.RtSigaction, [SIGPIPE, plan.Bytes(new byte[32]), 0, KernelSignalSetSize]);
        plan.Add("rt_sigprocmask: block no signal", SystemCall.RtSigprocmask, [SIG_SETMASK, plan.Bytes(new byte[KernelSignalSetSize]), 0, KernelSignalSetSize]);

        // A process of a container that is joined must not ptrace the child before it has dropped its privileges (CVE-2016-9962).
        plan.Add("prctl PR_SET_DUMPABLE 0", SystemCall.Prctl, [PR_SET_DUMPABLE, 0, 0, 0, 0]);
        plan.Add("setsid", SystemCall.Setsid, []);
        plan.Add("dup3 standard input", SystemCall.Dup3, [PlanArgument.Stdin, 0, 0]);
        plan.Add("dup3 standard output", SystemCall.Dup3, [PlanArgument.Stdout, 1, 0]);
        plan.Add("dup3 standard error", SystemCall.Dup3, [PlanArgument.Stderr, 2, 0]);
        if (terminal)
        {
            plan.Add("ioctl TIOCSCTTY", SystemCall.Ioctl, [0, TIOCSCTTY, 0]);
        }
    }

    /// <summary>Marks every descriptor above 2 close-on-exec. It stays usable until then.</summary>
    public static void Seal(LaunchPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        plan.Add("close_range 3.. on exec", SystemCall.CloseRange, [3, uint.MaxValue, CLOSE_RANGE_CLOEXEC]);
    }

    /// <summary>As <see cref="Seal"/>, for a program of the host that is given a further descriptor, as number 3. Only execve may follow: what had the number is gone.</summary>
    public static void SealBut(LaunchPlan plan, PlanArgument descriptor)
    {
        ArgumentNullException.ThrowIfNull(plan);

        // dup3 refuses a descriptor that has the number already (dup(2)).
        int high = plan.Add("fcntl F_DUPFD_CLOEXEC 64", SystemCall.Fcntl, [descriptor, F_DUPFD_CLOEXEC, 64]);
        plan.Add("dup3 3", SystemCall.Dup3, [PlanArgument.ResultOf(high), 3, 0]);
        plan.Add("close_range 4.. on exec", SystemCall.CloseRange, [4, uint.MaxValue, CLOSE_RANGE_CLOEXEC]);
    }
}
