using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Slipway.Api.Containers;
using Slipway.Build.Solving;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Streams;
using Slipway.Kernel.Cgroups;
using Slipway.Oci;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Builds.Steps;

/// <summary>
/// The program of a RUN: started by the engine's own launcher in the sandbox of a container, of which there is no row: an engine that is killed leaves nothing that the
/// next one would not sweep away.
/// </summary>
/// <param name="output">Told what the program writes: the stream (1 or 2) and the bytes.</param>
internal sealed class RunStep(EngineServices services, ContainerLauncher launcher, StepProcesses processes, BuildRequest request, string id, Func<int, ReadOnlyMemory<byte>, ValueTask> output)
{
    /// <summary>A name without a value takes a variable away.</summary>
    private static readonly string[] s_noHostname = ["HOSTNAME"];

    private const int ErrorStream = 2;
    private const int HeaderBytes = 8;
    private const int BufferSize = 32 << 10;

    /// <summary>Runs to the end; what it wrote is in the snapshot of the id then.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(RunOperation operation, OpenedMounts mounts, CancellationToken cancellationToken)
    {
        try
        {
            return await RunAsync(operation, Container(operation, mounts), StreamEnds.Create(stdin: false, stdout: true, stderr: true), ReadAsync, cancellationToken);
        }
        catch (EngineException error) when (request.Style != BuildStyle.Classic && error.InnerException is LaunchFailure { IsForeignFormat: false } failure)
        {
            if (failure.ExitCode == LaunchFailure.OtherCode)
            {
                throw new EngineException(error.Kind, StepFailedException.Describe(operation, failure.Reason), error);
            }

            // BuildKit shows what its runtime says of a program that cannot be started as if the program had said it.
            await output(ErrorStream, Encoding.UTF8.GetBytes($"unable to start container process: {failure.Reason}\n"));
            throw new StepFailedException(StepFailedException.Describe(operation, "exit code: 1"), 1);
        }
    }

    /// <summary>Runs a shell at a terminal where the program of the step would run, or has run, until it ends or the user is gone.</summary>
    public async Task ShellAsync(RunOperation operation, OpenedMounts mounts, IDebugTerminal terminal, CancellationToken cancellationToken)
    {
        ContainerSnapshot container = Container(operation, mounts);
        container = container with
        {
            Config = container.Config with { Cmd = [terminal.Shell], Tty = true, OpenStdin = true, StdinOnce = true, AttachStdin = true, AttachStderr = false },
            HostConfig = container.HostConfig with { ConsoleSize = [terminal.Size.Rows, terminal.Size.Columns] },
        };
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        TerminalRelay relay = new(terminal, (rows, columns) => services.Supervisor.Current.ResizeAsync(id, new TerminalSize(rows, columns), CancellationToken.None), end);
        await RunAsync(operation, container, StreamEnds.Create(stdin: true, stdout: true, stderr: false), relay.RunAsync, end.Token);
    }

    /// <param name="converse">Serves this end of the streams until the other closes them.</param>
    private async Task<int> RunAsync(RunOperation operation, ContainerSnapshot container, StreamEnds ends, Func<Socket, Task> converse, CancellationToken cancellationToken)
    {
        Task<ProcessExit> ended = processes.Expect(id);
        AttachedNetworks networks = AttachedNetworks.None;
        try
        {
            LaunchedContainer launched;
            try
            {
                launched = await launcher.LaunchAsync(container, [ends.Far]);
            }
            catch (Exception error)
            {
                ends.Local.Dispose();
                throw Failure(error, operation.Platform);
            }

            networks = launched.Networks;
            using (launched.Process.Pidfd)
            {
                Task conversing = converse(ends.Local);
                await using CancellationTokenRegistration stop = cancellationToken.UnsafeRegister(_ => _ = KillAsync(container), null);
                ProcessExit exit = await ended;
                await EndGroupAsync(container);
                await conversing;
                cancellationToken.ThrowIfCancellationRequested();
                return exit.ExitCode;
            }
        }
        finally
        {
            processes.Forget(id);
            await EndGroupAsync(container);
            await services.ContainerNetworks.DetachAsync(id, networks);
        }
    }

    private ContainerSnapshot Container(RunOperation operation, OpenedMounts mounts)
    {
        BuildLimits limits = request.Limits;
        string network = Network(operation);
        HostConfig host = HostConfigDefaults.Apply(
            new HostConfig
            {
                NetworkMode = network,
                ExtraHosts = [.. request.ExtraHosts],
                Privileged = operation.Insecure,
                Memory = limits.Memory,
                MemorySwap = limits.MemorySwap,
                ShmSize = limits.ShmSize,
                CpuShares = limits.CpuShares,
                CpuPeriod = limits.CpuPeriod,
                CpuQuota = limits.CpuQuota,
                CpusetCpus = limits.CpusetCpus,
                CpusetMems = limits.CpusetMems,
                Ulimits = [.. limits.Ulimits],
                CgroupParent = limits.CgroupParent,
                IpcMode = NamespaceModes.Private,
                LogConfig = new LogConfig { Type = LogOptions.None },
            },
            services.Cgroups.Hierarchy.Mode,
            services.Bridge is null ? NamespaceModes.None : NamespaceModes.Bridge,
            new LogConfig { Type = LogOptions.None },
            services.Options.Defaults with { Runtime = EngineOptions.OwnRuntime });
        return new ContainerSnapshot
        {
            Id = id,
            Name = $"build-{id[..12]}",
            Created = services.Time.GetUtcNow(),
            ImageId = "",
            Layers = [.. operation.Rootfs.Select(layer => layer.ChainId)],
            Trees = mounts.Trees,
            Config = new ContainerConfig
            {
                Hostname = operation.Hostname ?? id[..12],
                User = operation.User,
                WorkingDir = operation.WorkingDirectory,
                Env = [.. operation.Hostname is null ? [] : s_noHostname, .. operation.Environment, .. operation.Proxies, .. mounts.Variables],
                Cmd = [.. operation.Arguments],
                AttachStdout = true,
                AttachStderr = true,
            },
            HostConfig = host,
            Mounts = mounts.Mounts,
            RequestedEndpoints = NamespaceModes.SharedWith(host.NetworkMode) is null
                ? new Dictionary<string, EndpointSettings?> { [host.NetworkMode] = new EndpointSettings() } : [],
            State = new RunState(),
        };
    }

    /// <summary>One place that every process of a build passes: what needs a grant is refused without it (CVE-2024-23653).</summary>
    private string Network(RunOperation operation)
    {
        bool classic = request.Style == BuildStyle.Classic;
        if (operation.Insecure && !request.Entitlements.Contains("security.insecure"))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "security.insecure is not allowed");
        }

        string mode = operation.Network is null or "default" ? request.NetworkMode ?? "default" : operation.Network;
        if (mode == NamespaceModes.Host && !classic && !request.Entitlements.Contains("network.host"))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "network.host is not allowed");
        }

        return mode is "sandbox" ? "default" : mode;
    }

    private async Task ReadAsync(Socket socket)
    {
        await using NetworkStream frames = new(socket, ownsSocket: true);
        byte[] header = new byte[HeaderBytes];
        byte[] buffer = new byte[BufferSize];
        while (await frames.ReadAtLeastAsync(header, HeaderBytes, throwOnEndOfStream: false) == HeaderBytes)
        {
            for (uint left = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(4)); left > 0;)
            {
                int count = await frames.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, BufferSize)));
                if (count == 0)
                {
                    return;
                }

                await output(header[0], buffer.AsMemory(0, count));
                left -= (uint)count;
            }
        }
    }

    private async Task KillAsync(ContainerSnapshot container)
    {
        using Cgroup? group = services.Cgroups.TryOpen(services.CgroupPath(container));
        await (group?.KillAsync(services.Time, CancellationToken.None) ?? Task.CompletedTask);
    }

    /// <summary>Ends what the program left running and gives the group back.</summary>
    private async Task EndGroupAsync(ContainerSnapshot container)
    {
        using Cgroup? group = services.Cgroups.TryOpen(services.CgroupPath(container));
        if (group is not null)
        {
            await group.KillAsync(services.Time, CancellationToken.None);
            await group.DeleteAsync(services.Time, CancellationToken.None);
        }
    }

    private static EngineException Failure(Exception error, Platform platform)
    {
        LaunchFailure failure = LaunchFailure.From(error);
        return failure.IsForeignFormat && !platform.RunsOn(Platform.Host)
            ? new EngineException(
                failure.Kind,
                $"a program of {platform} cannot run on this host of {Platform.Host}: exec format error; register an emulator that is kept open (binfmt_misc, flag F; Debian's qemu-user-static), or run it in a stage FROM --platform=$BUILDPLATFORM",
                failure)
            : new EngineException(failure.Kind, failure.Message, failure);
    }
}
