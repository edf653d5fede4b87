using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Users;
using Slipway.Oci;
using Slipway.Storage.Changes;

namespace Slipway.Storage.Snapshots;

/// <summary>The read/write layers of containers: <c>&lt;root&gt;/containers/&lt;id&gt;/{upper,work}</c>.</summary>
public interface ISnapshotStore
{
    /// <summary>
    /// Mounts a container's root file system: the image's layers below, the container's own upper directory above, which
    /// is made if it is not there. The mount is detached (open_tree(2) style): it vanishes when the descriptor is closed, unless it was
    /// moved into a mount namespace before.
    /// </summary>
    /// <param name="chainIds">Layers, lowest first; may be empty.</param>
    /// <param name="containerId">64 hexadecimal digits.</param>
    /// <param name="readOnly">Mount it read-only (docker run --read-only).</param>
    /// <param name="users">Whose ids the files show with: those of the layers, which all containers share, are the ids inside. Null: as they are.</param>
    /// <param name="size">
    /// Bytes that what the container writes may take, where its directory is made now: then upper and work are on a file system in a file of that size, which is the container's as
    /// long as it exists. Null: as many as the disk has.
    /// </param>
    /// <exception cref="StorageException">System, among others: the kernel or the file system knows no id-mapped layers.</exception>
    SafeFileHandle MountRootfs(IReadOnlyList<Digest> chainIds, string containerId, bool readOnly, UserNamespace? users = null, long? size = null);

    /// <summary>Mounts an image's layers read-only, detached.</summary>
    /// <param name="chainIds">Layers, lowest first; may be empty.</param>
    /// <inheritdoc cref="MountRootfs" path="/param[@name='users']"/>
    SafeFileHandle MountImage(IReadOnlyList<Digest> chainIds, UserNamespace? users = null);

    /// <summary>Bytes of the regular files in the container's own layer; 0 where there is none.</summary>
    long UpperSize(string containerId);

    /// <summary>What a container changed of its image (<c>docker diff</c>). The container may run.</summary>
    Task<IReadOnlyList<FileChange>> ChangesAsync(IReadOnlyList<Digest> chainIds, string containerId, CancellationToken cancellationToken);

    /// <summary>The container's own layer as the tar of an image layer (<c>docker commit</c>), for as long as <paramref name="read"/> runs.</summary>
    /// <param name="read">Gets the tar, or null where the container changed nothing.</param>
    Task<T> ReadLayerAsync<T>(IReadOnlyList<Digest> chainIds, string containerId, Func<Stream?, Task<T>> read, CancellationToken cancellationToken);

    /// <summary>Writes the whole root file system as a tar (<c>docker export</c>), without what is mounted inside. The container may run; its own mounts are not entered.</summary>
    Task ExportAsync(IReadOnlyList<Digest> chainIds, string containerId, Stream output, CancellationToken cancellationToken);

    /// <summary>Removes the container's layer; nothing happens where there is none. The root file system must not be mounted any more.</summary>
    void Remove(string containerId);

    /// <summary>The containers that have a layer, for recovery.</summary>
    IReadOnlyList<string> List();
}
