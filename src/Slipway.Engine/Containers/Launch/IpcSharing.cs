using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Launch;

/// <summary>Who may join the IPC namespace of a container, and what such a one finds at /dev/shm (<c>--ipc container:NAME</c>).</summary>
internal sealed class IpcSharing(EngineServices services, ContainerIndex index)
{
    public const string MountPoint = "/dev/shm";

    /// <summary>The host's shared memory.</summary>
    /// <exception cref="EngineException">InvalidParameter: the host has none.</exception>
    public static string HostMemory() =>
        Path.Exists(MountPoint) ? MountPoint : throw ContainerErrors.Invalid($"{MountPoint} is not mounted, but must be for --ipc=host");

    /// <summary>The directory of the host that is the container's /dev/shm.</summary>
    /// <param name="id">Of the container that is joined.</param>
    /// <exception cref="EngineException">It does not run, or nobody may join it; in Docker's words.</exception>
    public string SharedMemoryOf(string id)
    {
        try
        {
            ContainerSnapshot donor = Snapshot(id);
            if (donor.State.Phase == ContainerPhase.Restarting)
            {
                throw ContainerErrors.IsRestarting(id);
            }

            return !donor.State.IsLive ? throw ContainerErrors.NotRunning(id)
                : Find(donor) ?? throw new EngineException(ErrorKind.System, $"container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)");
        }
        catch (EngineException error)
        {
            // A request that cannot be fulfilled, whatever the kind of the reason: the CLI would take "not found" for the image.
            ErrorKind kind = error.Kind == ErrorKind.System ? ErrorKind.System : ErrorKind.InvalidParameter;
            throw new EngineException(kind, $"failed to join IPC namespace: {error.Message}", error);
        }
    }

    /// <summary>Null where there is none to share. Who has joined a container can be joined in its turn.</summary>
    private string? Find(ContainerSnapshot donor)
    {
        HostConfig host = donor.HostConfig;
        return host.IpcMode == NamespaceModes.Host ? HostMemory()
            : NamespaceModes.SharedWith(host.IpcMode) is { } next ? index.Find(next) is { } other ? Find(other.Snapshot) : null
            : host.IpcMode == NamespaceModes.Shareable && services.SharedMemory.IsMounted(donor.Id) ? services.SharedMemory.PathOf(donor.Id)
            : null;
    }

    private ContainerSnapshot Snapshot(string id) => (index.Find(id) ?? throw ContainerErrors.NoSuchContainer(id)).Snapshot;
}
