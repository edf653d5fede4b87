using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Streams;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;

namespace Slipway.Runtime.Hooks;

/// <summary>
/// Executes a hook: a program of the host, with the host's root directory, which nothing of a container has chosen. Its environment is what the hook names and nothing else, and it
/// starts in <c>/</c>: variables of the container and a working directory in its files would let an image load code into it (CVE-2025-23266).
/// </summary>
public static class HookProgram
{
    /// <summary>For a hook that names no limit: a start must not hang for ever.</summary>
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromMinutes(1);

    private const int PR_SET_PDEATHSIG = 1;
    private const int SIGKILL = 9;
    private const int MaxOutput = 2048;

    /// <summary>Runs it to its end.</summary>
    /// <param name="name">For errors: <c>createContainer hook #0</c>.</param>
    /// <param name="mounts">The mount namespace it runs in; null: the host's.</param>
    /// <exception cref="HookException">It failed. Nothing of it runs any more where it did not end in time.</exception>
    public static async Task RunAsync(HookSpec hook, string name, HookState state, SafeFileHandle? mounts, TimeProvider time)
    {
        using LaunchPlan plan = Compile(hook, mounts);
        using SafeFileHandle written = MemoryFile.Create("hook-state", JsonSerializer.SerializeToUtf8Bytes(state, SpecJson.Default.HookState));
        using SafeFileHandle input = Descriptors.Reopen(written, OpenFlags.ReadOnly);
        using SafeFileHandle output = MemoryFile.Create("hook-output", []);
        using SafeFileHandle error = MemoryFile.Create("hook-error", []);
        using Launcher launcher = new();
        LaunchOutcome outcome = await launcher.LaunchAsync(new LaunchOrder(PlanDocument.Parse(PlanDocument.Serialize(plan)), plan.Descriptors, input, output, error)).ConfigureAwait(false);
        if (outcome.Failure is { } failure)
        {
            throw new HookException($"error running {name}: {failure.Description}: {Marshal.GetPInvokeErrorMessage(failure.Errno).ToLowerInvariant()}");
        }

        using SafeFileHandle pidfd = outcome.Pidfd!;
        TimeSpan limit = hook.Timeout is > 0 and int seconds ? TimeSpan.FromSeconds(seconds) : DefaultTimeout;
        Task ended = EndAsync(pidfd);
        try
        {
            await ended.WaitAsync(limit, time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // It leads a session, and so a group; its number is nobody else's before it is reaped.
            ProcessGroup.Kill(outcome.Pid);
            await ended.ConfigureAwait(false);
            _ = Pidfd.Wait(pidfd);
            throw new HookException(string.Create(CultureInfo.InvariantCulture, $"error running {name}: {hook.Path} did not end within {limit.TotalSeconds} s{Said(output, error)}"));
        }

        ProcessStatus status = Pidfd.Wait(pidfd);
        if (status.ExitCode != 0)
        {
            string how = status.Signal == 0 ? $"exit status {status.ExitCode}" : $"signal {status.Signal}";
            throw new HookException($"error running {name}: {how}{Said(output, error)}");
        }
    }

    private static LaunchPlan Compile(HookSpec hook, SafeFileHandle? mounts)
    {
        LaunchPlan plan = new();
        PlanPrologue.Begin(plan, terminal: false);

        // A hook of an engine that was killed would go on for a container that is not started any more.
        plan.Add("prctl PR_SET_PDEATHSIG", SystemCall.Prctl, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0]);
        if (mounts is not null)
        {
            // This enters the namespace's root directory as well: the host's, as the container has not left it yet.
            plan.Add("setns mount", SystemCall.Setns, [plan.Own(Descriptors.Duplicate(mounts)), PlanNamespaces.CLONE_NEWNS]);
        }

        plan.Add("chdir \"/\"", SystemCall.Chdir, [plan.Text("/")]);
        PlanPrologue.Seal(plan);
        plan.Add($"execve \"{hook.Path}\"", SystemCall.Execve, [plan.Text(hook.Path), plan.TextArray(hook.Args is { Count: > 0 } arguments ? arguments : [hook.Path]), plan.TextArray(hook.Env ?? [])]);
        return plan;
    }

    /// <summary>Its end, before it is reaped.</summary>
    private static Task EndAsync(SafeFileHandle pidfd)
    {
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            Pidfd.WaitForEnd(pidfd);
            ended.SetResult();
        })
        {
            Name = "hook",
            IsBackground = true,
        }.Start();
        return ended.Task;
    }

    private static string Said(SafeFileHandle output, SafeFileHandle error) => $", stdout: {Text(output)}, stderr: {Text(error)}";

    private static string Text(SafeFileHandle file)
    {
        byte[] bytes = new byte[MaxOutput];
        int length = Descriptors.ReadAt(file, bytes, 0);
        return Encoding.UTF8.GetString(bytes, 0, length).Trim();
    }
}
