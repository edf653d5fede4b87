using System.Runtime.InteropServices;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Streams;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    private static readonly TimeSpan WarmUpTimeout = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Goes the whole way of a container once, so that the first one of a user does not pay for what is done for the first time:
    /// compiled code, the seccomp program, prepared statements, opened hierarchies. Its program ends at once. The address that it has meanwhile is one that no other container gets
    /// before all below are given.
    /// </summary>
    internal async Task WarmUpAsync()
    {
        string program = $"{_services.Options.ExecRoot}/warm-up";
        await File.WriteAllBytesAsync(program, MinimalProgram.For(RuntimeInformation.OSArchitecture));
        File.SetUnixFileMode(program, (UnixFileMode)0x1ED);
        string id = Identifiers.New();
        HostConfig hostConfig = HostConfigDefaults.Apply(new HostConfig { AutoRemove = true }, _services.Cgroups.Hierarchy.Mode, DefaultNetwork, new LogConfig { Type = LogOptions.JsonFile }, new ContainerDefaults());
        ContainerConfig config = new() { Hostname = id[..12], Entrypoint = ["/warm-up"], AttachStdout = true };
        ContainerSnapshot snapshot = new()
        {
            Id = id,
            Name = $"warm-up-{id[..12]}",
            Created = Now,
            ImageId = "",
            Config = config,
            HostConfig = hostConfig,
            Mounts = [new ContainerMount("bind", program, "/warm-up", ["rbind", "rprivate", "ro"], "", ReadOnly: true, "rprivate")],
            RequestedEndpoints = Endpoints(null, hostConfig),
            State = new RunState(),
        };
        Container container = new(snapshot);
        _index.AddHidden(container);
        await _services.Data.Containers.InsertAsync(ContainerDocuments.ToRow(snapshot), CancellationToken.None);
        Task<ContainerWaitResponse> removed = container.Waits.Register(WaitCondition.Removed, CancellationToken.None);
        StreamEnds ends = StreamEnds.Create(stdin: false, stdout: true, stderr: true);
        container.Streams.Add(ends.Far);
        await using StreamSession session = ends.Session(terminal: false, past: null, ended: null, disposed: null);
        using (AsyncLock.Holder holder = await container.LockAsync(CancellationToken.None))
        {
            await StartHeldAsync(container);
        }

        await session.Stream.CopyToAsync(Stream.Null);
        await removed.WaitAsync(WarmUpTimeout, _services.Time);
    }
}
