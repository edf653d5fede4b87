using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>What became of a plan: a running process, or the failure of a step.</summary>
/// <param name="Pid">In the launcher's pid namespace; 0 where it failed.</param>
/// <param name="Pidfd">Owned by the receiver; null where it failed.</param>
public sealed record LaunchOutcome(int Pid, SafeFileHandle? Pidfd, PlanFailure? Failure);

/// <summary>A step that failed. The child is gone.</summary>
/// <param name="Step">From 1; 0 for clone3 itself.</param>
/// <param name="Errno">Or 0 where the child was killed by a signal during the step.</param>
/// <param name="Signal">The signal, or 0.</param>
public sealed record PlanFailure(int Step, int StepCount, string Description, int Errno, int Signal);
