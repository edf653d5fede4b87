using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Checkpoints;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Foreign;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers.Checkpoints;

/// <summary>
/// Checkpoints of containers of our own runtime, by the host's CRIU (docs/checkpoints.md). A restored container has a parent that only waits for its end
/// (<see cref="ExitRelay"/>) and is the supervisor's child: that one's exit is the container's. All else is as after a launch.
/// </summary>
internal sealed class OwnCheckpoints(EngineServices services)
{
    private const uint Executable = 0x1ED;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(5);

    /// <exception cref="EngineException">InvalidParameter: such a container has something that cannot be written down, or be made anew around what was.</exception>
    public void Require(ContainerSnapshot container)
    {
        HostConfig host = container.HostConfig;
        string? what = services.Remap is not null && host.UsernsMode != NamespaceModes.Host ? "a user namespace"
            : host.PidMode.Length > 0 ? "the processes of others (--pid)"
            : host.IpcMode == NamespaceModes.Host || NamespaceModes.SharedWith(host.IpcMode) is not null ? "the IPC namespace of others (--ipc)"
            : host.Init ?? services.Options.Init ? "an init (--init), which CRIU cannot find again"
            : null;
        if (what is not null)
        {
            throw ContainerErrors.Invalid($"cannot checkpoint container {container.Name}: it has {what}");
        }
    }

    /// <param name="directory">Empty.</param>
    /// <param name="leaveRunning">Else the processes end with that.</param>
    /// <returns>What CRIU says against it; null where it was done.</returns>
    public static async Task<string?> CreateAsync(ContainerSnapshot container, string directory, bool leaveRunning, CancellationToken cancellationToken)
    {
        try
        {
            IEnumerable<string> binds = container.Mounts.Where(mount => mount.Type != "tmpfs").Select(mount => mount.Destination);
            binds = container.HostConfig.IpcMode == NamespaceModes.Shareable ? binds.Append("/dev/shm") : binds;
            ContainerOutside outside = ContainerOutside.Of(container.State.Pid, binds);
            return await Program.DumpAsync(container.State.Pid, outside, directory, leaveRunning, cancellationToken);
        }
        catch (Exception exception) when (exception is PlanException or KernelException)
        {
            return exception.Message;
        }
    }

    /// <summary>Lets a container go on from a checkpoint.</summary>
    /// <param name="context">Its descriptors are closed by the caller, but for those that a plan consumes.</param>
    /// <param name="request">Without a plan.</param>
    /// <exception cref="EngineException">System: CRIU could not; nothing runs.</exception>
    public async Task<LaunchedProcess> RestoreAsync(ContainerSnapshot container, Spec spec, PlanContext context, string checkpoint, Func<CompiledPlan, LaunchRequest> request)
    {
        RuntimeBundle bundle = services.Foreign.BundleOf(container.Id);
        try
        {
            if (spec.Hooks is not null)
            {
                throw ContainerErrors.Invalid("the container has devices whose hooks prepare it");
            }

            bundle.Create();
            using CompiledPlan plan = RestoreCompiler.Compile(spec, context, bundle, Program, checkpoint, Relay());
            return await RestoredAsync(bundle, await services.Supervisor.Current.LaunchAsync(request(plan), CancellationToken.None));
        }
        catch (Exception exception) when (exception is PlanException or KernelException)
        {
            throw new EngineException(ErrorKind.System, $"cannot restore container {container.Name}: {exception.Message}", exception);
        }
    }

    /// <summary>The first process of a restored container, for an engine that finds it running.</summary>
    /// <param name="relay">Its parent; closed. Returned where the process has ended, as the relay is about to.</param>
    public static SafeFileHandle Reopen(int pid, SafeFileHandle relay)
    {
        try
        {
            SafeFileHandle process = Pidfd.Open(pid);
            relay.Dispose();
            return process;
        }
        catch (KernelException exception) when (exception.Errno == Errno.ESRCH)
        {
            return relay;
        }
    }

    private static CriuProgram Program => new("criu");

    /// <summary>The program beside the data, where programs may be executed; exec roots often forbid that.</summary>
    private string Relay()
    {
        HostPath path = new HostPath(services.Options.DataRoot) / ExitRelay.Name;
        byte[] image = ExitRelay.Image();
        using (SafeFileHandle? there = path.TryOpen(OpenFlags.ReadOnly | OpenFlags.NoFollow))
        {
            if (there is not null && Descriptors.ReadToEnd(there, image.Length + 1).AsSpan().SequenceEqual(image))
            {
                return path.Value;
            }
        }

        using SafeFileHandle directory = new HostPath(services.Options.DataRoot).Open(OpenFlags.Directory);
        string made = $"{ExitRelay.Name}.{Identifiers.New()}";
        using (SafeFileHandle file = DirectoryEntry.CreateFile(directory, made, Executable))
        {
            RandomAccess.Write(file, image, 0);
        }

        DirectoryEntry.Rename(directory, made, directory, ExitRelay.Name);
        return path.Value;
    }

    /// <summary>Waits until CRIU has told the process id and has become the relay, or has ended without.</summary>
    private async Task<LaunchedProcess> RestoredAsync(RuntimeBundle bundle, LaunchedProcess relay)
    {
        try
        {
            while (true)
            {
                bool ended = !Pidfd.SendSignal(relay.Pidfd, 0);
                bool restored = ended ? CriuProgram.HasRestored(bundle.Work) : Name(relay.Pid) == ExitRelay.Name;
                if (restored && bundle.ReadPid(execId: null) is { } pid)
                {
                    LeaveGroups(relay);
                    return relay with { Pid = pid, Pidfd = Reopen(pid, relay.Pidfd) };
                }

                if (ended)
                {
                    throw Failed(CriuProgram.ReadRestoreProblem(bundle.Work) ?? "criu has ended without restoring a process");
                }

                await Task.Delay(s_look, services.Time);
            }
        }
        catch
        {
            Pidfd.SendSignal(relay.Pidfd, Signals.Kill);
            relay.Pidfd.Dispose();
            throw;
        }
    }

    /// <summary>The relay is no process of the container's: it goes where its parent, the supervisor, is.</summary>
    private void LeaveGroups(LaunchedProcess relay)
    {
        try
        {
            CgroupMembership.MoveBeside(relay.Pid, Parent(relay.Pid), services.Cgroups.Hierarchy.Mounts);
        }
        catch (Exception exception) when (exception is IOException or FormatException && !Pidfd.SendSignal(relay.Pidfd, 0))
        {
            // The container has ended already, and the relay with it.
        }
    }

    private static EngineException Failed(string problem) => new(ErrorKind.System, $"OCI runtime restore failed: criu failed: {problem}");

    private static string Name(int pid) => Field(pid, "Name:");

    private static int Parent(int pid) => int.Parse(Field(pid, "PPid:"), CultureInfo.InvariantCulture);

    /// <summary>Of proc_pid_status(5); empty where the process has been reaped.</summary>
    private static string Field(int pid, string name)
    {
        try
        {
            return File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/status")).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?[name.Length..].Trim() ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
