using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Volumes;

/// <param name="Document">JSON owned by the engine: driver, options, labels.</param>
public sealed record VolumeRow(string Name, DateTimeOffset Created, byte[] Document);

/// <summary>
/// Volumes: <c>&lt;root&gt;/volumes/&lt;name&gt;/_data</c>, and a row for each. Names are the caller's to check; one that is no file name is
/// refused. Errors are <see cref="StorageException"/>.
/// </summary>
public interface IVolumeStore
{
    /// <summary>Bytes a volume with a size has at least.</summary>
    public const long MinimumSize = VolumeImage.MinimumSize;

    /// <summary>The host path of a volume's content.</summary>
    string DataPath(string name);

    /// <summary>
    /// All volumes, after directories and rows were made to agree: a row whose directory is gone is of a removal that was not finished, an empty
    /// directory without a row of a creation; one with content was made by an engine that kept no rows, or by hand, and gets one.
    /// </summary>
    /// <param name="adopt">The document of such a volume, by its name and, where it has one, its size in bytes.</param>
    Task<IReadOnlyList<VolumeRow>> OpenAsync(Func<string, long?, byte[]> adopt, CancellationToken cancellationToken);

    /// <summary>Makes a volume.</summary>
    /// <param name="size">Bytes it may take at most (a project quota or a file system of its own holds it); null: no limit of its own.</param>
    Task CreateAsync(VolumeRow row, long? size, CancellationToken cancellationToken);

    /// <summary>Makes a volume with what is in a directory, all of it or nothing.</summary>
    /// <param name="source">The content of a volume of any driver, mounted where it has to be.</param>
    Task CopyAsync(HostPath source, VolumeRow row, long? size, CancellationToken cancellationToken);

    /// <summary>Writes what is in a directory as a tar. Who writes there meanwhile may be met at any point, and leads nowhere.</summary>
    /// <param name="data">The content of a volume of any driver, mounted where it has to be.</param>
    Task ExportAsync(HostPath data, Stream output, CancellationToken cancellationToken);

    /// <summary>Gives a volume that is not mounted another name: after a kill at any instant it has the old or the new one.</summary>
    Task RenameAsync(string name, string newName, CancellationToken cancellationToken);

    /// <summary>Makes a volume's directory again where somebody has removed it.</summary>
    void Ensure(string name);

    /// <summary>Removes a volume with its content, which vanishes at once. What is mounted inside must be unmounted before.</summary>
    Task RemoveAsync(string name, CancellationToken cancellationToken);

    /// <summary>Replaces a volume's document.</summary>
    Task UpdateAsync(string name, byte[] document, CancellationToken cancellationToken);

    /// <summary>Mounts a file system on the volume's directory, if none is mounted there.</summary>
    /// <param name="make">Makes the detached mount; runs on a thread of its own, for a server may take its time.</param>
    Task MountAsync(string name, Func<SafeFileHandle> make, CancellationToken cancellationToken);

    /// <summary>Whether the volume's content is in a file system of its own, which must be mounted to be seen.</summary>
    bool HasImage(string name);

    /// <summary>Makes sure that a volume of a size, whose content is not in a file system of its own, is held to it by its project.</summary>
    /// <exception cref="StorageException">It is not, any more.</exception>
    void HoldSize(string name, long size);

    /// <summary>As <see cref="MountAsync"/>, of the file system that holds the volume's content.</summary>
    Task MountImageAsync(string name, CancellationToken cancellationToken);

    /// <summary>Whether a file system is mounted on the volume's directory.</summary>
    bool IsMounted(string name);

    /// <summary>Takes a mount off the volume's directory, where there is one. Who has it open, or mounted elsewhere, keeps it.</summary>
    Task UnmountAsync(string name);

    /// <summary>Whether nothing is in a volume's content, which may be mounted.</summary>
    /// <param name="data">Of any driver.</param>
    bool IsEmpty(HostPath data);

    /// <summary>
    /// Copies a directory of a tree, with its attributes, into an empty volume (<see cref="TreeCopy"/>). Nothing is copied where the tree has no such path.
    /// </summary>
    /// <param name="data">The volume's content, of any driver.</param>
    /// <param name="path">Links are followed inside the tree.</param>
    /// <param name="inUse">
    /// The volume's directory must stay the one it is, because it is mounted somewhere. Otherwise the copy is made beside it and takes its
    /// place when it is whole, so that a kill leaves no half of it.
    /// </param>
    /// <exception cref="StorageException">InvalidParameter: the path leads to something that is no directory.</exception>
    Task PopulateAsync(HostPath data, RootDirectory tree, string path, bool inUse, CancellationToken cancellationToken);

    /// <summary>Copies a tree into an empty directory that nobody uses yet.</summary>
    /// <param name="root">May be a detached mount.</param>
    Task CopyTreeAsync(SafeFileHandle root, HostPath directory, CancellationToken cancellationToken);

    /// <summary>As <see cref="PopulateAsync"/>, of a volume with a file system of its own that nobody has mounted; one that is not empty stays as it is.</summary>
    /// <param name="open">Opens the tree, if it is needed.</param>
    Task PopulateImageAsync(string name, Func<RootDirectory> open, string path, CancellationToken cancellationToken);
}
