using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Storage.Volumes;

namespace Slipway.Storage.Snapshots;

/// <summary>
/// Layers of a size (<c>--storage-opt size=</c>): upper and work are on a file system in a file of the container's directory, as volumes of a size are. Nothing of it is mounted in
/// the host's namespace; the overlay holds it while the container runs, and whoever reads the layer mounts it for as long as that takes.
/// </summary>
internal sealed partial class SnapshotStore
{
    private readonly Lock _imageGate = new();

    /// <summary>The file system of a layer that has a size, as a detached mount; null for one that is a directory like any other.</summary>
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

    /// <summary>As <see cref="Make"/>, for a container that may write so many bytes.</summary>
    private string MakeSized(long size)
    {
        var name = _temporary.NewName("sized");
        DirectoryEntry.CreateDirectory(_temporary.Descriptor, name, DataRoot.DirectoryMode);
        try
        {
            using var directory = DirectoryEntry.Open(_temporary.Descriptor, name, OpenFlags.Directory);
            VolumeImage.CreateFileSystem(directory, _temporary.Path / name, size);
            using var image = TryMountImage(directory);
            Fill(image!);
            return name;
        }
        catch
        {
            Drop(name);
            throw;
        }
    }
}
