using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Changes;
using Slipway.Storage.Content;
using Slipway.Storage.Quotas;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Volumes;

/// <summary>Volumes that are made whole beside the others and then get their name; and what is read from volumes.</summary>
internal sealed partial class VolumeStore
{
    // As deep as what a container can make by one mkdir -p, many times over; each level holds a descriptor.
    private const int MaximumDepth = 1024;

    public bool HasImage(string name)
    {
        using var volume = TryOpenVolume(name);
        return volume is not null && VolumeImage.Exists(volume);
    }

    public Task MountImageAsync(string name, CancellationToken cancellationToken) => MountAsync(
        name,
        () =>
        {
            using var volume = OpenVolume(name);
            return VolumeImage.Mount(volume);
        },
        cancellationToken);

    public void HoldSize(string name, long size)
    {
        if (_projects.Of(_volumes, name) is var project and not ProjectQuota.NoProject)
        {
            _projects.Hold(project, size, $"volume {name}");
        }
        else
        {
            throw new StorageException(StorageErrorKind.System, $"volume {name} is to hold {size} bytes at most, but somebody has replaced its directory");
        }
    }

    /// <summary>The projects of all volumes, as the directories say; what is mounted on their contents is not looked at.</summary>
    public IEnumerable<uint> Projects() => new DirectoryListing(_volumes).Select(entry => ProjectQuotas.Read(_volumes, Encoding.UTF8.GetString(entry.Name)));

    public Task CopyAsync(HostPath source, VolumeRow row, long? size, CancellationToken cancellationToken) =>
        GuardAsync("create", row.Name, () => PlaceAsync(
            row,
            size,
            (parent, name) =>
            {
                using var root = new HostPath("/").OpenRoot();
                using var sourceParent = root.OpenParent(source.Value, out var sourceName);
                TreeCopy.Run(sourceParent, sourceName, parent, name, cancellationToken);
            },
            cancellationToken));

    public Task CopyTreeAsync(SafeFileHandle root, HostPath directory, CancellationToken cancellationToken) =>
        GuardAsync("populate", directory.Value, () => WorkerThread.RunAsync("tree-copy", () =>
        {
            using var host = new HostPath("/").OpenRoot();
            using var parent = host.OpenParent(directory.Value, out var name);
            TreeCopy.Run(root, parent, name, cancellationToken);
            return true;
        }));

    public Task ExportAsync(HostPath data, Stream output, CancellationToken cancellationToken) =>
        GuardAsync("export", data.Value, async () =>
        {
            var archive = new ProducedStream("volume-export", (stream, stop) =>
            {
                using var root = data.Open(OpenFlags.Directory);
                TreeArchive.Write(root, stream, MaximumDepth, stop);
            });
            await using (archive.ConfigureAwait(false))
            {
                await archive.CopyToAsync(output, cancellationToken).ConfigureAwait(false);
            }
        });

    public Task RenameAsync(string name, string newName, CancellationToken cancellationToken) =>
        GuardAsync("rename", name, async () =>
        {
            // The rows first: they say also that the directory has to follow.
            await _table.BeginRenameAsync(name, newName, cancellationToken).ConfigureAwait(false);
            DirectoryEntry.Rename(_volumes, name, _volumes, newName, RenameFlags.NoReplace);
            await _table.EndRenameAsync(newName, CancellationToken.None).ConfigureAwait(false);
        });

    public Task PopulateImageAsync(string name, Func<RootDirectory> open, string path, CancellationToken cancellationToken) =>
        GuardAsync("populate", name, () => WorkerThread.RunAsync("volume-copy", () =>
        {
            using var volume = OpenVolume(name);
            using var root = VolumeImage.OpenRoot(volume);
            using (var data = DirectoryEntry.Open(root, Data, OpenFlags.Directory))
            {
                if (new DirectoryListing(data).Any())
                {
                    return true;
                }
            }

            var tree = open();
            if (TryResolve(tree, path) is { } canonical)
            {
                using var sourceParent = tree.OpenParent(canonical, out var source);
                Replace(root, Encoding.UTF8.GetBytes(Data), root, sourceParent, source, cancellationToken);
            }

            return true;
        }));

    /// <summary>
    /// Makes a volume in the temporary directory, fills it, and gives it its name. The row comes before the name: one without a directory is of a creation that
    /// was not finished, as it is of a removal.
    /// </summary>
    /// <param name="fill">Puts content into the directory given by a name in an open one.</param>
    private async Task PlaceAsync(VolumeRow row, long? size, Action<SafeFileHandle, byte[]> fill, CancellationToken cancellationToken)
    {
        var made = _temporary.NewName("volume");
        var project = size is { } bytes && _projects.IsAvailable ? await _projects.TakeAsync(bytes, cancellationToken).ConfigureAwait(false) : ProjectQuota.NoProject;
        try
        {
            await WorkerThread.RunAsync("volume-creation", () =>
            {
                Make(made, size, project, fill);
                return true;
            }).ConfigureAwait(false);
            await _table.InsertAsync(row, cancellationToken).ConfigureAwait(false);
            try
            {
                DirectoryEntry.Rename(_temporary.Descriptor, made, _volumes, row.Name, RenameFlags.NoReplace);
            }
            catch (KernelException)
            {
                await _table.DeleteAsync(row.Name, CancellationToken.None).ConfigureAwait(false);
                throw;
            }
        }
        catch
        {
            TreeRemoval.Remove(_temporary.Descriptor, made);
            await _projects.ReturnAsync(project).ConfigureAwait(false);
            throw;
        }
    }

    /// <param name="project">Whose the volume is to be, where that bounds it.</param>
    private void Make(string name, long? size, uint project, Action<SafeFileHandle, byte[]> fill)
    {
        MakeDirectory(_temporary.Descriptor, name, DataRoot.DirectoryMode);
        using var volume = DirectoryEntry.Open(_temporary.Descriptor, name, OpenFlags.Directory);
        if (project != ProjectQuota.NoProject)
        {
            ProjectQuota.Assign(volume, project);
        }

        MakeDirectory(volume, Data, DataMode);
        if (size is not { } bytes || project != ProjectQuota.NoProject)
        {
            fill(volume, Encoding.UTF8.GetBytes(Data));
            return;
        }

        VolumeImage.Create(volume, _temporary.Path / name, bytes);
        using var root = VolumeImage.OpenRoot(volume);
        fill(root, Encoding.UTF8.GetBytes(Data));

        // What fits only into the page cache does not fit: the file system says so here, and not when it is mounted again.
        using var data = DirectoryEntry.Open(root, Data, OpenFlags.Directory);
        Descriptors.SyncFileSystem(data);
    }

    /// <summary>After a kill in the middle of a rename: the directory follows its row.</summary>
    private async Task FinishRenamesAsync(CancellationToken cancellationToken)
    {
        foreach (var (name, newName) in await _table.PendingRenamesAsync(cancellationToken).ConfigureAwait(false))
        {
            if (FileStatus.TryOf(_volumes, name) is not null && FileStatus.TryOf(_volumes, newName) is null)
            {
                DirectoryEntry.Rename(_volumes, name, _volumes, newName, RenameFlags.NoReplace);
            }

            await _table.EndRenameAsync(newName, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Bytes that a volume holds at most, as its file or the quota of its project says.</summary>
    private long? SizeOf(string name)
    {
        using var volume = TryOpenVolume(name);
        return volume is not null && FileStatus.TryOf(volume, VolumeImage.FileName) is { IsRegularFile: true } image
            ? image.Size
            : _projects.LimitOf(ProjectQuotas.Read(_volumes, name));
    }

    private SafeFileHandle OpenVolume(string name) => DirectoryEntry.Open(_volumes, name, OpenFlags.Directory);

    private SafeFileHandle? TryOpenVolume(string name) =>
        DirectoryEntry.TryOpen(_volumes, name, OpenFlags.Path | OpenFlags.Directory, out var volume) == 0 ? volume : null;
}
