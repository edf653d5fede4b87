using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Sockets;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Foreign;
using Slipway.Runtime.Hooks;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers.Hooks;

/// <summary>
/// Launches of our own runtime with hooks (config.md, "POSIX-platform Hooks"): the container's first process waits with its mounts made and the host's files still in sight, the engine
/// executes the hooks, and the process goes on or ends. Hooks come from specifications of devices alone, which are root's; no option and no image names one.
/// </summary>
internal static class HookedLaunch
{
    /// <summary>What our own runtime cannot do with hooks.</summary>
    /// <exception cref="EngineException">InvalidParameter, by name.</exception>
    public static void Require(HooksSpec hooks, bool remapped)
    {
        if (hooks.Needs is { } needs)
        {
            throw ContainerErrors.Invalid(
                $"CDI device injection failed: the {needs.Moment} hook {needs.Hook.Path} needs a runtime of the host (--runtime); {EngineOptions.OwnRuntime} executes hooks of the moments prestart, createRuntime and createContainer");
        }

        if (remapped)
        {
            throw ContainerErrors.Invalid("CDI device injection failed: hooks are not executed for a container with a user namespace (use --userns=host)");
        }
    }

    /// <summary>The pause of a plan that is only to be shown.</summary>
    public static HookPause Shown(RuntimeBundle bundle)
    {
        (SafeFileHandle near, SafeFileHandle far) = StreamSocket.CreatePair();
        near.Dispose();
        return new HookPause(far, bundle.Rootfs);
    }

    /// <param name="group">The container's, in which its first process is alone as yet.</param>
    /// <param name="request">Of a plan.</param>
    /// <exception cref="HookException">A hook failed; nothing runs.</exception>
    public static async Task<LaunchedProcess> RunAsync(
        EngineServices services, ContainerSnapshot container, Spec spec, PlanContext context, Cgroup group, Func<CompiledPlan, LaunchRequest> request)
    {
        RuntimeBundle bundle = services.Foreign.BundleOf(container.Id);
        (SafeFileHandle near, SafeFileHandle far) = StreamSocket.CreatePair();
        using Socket pause = new(new SafeSocketHandle(near.DangerousGetHandle(), ownsHandle: true));
        near.SetHandleAsInvalid();
        try
        {
            using CompiledPlan plan = PlanCompiler.Compile(spec, context with { Hooks = new HookPause(far, bundle.Rootfs) });
            bundle.Create();
            bundle.Write("config.json", spec with { Root = spec.Root with { Path = bundle.Rootfs } }, SpecJson.Default.Spec);
            Task<LaunchedProcess> launching = services.Supervisor.Current.LaunchAsync(request(plan), CancellationToken.None);
            try
            {
                if (await ReachedAsync(pause, launching))
                {
                    int pid = group.ProcessIds().Single();
                    await RunHooksAsync(spec.Hooks!, new HookState(spec.OciVersion, container.Id, HookState.Creating, pid, bundle.Path, spec.Annotations), services.Time);
                    await pause.SendAsync(new byte[1]);
                    await ReachedAsync(pause, launching);
                }
            }
            catch
            {
                // The process finds nobody at the other side, and ends.
                pause.Dispose();
                await ((Task)launching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw;
            }

            return await launching;
        }
        finally
        {
            bundle.Remove();
        }
    }

    /// <summary>Whether the process says that it is there; false where it has failed before.</summary>
    private static async Task<bool> ReachedAsync(Socket pause, Task launching)
    {
        using CancellationTokenSource failed = new();
        Task<int> told = pause.ReceiveAsync(new byte[1], failed.Token).AsTask();
        if (await Task.WhenAny(told, launching) == told)
        {
            return await told > 0;
        }

        await failed.CancelAsync();
        await ((Task)told).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return false;
    }

    private static async Task RunHooksAsync(HooksSpec hooks, HookState state, TimeProvider time)
    {
        await RunAllAsync("prestart", hooks.Prestart, mounts: null);
        await RunAllAsync("createRuntime", hooks.CreateRuntime, mounts: null);
        if (hooks.CreateContainer is { Count: > 0 })
        {
            using SafeFileHandle mounts = new HostPath($"/proc/{state.Pid}/ns/mnt").Open(OpenFlags.ReadOnly);
            await RunAllAsync("createContainer", hooks.CreateContainer, mounts);
        }

        async Task RunAllAsync(string moment, IReadOnlyList<HookSpec>? named, SafeFileHandle? mounts)
        {
            foreach ((int number, HookSpec hook) in (named ?? []).Index())
            {
                await HookProgram.RunAsync(hook, $"{moment} hook #{number}", state, mounts, time);
            }
        }
    }
}
