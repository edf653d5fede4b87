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
    /// <exception cref="StorageException">System, among others: the kernel or the file system knows no id-mapped layers.</exception>
    SafeFileHandle MountRootfs(IReadOnlyList<Digest> chainIds, string containerId, bool readOnly, UserNamespace? users = null);

    /// <summary>
    /// Makes the layer of a container that may write so many bytes, before it is mounted for the first time: bounded by a project quota where the file system has them, else on a file
    /// system in a file. One that exists keeps its kind.
    /// </summary>
    /// <param name="size">Bytes; the same each time.</param>
    /// <exception cref="StorageException">System, among others: the layer has a project quota that is not enforced any more.</exception>
    Task EnsureSizedAsync(IReadOnlyList<Digest> chainIds, string containerId, long size, CancellationToken cancellationToken);

    /// <summary>Mounts an image's layers read-only, detached.</summary>
    /// <param name="chainIds">Layers, lowest first; may be empty.</param>
    /// <inheritdoc cref="MountRootfs" path="/param[@name='users']"/>
    SafeFileHandle MountImage(IReadOnlyList<Digest> chainIds, UserNamespace? users = null);

    /// <summary>Bytes of the regular files in the container's own layer; 0 where there is none.</summary>
    long UpperSize(string containerId);

    /// <summary>What a container changed of its image (<c>docker diff</c>). The container may run.</summary>
    Task<IReadOnlyList<FileChange>> ChangesAsync(IReadOnlyList<Digest> chainIds, string containerId, CancellationToken cancellationToken);

    /// <summary>The container's own layer as the tar of an image layer (<c>docker commit</c>), for as long as <paramref name="read"/> runs.</summary>
    /// <param name="newest">No file is told to be newer; null: times are what they are.</param>
    /// <param name="read">Gets the tar, or null where the container changed nothing.</param>
    Task<T> ReadLayerAsync<T>(IReadOnlyList<Digest> chainIds, string containerId, DateTimeOffset? newest, Func<Stream?, Task<T>> read, CancellationToken cancellationToken);

    /// <summary>
    /// Takes away what a container's layer has only because something was mounted there: empty files and directories at these paths, and the directories they are in, as far as
    /// they are empty then and the image has none of them. What is something else by now stays (CVE-2024-23652).
    /// </summary>
    /// <param name="paths">In the root file system, links in them resolved.</param>
    void RemoveMountPoints(IReadOnlyList<Digest> chainIds, string containerId, IReadOnlyCollection<string> paths);

    /// <summary>Writes the whole root file system as a tar (<c>docker export</c>), without what is mounted inside. The container may run; its own mounts are not entered.</summary>
    Task ExportAsync(IReadOnlyList<Digest> chainIds, string containerId, Stream output, CancellationToken cancellationToken);

    /// <summary>Writes layers as the tar of one file system.</summary>
    Task ExportImageAsync(IReadOnlyList<Digest> chainIds, Stream output, CancellationToken cancellationToken);

    /// <summary>Writes several file systems as one tar, each in a folder of it.</summary>
    Task ExportImagesAsync(IReadOnlyList<(string Folder, IReadOnlyList<Digest> ChainIds)> images, Stream output, CancellationToken cancellationToken);

    /// <summary>Writes what an image has otherwise than its lowest layers show, as the tar of the one layer that takes the place of the others.</summary>
    /// <param name="lower">The lowest of <paramref name="chainIds"/>; may be empty.</param>
    /// <param name="newest">No file is told to be newer; null: times are what they are.</param>
    void WriteDifference(IReadOnlyList<Digest> lower, IReadOnlyList<Digest> chainIds, DateTimeOffset? newest, Stream output, CancellationToken cancellationToken);

    /// <summary>Removes the container's layer; nothing happens where there is none. The root file system must not be mounted any more.</summary>
    Task RemoveAsync(string containerId);

    /// <summary>The containers that have a layer, for recovery.</summary>
    IReadOnlyList<string> List();
}
