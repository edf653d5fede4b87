using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>
/// The directory a layer is unpacked into, and how files get there. Every operation is on one name in an open directory, or
/// resolved by openat2 with the layer as root: whatever links an image brings, nothing outside is touched (CVE-2025-47290).
/// </summary>
/// <param name="lower">The layers below; null where they are not known yet.</param>
internal sealed class LayerTree(SafeFileHandle root, LowerLayers? lower, RecipeWriter recipe) : IDisposable
{
    private const uint ImpliedDirectoryMode = 0x1ed; // 0755
    private const uint PrivateMode = 0x180; // 0600

    private readonly RootDirectory _root = new(Descriptors.Duplicate(root));
    private readonly DirectoryTimes _times = new();
    private byte[]? _parentPath;
    private LayerDirectory? _parent;

    /// <summary>Paths that were copied from a lower layer for the sake of a hard link.</summary>
    private readonly HashSet<string> _copied = new(StringComparer.Ordinal);

    /// <summary>Canonical paths of directories that the archive has not described.</summary>
    private readonly HashSet<string> _implied = new(StringComparer.Ordinal);

    public SafeFileHandle Root => _root.Descriptor;

    /// <summary>An entry could not be made without the layers below, which were not known.</summary>
    public bool LacksLower { get; private set; }

    /// <summary>The directory that holds <paramref name="path"/>, made where it is missing. Valid until the next call.</summary>
    public LayerDirectory OpenParent(ReadOnlySpan<byte> path)
    {
        var parent = EntryPath.Parent(path);
        if (_parent is null || !parent.SequenceEqual(_parentPath))
        {
            var opened = OpenDirectory(parent);
            ForgetParent();
            (_parent, _parentPath) = (opened, parent.ToArray());
        }

        return _parent;
    }

    /// <summary>Makes room for an entry: whatever has the name goes, except a directory that stays one. True where such a directory stays.</summary>
    public bool Replace(LayerDirectory directory, ReadOnlySpan<byte> name, bool byDirectory, out bool wasWhiteout)
    {
        wasWhiteout = false;
        if (FileStatus.TryOf(directory.Descriptor, name) is not { } status)
        {
            return false;
        }

        if (status.IsDirectory && byDirectory)
        {
            return true;
        }

        wasWhiteout = status.Type == FileType.CharacterDevice && status.SpecialDevice == default;
        recipe.Replace(directory.Descriptor, name, directory.PathOf(name), status);
        return false;
    }

    /// <summary>The archive describes a directory.</summary>
    public void Describe(LayerDirectory directory, ReadOnlySpan<byte> name)
    {
        if (_implied.Count > 0)
        {
            _implied.Remove(Key(directory.PathOf(name)));
        }
    }

    /// <summary>Forgets the directory opened last, because entries on the way to it may have been replaced.</summary>
    public void ForgetParent()
    {
        _parent?.Dispose();
        (_parent, _parentPath) = (null, null);
    }

    /// <summary>Remembers a directory's time: it is set last, because what is made inside changes it.</summary>
    public void SetTimeLater(ReadOnlySpan<byte> path, FileTime time) => _times.Add(path, time);

    /// <summary>Sets all times that were remembered.</summary>
    public void SetDirectoryTimes()
    {
        ForgetParent();
        foreach (var (path, time) in _times)
        {
            // Replaced meanwhile by something else, or removed: there is nothing to set.
            if (_root.TryOpen(path, OpenFlags.Path | OpenFlags.Directory | OpenFlags.NoFollow, out var directory, resolution: Resolution.Canonical) == 0)
            {
                using (directory)
                {
                    Descriptors.SetTimes(directory!, time, time);
                }
            }
        }
    }

    /// <summary>Gives directories that the archive did not describe what the layers below say about them; comes last.</summary>
    public void InheritImplied(LowerLayers layers)
    {
        foreach (var key in _implied)
        {
            var path = Encoding.Latin1.GetBytes(key);
            using var below = layers.Find(path);
            if (below is { Status.IsDirectory: true }
                && _root.TryOpen(EntryPath.Parent(path), OpenFlags.Path | OpenFlags.Directory, out var parent, resolution: Resolution.Canonical) == 0)
            {
                using (parent)
                {
                    if (FileStatus.TryOf(parent!, EntryPath.Name(path)) is { IsDirectory: true })
                    {
                        FileMetadata.Copy(below, parent!, EntryPath.Name(path));
                    }
                }
            }
        }
    }

    /// <summary>Links <paramref name="target"/> (cleaned) under a new name.</summary>
    /// <exception cref="StorageException">InvalidParameter: there is no such file.</exception>
    public void HardLink(ReadOnlySpan<byte> target, ReadOnlySpan<byte> path)
    {
        if (!TryLink(target, path))
        {
            if (lower is null)
            {
                LacksLower = true;
                return;
            }

            CopyUp(target);
            if (!TryLink(target, path))
            {
                throw NoTarget(target, path);
            }
        }
    }

    /// <summary>Whether a file came from a lower layer for a hard link; it is forgotten.</summary>
    public bool ForgetCopied(ReadOnlySpan<byte> path) => _copied.Count > 0 && _copied.Remove(Key(path));

    public void Dispose()
    {
        ForgetParent();
        _root.Dispose();
    }

    private LayerDirectory OpenDirectory(ReadOnlySpan<byte> path)
    {
        if (_root.TryOpen(path, OpenFlags.Path | OpenFlags.Directory, out var directory, resolution: Resolution.Canonical) == 0)
        {
            return LayerDirectory.Of(directory!, path.ToArray());
        }

        var errno = _root.TryOpen(path, OpenFlags.Path | OpenFlags.Directory, out directory);
        if (errno == 0)
        {
            // Through a link: the recipe names files by where they are.
            directory!.Dispose();
            var resolved = _root.Resolve(path);
            return LayerDirectory.Of(resolved.Descriptor!, resolved.Path.AsSpan().Trim((byte)'/').ToArray());
        }

        if (errno != Errno.ENOENT)
        {
            throw new KernelException($"open \"{new PathName(path).ToString()}\"", errno);
        }

        // The archive does not describe the directory, or not yet.
        var parentPath = EntryPath.Parent(path);
        using var parent = path.IsEmpty ? throw new KernelException("open the layer", errno) : OpenDirectory(parentPath);
        var name = EntryPath.Name(path);
        errno = DirectoryEntry.TryCreateDirectory(parent.Descriptor, name, ImpliedDirectoryMode);
        if (errno is not 0)
        {
            // EEXIST: a link that dangles.
            throw new KernelException($"mkdir \"{new PathName(path).ToString()}\"", errno == Errno.EEXIST ? Errno.ENOENT : errno);
        }

        DirectoryEntry.ChangeOwner(parent.Descriptor, name, 0, 0);
        DirectoryEntry.ChangeMode(parent.Descriptor, name, ImpliedDirectoryMode);
        var canonical = parent.PathOf(name);
        _implied.Add(Key(canonical));
        return LayerDirectory.Of(DirectoryEntry.Open(parent.Descriptor, name, OpenFlags.Path | OpenFlags.Directory), canonical);
    }

    private bool TryLink(ReadOnlySpan<byte> target, ReadOnlySpan<byte> path)
    {
        if (_root.TryOpen(EntryPath.Parent(target), OpenFlags.Path | OpenFlags.Directory, out var directory) != 0)
        {
            return false;
        }

        using (directory)
        {
            var name = EntryPath.Name(target);
            if (FileStatus.TryOf(directory!, name) is not { } status || (status.Type == FileType.CharacterDevice && status.SpecialDevice == default))
            {
                return false;
            }

            if (status.IsDirectory)
            {
                throw EntryPath.Invalid(path, "it is a hard link to a directory");
            }

            DirectoryEntry.CreateHardLink(directory!, name, OpenParent(path).Descriptor, EntryPath.Name(path));
            return true;
        }
    }

    /// <summary>Brings a lower layer's file into this one, as overlayfs does when a file is written.</summary>
    private void CopyUp(ReadOnlySpan<byte> path)
    {
        using var below = lower!.Find(path);
        if (below is null || below.Status.IsDirectory)
        {
            return;
        }

        var directory = OpenParent(path).Descriptor;
        var name = EntryPath.Name(path);
        TreeRemoval.Remove(directory, name);
        switch (below.Status.Type)
        {
            case FileType.RegularFile:
                using (var source = new FileStream(DirectoryEntry.Open(below.Directory, below.Name, OpenFlags.ReadOnly), FileAccess.Read, bufferSize: 0))
                using (var copy = new FileStream(DirectoryEntry.CreateFile(directory, name, PrivateMode), FileAccess.Write, bufferSize: 0))
                {
                    source.CopyTo(copy, 1 << 20);
                }

                break;
            case FileType.SymbolicLink:
                DirectoryEntry.CreateSymbolicLink(directory, name, DirectoryEntry.ReadLink(below.Directory, below.Name));
                break;
            default:
                DirectoryEntry.CreateNode(directory, name, below.Status.Type, PrivateMode, below.Status.SpecialDevice);
                break;
        }

        FileMetadata.Copy(below, directory, name);
        _copied.Add(Key(path));
    }

    private static StorageException NoTarget(ReadOnlySpan<byte> target, ReadOnlySpan<byte> path) =>
        EntryPath.Invalid(path, $"it is a hard link to \"{new PathName(target).ToString()}\", which does not exist");

    private static string Key(ReadOnlySpan<byte> path) => Encoding.Latin1.GetString(path);
}
