using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Storage.Content;
using Slipway.Storage.Quotas;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Volumes;

internal sealed partial class VolumeStore : IVolumeStore, IDisposable
{
    private const string Data = "_data";
    private const uint DataMode = 0x1ed; // 0755

    private readonly HostPath _path;
    private readonly SafeFileHandle _volumes;
    private readonly TemporaryDirectory _temporary;
    private readonly ProjectQuotas _projects;
    private readonly VolumeTable _table;

    public VolumeStore(HostPath root, TemporaryDirectory temporary, ProjectQuotas projects, VolumeTable table)
    {
        (_temporary, _projects, _table) = (temporary, projects, table);
        _path = root / "volumes";
        _path.CreateDirectories(DataRoot.DirectoryMode);
        _volumes = _path.Open(OpenFlags.Directory);
    }

    public string DataPath(string name) => Path(name).Value;

    public async Task<IReadOnlyList<VolumeRow>> OpenAsync(Func<string, long?, byte[]> adopt, CancellationToken cancellationToken)
    {
        await FinishRenamesAsync(cancellationToken).ConfigureAwait(false);
        var rows = (await _table.AllAsync(cancellationToken).ConfigureAwait(false)).ToDictionary(row => row.Name, StringComparer.Ordinal);
        var directories = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in new DirectoryListing(_volumes))
        {
            var name = Encoding.UTF8.GetString(entry.Name);
            if (FileStatus.TryOf(_volumes, entry.Name) is not { IsDirectory: true } status)
            {
                continue;
            }

            directories.Add(name);
            if (rows.ContainsKey(name))
            {
                continue;
            }

            var size = SizeOf(name);
            if (size is null && IsEmpty(Path(name)))
            {
                _temporary.Consume(_volumes, name);
                continue;
            }

            var row = new VolumeRow(name, DateTimeOffset.FromUnixTimeSeconds(status.ModificationTime.Seconds), adopt(name, size));
            await _table.InsertAsync(row, cancellationToken).ConfigureAwait(false);
            rows.Add(name, row);
        }

        foreach (var name in rows.Keys.Where(name => !directories.Contains(name)).ToList())
        {
            await _table.DeleteAsync(name, cancellationToken).ConfigureAwait(false);
            rows.Remove(name);
        }

        return [.. rows.Values];
    }

    public Task CreateAsync(VolumeRow row, long? size, CancellationToken cancellationToken) =>
        GuardAsync("create", row.Name, () =>
        {
            if (size is { } bytes)
            {
                return PlaceAsync(row, bytes, (_, _) => { }, cancellationToken);
            }

            Ensure(row.Name);
            return _table.InsertAsync(row, cancellationToken);
        });

    public void Ensure(string name)
    {
        if (DirectoryEntry.TryOpen(_volumes, name, OpenFlags.Path | OpenFlags.Directory, out var volume) != 0)
        {
            MakeDirectory(_volumes, name, DataRoot.DirectoryMode);
            volume = DirectoryEntry.Open(_volumes, name, OpenFlags.Path | OpenFlags.Directory);
        }

        using (volume)
        {
            if (FileStatus.TryOf(volume!, Data) is null)
            {
                MakeDirectory(volume!, Data, DataMode);
            }
        }
    }

    public Task RemoveAsync(string name, CancellationToken cancellationToken) =>
        GuardAsync("remove", name, async () =>
        {
            // Gone with one rename; what a kill leaves of the removal then is in the temporary directory, or a row without a directory.
            await _projects.ReturnAsync(await WorkerThread.RunAsync("volume-removal", () =>
            {
                var project = _projects.Of(_volumes, name);
                _temporary.Consume(_volumes, name);
                return project;
            }).ConfigureAwait(false)).ConfigureAwait(false);
            await _table.DeleteAsync(name, cancellationToken).ConfigureAwait(false);
        });

    public Task UpdateAsync(string name, byte[] document, CancellationToken cancellationToken) => _table.UpdateAsync(name, document, cancellationToken);

    public Task MountAsync(string name, Func<SafeFileHandle> make, CancellationToken cancellationToken) =>
        WorkerThread.RunAsync("volume-mount", () =>
        {
            Ensure(name);
            if (!IsMounted(name))
            {
                using var mount = make();
                using var target = Path(name).Open(OpenFlags.Path | OpenFlags.Directory);
                MountTree.Attach(mount, target);
            }

            return true;
        }).WaitAsync(cancellationToken);

    public bool IsMounted(string name)
    {
        using var data = Path(name).TryOpen(OpenFlags.Path | OpenFlags.Directory);
        return data is not null && FileStatus.Of(data).IsMountRoot;
    }

    public Task UnmountAsync(string name) =>
        GuardAsync("unmount", name, () => WorkerThread.RunAsync("volume-unmount", () =>
        {
            if (IsMounted(name) && HasImage(name))
            {
                using var data = Path(name).Open(OpenFlags.Directory);
                VolumeImage.GiveBack(data);
            }

            while (IsMounted(name))
            {
                MountTree.Unmount(Path(name), detach: true);
            }

            return true;
        }));

    public bool IsEmpty(HostPath data)
    {
        using var directory = data.TryOpen(OpenFlags.Directory);
        return directory is null || !new DirectoryListing(directory).Any();
    }

    public Task PopulateAsync(HostPath data, RootDirectory tree, string path, bool inUse, CancellationToken cancellationToken) =>
        GuardAsync("populate", data.Value, () => WorkerThread.RunAsync("volume-copy", () =>
        {
            if (TryResolve(tree, path) is { } canonical)
            {
                using var sourceParent = tree.OpenParent(canonical, out var source);
                using var root = new HostPath("/").OpenRoot();
                using var parent = root.OpenParent(data.Value, out var name);
                if (inUse)
                {
                    TreeCopy.Run(sourceParent, source, parent, name, cancellationToken);
                }
                else
                {
                    Replace(parent, name, _temporary.Descriptor, sourceParent, source, cancellationToken);
                }
            }

            return true;
        }));

    public void Dispose() => _volumes.Dispose();

    /// <summary>The canonical path of a directory in the tree; null where there is nothing.</summary>
    private static byte[]? TryResolve(RootDirectory tree, string path)
    {
        try
        {
            var resolved = tree.Resolve(path);
            using (resolved.Descriptor)
            {
                return FileStatus.Of(resolved.Descriptor!).IsDirectory
                    ? resolved.Path
                    : throw new StorageException(StorageErrorKind.InvalidParameter, $"source {path} of the image is not directory");
            }
        }
        catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return null;
        }
    }

    /// <param name="staging">On the same file system: here the copy is made.</param>
    private void Replace(
        SafeFileHandle parent, ReadOnlySpan<byte> name, SafeFileHandle staging, SafeFileHandle sourceParent, ReadOnlySpan<byte> source, CancellationToken cancellationToken)
    {
        var copy = _temporary.NewName("volume");
        MakeDirectory(staging, copy, DataMode);
        try
        {
            Inherit(parent, staging, copy);
            TreeCopy.Run(sourceParent, source, staging, Encoding.UTF8.GetBytes(copy), cancellationToken);
            DirectoryEntry.Rename(staging, copy, parent, name, RenameFlags.Exchange);
        }
        finally
        {
            TreeRemoval.Remove(staging, copy);
        }
    }

    /// <summary>What takes its place in a directory of a project must be of the project from the beginning: nothing moves from one to another.</summary>
    private static void Inherit(SafeFileHandle parent, SafeFileHandle staging, string name)
    {
        using var target = Descriptors.Reopen(parent, OpenFlags.Directory);
        if (ProjectQuota.Of(target) is var project and not ProjectQuota.NoProject)
        {
            using var directory = DirectoryEntry.Open(staging, name, OpenFlags.Directory);
            ProjectQuota.Assign(directory, project);
        }
    }

    private HostPath Path(string name) => _path / name / Data;

    /// <summary>With exactly this mode, whatever the umask.</summary>
    private static void MakeDirectory(SafeFileHandle parent, string name, uint mode)
    {
        DirectoryEntry.CreateDirectory(parent, name, mode);
        DirectoryEntry.ChangeMode(parent, name, mode);
    }

    private static async Task GuardAsync(string verb, string name, Func<Task> work)
    {
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (IOException error)
        {
            var reason = error is KernelException { Errno: Errno.ENOSPC or Errno.EDQUOT } or { HResult: Errno.ENOSPC or Errno.EDQUOT } ? HostErrors.NoSpace : error.Message;
            throw new StorageException(StorageErrorKind.System, $"{verb} volume {name}: {reason}", error);
        }
    }
}
