using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Threading;
using Slipway.Kernel.Users;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.Quotas;

namespace Slipway.Storage.Snapshots;

internal sealed partial class SnapshotStore : ISnapshotStore, IDisposable
{
    private const string Upper = "upper";
    private const string Work = "work";
    private const uint RootMode = 0x1ed; // 0755

    /// <summary>By this file programs know that they run in a container of Docker's kind.</summary>
    private const string ContainerMark = ".dockerenv";

    private readonly HostPath _path;
    private readonly SafeFileHandle _containers;
    private readonly HostPath _empty;
    private readonly HostPath _base;
    private readonly TemporaryDirectory _temporary;
    private readonly LayerStore _layers;
    private readonly UnpackLimits _limits;
    private readonly ProjectQuotas _projects;

    /// <summary>Directories of containers to come, by their names among what is temporary.</summary>
    private readonly SparePool<string> _spares;

    public SnapshotStore(HostPath root, TemporaryDirectory temporary, LayerStore layers, ProjectQuotas projects, UnpackLimits limits, TimeSpan spareRetention, TimeProvider time)
    {
        (_temporary, _layers, _projects, _limits) = (temporary, layers, projects, limits);
        _path = root / "containers";
        _path.CreateDirectories(DataRoot.DirectoryMode);
        _containers = _path.Open(OpenFlags.Directory);

        _empty = root / "empty";
        _empty.CreateDirectories(RootMode);

        // The lowest layer of every container and of no image: what is in it is neither the container's change nor its image's content.
        _base = root / "base";
        _base.CreateDirectories(RootMode);
        using var directory = _base.Open(OpenFlags.Directory);
        if (DirectoryEntry.TryOpen(directory, ContainerMark, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.NoFollow, out var mark, RootMode) is var errno and not 0)
        {
            throw new KernelException($"create {ContainerMark}", errno);
        }

        mark!.Dispose();
        _spares = new SparePool<string>(Make, Drop, spareRetention, time);
    }

    public SafeFileHandle MountRootfs(IReadOnlyList<Digest> chainIds, string containerId, bool readOnly, UserNamespace? users = null)
    {
        var lowers = new List<SafeFileHandle>(chainIds.Count + 1);
        try
        {
            OpenLayers(chainIds, $"of container {containerId}", lowers);
            lowers.Add(_base.Open(OpenFlags.Path | OpenFlags.Directory));
            using var directory = Open(containerId, lowers[0]);
            using var image = TryMountImage(directory);
            var stored = image ?? directory;
            using var mapped = users is null ? null : MappedLayers.Map(stored, users, isMount: image is not null);
            var container = mapped ?? stored;
            MappedLayers.MapAll(lowers, users);
            using var upper = DirectoryEntry.Open(container, Upper, OpenFlags.Path | OpenFlags.Directory);
            using var work = DirectoryEntry.Open(container, Work, OpenFlags.Path | OpenFlags.Directory);

            // What the overlay makes in its work directory belongs to whoever mounted it.
            using var maker = FileSystemIdentity.AssumeRootOf(users?.Maps);
            var mount = OverlayMount.Create(lowers, upper, work, OverlayOptions.Default);
            if (readOnly)
            {
                MountTree.Change(mount, MountAttributeChange.Of(MountAttributes.ReadOnly, MountAttributes.None), recursive: false);
            }

            return mount;
        }
        catch (KernelException error)
        {
            throw new StorageException(StorageErrorKind.System, $"root file system of container {containerId}: {error.Message}", error);
        }
        finally
        {
            lowers.ForEach(lower => lower.Dispose());
        }
    }

    public SafeFileHandle MountImage(IReadOnlyList<Digest> chainIds, UserNamespace? users = null)
    {
        var lowers = new List<SafeFileHandle>(chainIds.Count + 1);
        try
        {
            OpenLayers(chainIds, "of an image mount", lowers);

            // An overlay without an upper layer has at least two lower ones (overlayfs.rst, "Multiple lower layers").
            if (lowers.Count < 2)
            {
                lowers.Add(_empty.Open(OpenFlags.Path | OpenFlags.Directory));
            }

            MappedLayers.MapAll(lowers, users);
            var mount = lowers.Count > 1 ? OverlayMount.Create(lowers, upper: null, work: null, OverlayOptions.Default) : MountTree.Clone(lowers[0], recursive: false);
            MountTree.Change(mount, MountAttributeChange.Of(MountAttributes.ReadOnly, MountAttributes.None, MountPropagation.Private), recursive: false);
            return mount;
        }
        catch (KernelException error)
        {
            throw new StorageException(StorageErrorKind.System, $"mount of an image: {error.Message}", error);
        }
        finally
        {
            lowers.ForEach(lower => lower.Dispose());
        }
    }

    public long UpperSize(string containerId)
    {
        if (DirectoryEntry.TryOpen(_containers, Checked(containerId), OpenFlags.Path | OpenFlags.Directory, out var container) != 0)
        {
            return 0;
        }

        using (container)
        using (var image = TryMountImage(container!))
        {
            return TreeSize.Of(image ?? container!, Upper).Content;
        }
    }

    public async Task RemoveAsync(string containerId)
    {
        try
        {
            var project = ProjectOf(Checked(containerId));
            _temporary.Consume(_containers, containerId);
            await _projects.ReturnAsync(project).ConfigureAwait(false);
        }
        catch (KernelException error)
        {
            throw new StorageException(StorageErrorKind.System, $"remove the layer of container {containerId}: {error.Message}", error);
        }
    }

    /// <summary>Adds the directories of layers, highest first.</summary>
    private void OpenLayers(IReadOnlyList<Digest> chainIds, string purpose, List<SafeFileHandle> opened)
    {
        for (var i = chainIds.Count - 1; i >= 0; i--)
        {
            opened.Add(_layers.DiffPath(chainIds[i]).TryOpen(OpenFlags.Path | OpenFlags.Directory)
                ?? throw new StorageException(StorageErrorKind.NotFound, $"layer {chainIds[i]} {purpose} not found"));
        }
    }

    public IReadOnlyList<string> List() => [.. new DirectoryListing(_containers).Select(entry => Encoding.UTF8.GetString(entry.Name))];

    public void Dispose()
    {
        _spares.Dispose();
        _containers.Dispose();
    }

    /// <summary>The container's directory, made whole before it gets its name: upper looks like the root of the layer below it.</summary>
    private SafeFileHandle Open(string containerId, SafeFileHandle below)
    {
        if (DirectoryEntry.TryOpen(_containers, Checked(containerId), OpenFlags.Directory, out var container) == 0)
        {
            return container!;
        }

        Place(_spares.TryTake() ?? Make(), containerId, below);
        return DirectoryEntry.Open(_containers, containerId, OpenFlags.Directory);
    }

    /// <summary>Makes a directory among what is temporary the container's.</summary>
    private void Place(string name, string containerId, SafeFileHandle below)
    {
        using (var directory = DirectoryEntry.Open(_temporary.Descriptor, name, OpenFlags.Directory))
        using (var image = TryMountImage(directory))
        {
            var layer = image ?? directory;
            var status = FileStatus.Of(below);
            if (status.UserId != 0 || status.GroupId != 0)
            {
                DirectoryEntry.ChangeOwner(layer, Upper, status.UserId, status.GroupId);
            }

            if (status.Permissions != RootMode)
            {
                DirectoryEntry.ChangeMode(layer, Upper, status.Permissions);
            }
        }

        DirectoryEntry.Rename(_temporary.Descriptor, name, _containers, containerId, RenameFlags.NoReplace);
    }

    /// <summary>The layer that a container's own one lies on: its upper directory looks like that one's root.</summary>
    private SafeFileHandle Highest(IReadOnlyList<Digest> chainIds, string containerId)
    {
        var lowers = new List<SafeFileHandle>(1);
        OpenLayers([.. chainIds.TakeLast(1)], $"of container {containerId}", lowers);
        return lowers.Count > 0 ? lowers[0] : _base.Open(OpenFlags.Path | OpenFlags.Directory);
    }

    private string Make() => Make("spare", ProjectQuota.NoProject);

    /// <summary>A container's directory that is not yet one's: upper is root's.</summary>
    private string Make(string kind, uint project)
    {
        var name = _temporary.NewName(kind);
        DirectoryEntry.CreateDirectory(_temporary.Descriptor, name, DataRoot.DirectoryMode);
        try
        {
            using var directory = DirectoryEntry.Open(_temporary.Descriptor, name, OpenFlags.Directory);
            Fill(directory, project);
            return name;
        }
        catch (KernelException)
        {
            Drop(name);
            throw;
        }
    }

    private static void Fill(SafeFileHandle layer, uint project)
    {
        DirectoryEntry.CreateDirectory(layer, Work, 0x1c0);
        DirectoryEntry.CreateDirectory(layer, Upper, RootMode);
        DirectoryEntry.ChangeMode(layer, Upper, RootMode);
        if (project == ProjectQuota.NoProject)
        {
            return;
        }

        // Both: a file that is copied up begins its life in work, and none moves from one project to another.
        foreach (var name in (ReadOnlySpan<string>)[Upper, Work])
        {
            using var directory = DirectoryEntry.Open(layer, name, OpenFlags.Directory);
            ProjectQuota.Assign(directory, project);
        }
    }

    private void Drop(string name)
    {
        try
        {
            TreeRemoval.Remove(_temporary.Descriptor, name);
        }
        catch (KernelException)
        {
            // An empty directory, which the next start clears away with all that is temporary.
        }
    }

    /// <summary>An id is an id and no path (GHSA-4c29-8rgm-jvjj).</summary>
    private static string Checked(string containerId) => containerId.Length == 64 && Digest.IsLowerHex(containerId)
        ? containerId
        : throw new StorageException(StorageErrorKind.InvalidParameter, $"\"{containerId}\" is no container id");
}
