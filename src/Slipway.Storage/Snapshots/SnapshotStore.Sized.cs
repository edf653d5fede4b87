using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage.Quotas;
using Slipway.Storage.Threading;
using Slipway.Storage.Volumes;

namespace Slipway.Storage.Snapshots;

/// <summary>
/// Layers of a size (<c>--storage-opt size=</c>). Where the file system has project quotas, upper and work are of a project; the container's log, beside them, is not. Elsewhere they
/// are on a file system in a file of the container's directory, as volumes of a size are: nothing of it is mounted in the host's namespace, the overlay holds it while the container
/// runs, and whoever reads the layer mounts it for as long as that takes.
/// </summary>
internal sealed partial class SnapshotStore
{
    private readonly Lock _imageGate = new();

    public async Task EnsureSizedAsync(IReadOnlyList<Digest> chainIds, string containerId, long size, CancellationToken cancellationToken)
    {
        try
        {
            if (FileStatus.TryOf(_containers, Checked(containerId)) is not null)
            {
                if (ProjectOf(containerId) is var held and not ProjectQuota.NoProject)
                {
                    _projects.Hold(held, size, $"the layer of container {containerId}");
                }

                return;
            }

            var project = _projects.IsAvailable ? await _projects.TakeAsync(size, cancellationToken).ConfigureAwait(false) : ProjectQuota.NoProject;
            try
            {
                await WorkerThread.RunAsync("sized-layer", () =>
                {
                    using var below = Highest(chainIds, containerId);
                    Place(project == ProjectQuota.NoProject ? MakeInImage(size) : Make("sized", project), containerId, below);
                    return true;
                }).ConfigureAwait(false);
            }
            catch
            {
                await _projects.ReturnAsync(project).ConfigureAwait(false);
                throw;
            }
        }
        catch (KernelException error)
        {
            throw new StorageException(StorageErrorKind.System, $"root file system of container {containerId}: {error.Message}", error);
        }
    }

    /// <summary>The projects of all layers, as the directories say.</summary>
    public IEnumerable<uint> Projects()
    {
        foreach (var entry in new DirectoryListing(_containers))
        {
            if (DirectoryEntry.TryOpen(_containers, entry.Name, OpenFlags.Path | OpenFlags.Directory, out var container) != 0)
            {
                continue;
            }

            using (container)
            {
                yield return ProjectQuotas.Read(container!, Upper);
            }
        }
    }

    /// <summary>The project of a container's layer; none where it has no size, or no layer.</summary>
    private uint ProjectOf(string containerId)
    {
        if (DirectoryEntry.TryOpen(_containers, containerId, OpenFlags.Path | OpenFlags.Directory, out var container) != 0)
        {
            return ProjectQuota.NoProject;
        }

        using (container)
        {
            return _projects.Of(container!, Upper);
        }
    }

    /// <summary>The file system of a layer that has one, as a detached mount; null for one that is a directory like any other.</summary>
    private SafeFileHandle? TryMountImage(SafeFileHandle container)
    {
        if (!VolumeImage.Exists(container))
        {
            return null;
        }

        // One at a time gets a file its loop device.
        lock (_imageGate)
        {
            return VolumeImage.MountRoot(container);
        }
    }

    /// <summary>As <see cref="Make()"/>, for a container that may write so many bytes, on a file system without quotas.</summary>
    private string MakeInImage(long size)
    {
        var name = _temporary.NewName("sized");
        DirectoryEntry.CreateDirectory(_temporary.Descriptor, name, DataRoot.DirectoryMode);
        try
        {
            using var directory = DirectoryEntry.Open(_temporary.Descriptor, name, OpenFlags.Directory);
            VolumeImage.CreateFileSystem(directory, _temporary.Path / name, size);
            using var image = TryMountImage(directory);
            Fill(image!, ProjectQuota.NoProject);
            return name;
        }
        catch
        {
            Drop(name);
            throw;
        }
    }
}
