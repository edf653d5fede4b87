using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Process;

namespace Slipway.Tests.Kernel.Process;

/// <summary>Plans for host programs, as the tests of the launcher and the supervisor need them.</summary>
internal static class PlanBuilder
{
    public const ulong CLONE_NEWNS = 0x20000;
    public const ulong CLONE_NEWCGROUP = 0x02000000;
    public const ulong CLONE_NEWUTS = 0x04000000;
    public const ulong CLONE_NEWIPC = 0x08000000;
    public const ulong CLONE_NEWPID = 0x20000000;
    public const ulong CLONE_NEWNET = 0x40000000;

    /// <summary>A plan that executes <paramref name="arguments"/>[0] on the host's file system.</summary>
    public static LaunchPlan Execute(bool terminal, params string[] arguments) => Execute(terminal, 0, null, arguments);

    /// <param name="middle">Adds steps before the seal.</param>
    public static LaunchPlan Execute(bool terminal, ulong cloneFlags, Action<LaunchPlan>? middle, params string[] arguments)
    {
        var plan = new LaunchPlan { CloneFlags = cloneFlags };
        PlanPrologue.Begin(plan, terminal);
        middle?.Invoke(plan);
        PlanPrologue.Seal(plan);
        plan.Add($"execve \"{arguments[0]}\"", SystemCall.Execve, [plan.Text(arguments[0]), plan.TextArray(arguments), plan.TextArray(["PATH=/usr/bin:/bin"])]);
        return plan;
    }

    public static LaunchOrder Order(LaunchPlan plan, SafeFileHandle stdin, SafeFileHandle stdout) =>
        new(PlanDocument.Parse(PlanDocument.Serialize(plan)), plan.Descriptors, stdin, stdout, stdout);

    public static SafeFileHandle Null() => File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
}
