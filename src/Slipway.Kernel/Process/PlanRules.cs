using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>
/// What the launcher demands of a plan, whoever compiled it: it ends with exit_group, and nothing is left of the child, or with execve, and a <c>close_range(3, ~0, CLOSE_RANGE_CLOEXEC)</c>
/// comes after the last step that can make a descriptor. So no descriptor above 2 reaches a container (CVE-2024-21626);
/// a plan that executes a program of the host may hand it number 3 (<see cref="PlanPrologue.SealBut"/>).
/// </summary>
internal static class PlanRules
{
    private static readonly uint s_closeRange = Number(SystemCall.CloseRange);

    private static readonly uint s_exitGroup = Number(SystemCall.ExitGroup);

    private static readonly uint[] s_executes = [Number(SystemCall.Execve), Number(SystemCall.ExecveAt)];

    private static readonly uint[] s_makesDescriptors =
    [
        Number(SystemCall.OpenAt), Number(SystemCall.OpenAt2), Number(SystemCall.Fcntl), Number(SystemCall.Ioctl), Number(SystemCall.FsOpen),
        Number(SystemCall.FsMount), Number(SystemCall.OpenTree), Number(SystemCall.Socket), Number(SystemCall.Dup3), Number(SystemCall.Seccomp),
    ];

    /// <exception cref="InvalidDataException">The plan breaks a rule.</exception>
    public static void Check(PlanDocument plan)
    {
        ReadOnlySpan<PlanDocument.Step> steps = plan.Steps;
        if (steps[^1].Number == s_exitGroup)
        {
            return;
        }

        if (!s_executes.Contains(steps[^1].Number))
        {
            throw new InvalidDataException("a launch plan must end with execve or exit_group");
        }

        for (int i = steps.Length - 2; i >= 0; i--)
        {
            if (IsSeal(steps[i]) || (i > 0 && IsSealBut(steps[i - 1], steps[i])))
            {
                return;
            }

            if (MakesDescriptor(steps[i]))
            {
                break;
            }
        }

        throw new InvalidDataException("a launch plan must mark all descriptors close-on-exec after its last step that opens one");
    }

    private static bool IsSeal(in PlanDocument.Step step) =>
        step.Number == s_closeRange && step.Tolerate == 0 && step.Values[0] == 3 && step.Values[1] == uint.MaxValue && step.Values[2] == PlanPrologue.CLOSE_RANGE_CLOEXEC;

    /// <summary>A program of the host is given one descriptor: 3, put there just before.</summary>
    private static bool IsSealBut(in PlanDocument.Step dup, in PlanDocument.Step seal) =>
        seal.Number == s_closeRange && seal.Tolerate == 0 && seal.Values[0] == 4 && seal.Values[1] == uint.MaxValue && seal.Values[2] == PlanPrologue.CLOSE_RANGE_CLOEXEC
        && dup.Number == Number(SystemCall.Dup3) && dup.Kinds[1] == (byte)PlanArgumentKind.Immediate && dup.Values[1] == 3;

    // seccomp(2) makes one only with SECCOMP_FILTER_FLAG_NEW_LISTENER; dup3 none where it replaces a standard stream.
    private static bool MakesDescriptor(in PlanDocument.Step step) =>
        s_makesDescriptors.Contains(step.Number)
        && !(step.Number == Number(SystemCall.Seccomp) && (step.Values[1] & 8) == 0)
        && !(step.Number == Number(SystemCall.Dup3) && step.Kinds[1] == (byte)PlanArgumentKind.Immediate && step.Values[1] <= 2);

    private static uint Number(SystemCall call) => (uint)SystemCalls.Number(call, RuntimeInformation.ProcessArchitecture);
}
