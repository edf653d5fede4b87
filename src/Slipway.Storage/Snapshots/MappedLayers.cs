using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Users;

namespace Slipway.Storage.Snapshots;

/// <summary>
/// Layers as a user namespace sees them: the overlay itself cannot be id-mapped, but the mounts it takes its layers from can (Linux 5.19). So the
/// store keeps one copy of every layer, with the ids of the image, whoever uses it.
/// </summary>
internal static class MappedLayers
{
    /// <summary>A detached, id-mapped mount of a directory.</summary>
    /// <param name="isMount">The directory is a detached mount that nobody else uses, and becomes the answer.</param>
    public static SafeFileHandle Map(SafeFileHandle directory, UserNamespace users, bool isMount = false)
    {
        var tree = isMount ? Descriptors.Duplicate(directory) : MountTree.Clone(directory, recursive: false);
        try
        {
            MountTree.MapIds(tree, users.Descriptor, recursive: false);
            return tree;
        }
        catch (KernelException error)
        {
            tree.Dispose();
            throw error.Errno is Errno.EINVAL or Errno.ENOSYS
                ? new StorageException(
                    StorageErrorKind.System,
                    "user namespaces need id-mapped mounts (Linux 5.19 or later, and a data root on ext4, XFS, btrfs or another file system that has them)",
                    error)
                : error;
        }
    }

    /// <summary>Replaces layers by their mapped mounts; nothing happens where <paramref name="users"/> is null.</summary>
    public static void MapAll(List<SafeFileHandle> layers, UserNamespace? users)
    {
        for (var i = 0; users is not null && i < layers.Count; i++)
        {
            var mapped = Map(layers[i], users);
            layers[i].Dispose();
            layers[i] = mapped;
        }
    }
}
