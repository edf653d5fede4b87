using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Foreign;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers.Foreign;

/// <summary>
/// Containers that a runtime of the host runs (<c>--runtime NAME</c>, docs/runtimes.md). What is the engine's stays so: the root file system, networks,
/// volumes, control groups, and by those limits, pause and stats. The runtime gets a bundle, and is asked to run it, to run further processes in it, to
/// signal it, and to forget it.
/// </summary>
internal sealed class ForeignRuntimes(EngineServices services)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(5);

    public static bool IsForeign(HostConfig host) => host.Runtime is { Length: > 0 } name && !EngineOptions.IsOwnRuntime(name);

    /// <summary>What nobody but our own runtime does.</summary>
    /// <exception cref="EngineException">InvalidParameter, by name.</exception>
    public static void Require(HostConfig host, bool init, bool remapped)
    {
        string? without = remapped ? "a user namespace (use --userns=host)" : init ? "--init" : null;
        if (without is not null)
        {
            throw ContainerErrors.Invalid($"runtime {host.Runtime}: {without} needs the runtime {EngineOptions.OwnRuntime}");
        }
    }

    public RuntimeBundle BundleOf(string id) => new(services.Options.ExecRoot, id);

    /// <summary>Makes the container's bundle and has it run.</summary>
    /// <param name="spec">The root file system and the mounts that are open already get paths.</param>
    /// <param name="context">Its descriptors are closed by the caller, but for those that a plan consumes.</param>
    /// <param name="checkpoint">The directory of what it goes on from; null: it starts from the beginning.</param>
    /// <param name="request">Without a plan.</param>
    /// <exception cref="ForeignRuntimeException">The runtime could not; nothing runs.</exception>
    /// <exception cref="PlanException">The image has something in the place of a system folder, which a runtime may take for one.</exception>
    public async Task<LaunchedProcess> LaunchAsync(ContainerSnapshot container, Spec spec, PlanContext context, string? checkpoint, Func<CompiledPlan, LaunchRequest> request)
    {
        using SafeFileHandle rootfs = context.Rootfs;
        using SafeFileHandle? network = context.NetworkNamespace;
        context.Cgroup?.Dispose();
        SystemFolders.Check(rootfs);
        RuntimeBundle bundle = BundleOf(container.Id);
        bundle.Create(rootfs);
        bundle.ClearLog();
        bundle.Write("config.json", Complete(spec, context, bundle, network), SpecJson.Default.Spec);
        RuntimeProgram program = Program(container.HostConfig);
        using CompiledPlan plan = checkpoint is null ? program.CompileRun(bundle, spec.Process.Terminal) : program.CompileRestore(bundle, checkpoint);
        LaunchRequest launch = request(plan) with { HoldOutput = true };
        LaunchedProcess monitor = await services.Supervisor.Current.LaunchAsync(launch, CancellationToken.None);
        return await StartedAsync(bundle, launch.Id, execId: null, monitor, CancellationToken.None);
    }

    /// <summary>Runs a further process.</summary>
    /// <inheritdoc cref="LaunchAsync" path="/exception"/>
    public async Task<LaunchedProcess> ExecAsync(ContainerSnapshot container, string execId, ProcessSpec process, Func<CompiledPlan, LaunchRequest> request, CancellationToken cancellationToken)
    {
        RuntimeBundle bundle = BundleOf(container.Id);
        bundle.ClearLog();
        try
        {
            string document = bundle.Write($"{execId}.json", process, SpecJson.Default.ProcessSpec);
            using CompiledPlan plan = Program(container.HostConfig).CompileExec(bundle, execId, document, process.Terminal);
            LaunchRequest launch = request(plan) with { HoldOutput = true };
            LaunchedProcess monitor = await services.Supervisor.Current.LaunchAsync(launch, cancellationToken);
            return await StartedAsync(bundle, launch.Id, execId, monitor, cancellationToken);
        }
        finally
        {
            bundle.RemoveExec(execId);
        }
    }

    /// <summary>Has the runtime write a container's processes down.</summary>
    /// <param name="checkpoint">An empty directory.</param>
    /// <param name="leaveRunning">Else they end with that.</param>
    /// <returns>What the runtime says against it; null where it was done.</returns>
    public Task<string?> CheckpointAsync(ContainerSnapshot container, string checkpoint, bool leaveRunning)
    {
        RuntimeBundle bundle = BundleOf(container.Id);
        bundle.ClearLog();
        return Program(container.HostConfig).CheckpointAsync(bundle, checkpoint, leaveRunning);
    }

    /// <summary>Signals the first process; one that has ended meanwhile is no error.</summary>
    public async Task SignalAsync(Container container, int signal)
    {
        string? problem = await Program(container.Snapshot.HostConfig).KillAsync(BundleOf(container.Id), signal);
        if (problem is not null && container.Pidfd is { } monitor && Pidfd.SendSignal(monitor, 0))
        {
            throw new EngineException(ErrorKind.System, $"cannot kill container: {container.Snapshot.Name}: {problem}");
        }
    }

    /// <summary>After the container's end: the runtime forgets it, and its bundle goes.</summary>
    public async Task ReleaseAsync(ContainerSnapshot container)
    {
        RuntimeBundle bundle = BundleOf(container.Id);
        if (!Directory.Exists(bundle.Path))
        {
            return;
        }

        // Whatever it says: what it keeps is in the bundle, and its processes are in the container's control group. One of our own runtime was restored.
        if (IsForeign(container.HostConfig) && services.Options.Runtimes.ContainsKey(container.HostConfig.Runtime!))
        {
            await Program(container.HostConfig).DeleteAsync(bundle);
        }

        bundle.Remove();
    }

    /// <summary>After the end of an engine: removes the bundles of containers that do not run.</summary>
    public void Sweep(Func<string, bool> runs)
    {
        foreach (string id in RuntimeBundle.List(services.Options.ExecRoot).Where(id => !runs(id)))
        {
            BundleOf(id).Remove();
        }
    }

    private RuntimeProgram Program(HostConfig host) => services.Options.Runtimes.TryGetValue(host.Runtime!, out RuntimeDefinition? runtime)
        ? new RuntimeProgram(runtime.Path, runtime.Arguments)
        : throw ContainerErrors.Invalid($"unknown or invalid runtime name: {host.Runtime}");

    /// <summary>
    /// Waits until the runtime has told the process id, or has ended without. Its streams are the container's, but what it says of its own failure is in its
    /// log as well, and is no output of the container's: that is thrown away, and the error tells it.
    /// </summary>
    /// <param name="processId">By which the supervisor knows the monitor.</param>
    /// <param name="monitor">The runtime's own process, which runs as long as what it has started.</param>
    private async Task<LaunchedProcess> StartedAsync(RuntimeBundle bundle, string processId, string? execId, LaunchedProcess monitor, CancellationToken cancellationToken)
    {
        bool discard = false;
        try
        {
            while (true)
            {
                bool ended = !Pidfd.SendSignal(monitor.Pidfd, 0);
                int? pid = bundle.ReadPid(execId);
                if (ended && bundle.ReadError() is { } error)
                {
                    discard = true;
                    throw new ForeignRuntimeException(error);
                }

                if (pid is not null)
                {
                    return monitor with { Pid = pid.Value };
                }

                if (ended)
                {
                    throw new ForeignRuntimeException("the runtime has ended without starting a process");
                }

                await Task.Delay(s_look, services.Time, cancellationToken);
            }
        }
        catch
        {
            Pidfd.SendSignal(monitor.Pidfd, Signals.Kill);
            monitor.Pidfd.Dispose();
            throw;
        }
        finally
        {
            await ReleaseOutputAsync(processId, discard);
        }
    }

    private async Task ReleaseOutputAsync(string processId, bool discard)
    {
        try
        {
            await services.Supervisor.Current.ReleaseAsync(processId, discard, CancellationToken.None);
        }
        catch (SupervisorException)
        {
            // One of an older engine's, which held nothing.
        }
    }

    private static Spec Complete(Spec spec, PlanContext context, RuntimeBundle bundle, SafeFileHandle? network)
    {
        int placed = 0;
        List<MountSpec> mounts = [];
        foreach (MountSpec mount in spec.Mounts)
        {
            if (mount.Options.Contains("idmap") || mount.UidMappings.Count > 0)
            {
                throw ContainerErrors.Invalid($"the id-mapped mount at {mount.Destination} needs the runtime {EngineOptions.OwnRuntime}");
            }

            mounts.Add(Open(mount, context) is { } tree ? mount with { Source = Place(tree) } : mount);
        }

        return spec with
        {
            // What is written is in every 1.x; a runtime refuses a version that is newer than itself.
            OciVersion = "1.0.2",
            Root = spec.Root with { Path = bundle.Rootfs },
            Mounts = mounts,
            Linux = spec.Linux with
            {
                CgroupsPath = "/" + spec.Linux.CgroupsPath,
                Namespaces = [.. spec.Linux.Namespaces.Select(space => space.Type == "network" && network is not null ? space with { Path = Place(MountTree.Clone(network, recursive: false)) } : space)],
            },
        };

        string Place(SafeFileHandle tree)
        {
            using (tree)
            {
                return bundle.Place(tree, placed++);
            }
        }
    }

    /// <summary>What has no path of the host's: a part of a volume, an image, a secret.</summary>
    private static SafeFileHandle? Open(MountSpec mount, PlanContext context) =>
        context.DetachedMounts.TryGetValue(mount.Destination, out SafeFileHandle? detached) ? Descriptors.Duplicate(detached)
        : context.MountSources.TryGetValue(mount.Destination, out SafeFileHandle? source) ? MountTree.Clone(source, recursive: true)
        : null;
}
