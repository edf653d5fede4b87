using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;

namespace Slipway.Runtime.Compilation;

/// <summary>Where a container's first process waits for the hooks of its creation.</summary>
/// <param name="Socket">The plan says on it that it waits, and goes on when it is told to; at the end of the other side it fails. Consumed.</param>
/// <param name="Rootfs">An empty directory of the host: where hooks see the root file system.</param>
public sealed record HookPause(SafeFileHandle Socket, string Rootfs);

/// <summary>
/// The steps of a launch with hooks. The root file system is attached in a directory of the host's tree instead of on top of it, and all mounts are made below; then the child waits, while
/// hooks in its mount namespace see both the host's files and the container's; then it pivots. Mount points are resolved below the descriptor of the root (RESOLVE_IN_ROOT) in both
/// orders, so that the later pivot gives an image no way out.
/// </summary>
internal static class PlanHooks
{
    private const int MSG_NOSIGNAL = 0x4000;

    /// <summary>Attaches the root file system where hooks find it.</summary>
    public static void AttachRoot(LaunchPlan plan, PlanArgument root, string path)
    {
        var how = new OpenHow(OpenFlags.Path | OpenFlags.Directory | OpenFlags.CloseOnExec, 0, Resolution.None);
        int target = plan.Add($"openat2 \"{path}\" (bundle)", SystemCall.OpenAt2, [PlanSteps.AT_FDCWD, plan.Text(path), plan.Struct(how), OpenHow.Size]);
        plan.MoveMount(root, PlanArgument.ResultOf(target), System.Text.Encoding.UTF8.GetBytes(path));
    }

    /// <summary>Waits until the hooks have run. Receiving tells the end of the other side by no error, so something is sent behind it: that fails then.</summary>
    public static void Wait(LaunchPlan plan, SafeFileHandle socket)
    {
        PlanArgument far = plan.Own(socket);
        PlanArgument buffer = plan.Bytes([0]);
        plan.Add("sendto: ready for hooks", SystemCall.Sendto, [far, buffer, 1, MSG_NOSIGNAL, 0, 0]);
        plan.Add("recvfrom: hooks have run", SystemCall.Recvfrom, [far, buffer, 1, 0, 0, 0]);
        plan.Add("sendto: go on after hooks", SystemCall.Sendto, [far, buffer, 1, MSG_NOSIGNAL, 0, 0]);
    }
}
