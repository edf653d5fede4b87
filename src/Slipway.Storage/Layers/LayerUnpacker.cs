using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Oci.Tar;

namespace Slipway.Storage.Layers;

/// <summary>
/// Unpacks a layer's tar into a directory that overlayfs can stack (image-spec, layer.md): whiteouts become overlay whiteouts
/// (character device 0:0), opaque markers the xattr trusted.overlay.opaque. Entries apply in order, a later one replaces an
/// earlier one of the same name.
/// </summary>
/// <param name="layer">The layer's directory, which holds <c>diff</c>.</param>
/// <param name="lower">The layers below; null where they are not known yet.</param>
internal sealed class LayerUnpacker(SafeFileHandle layer, SafeFileHandle diff, LowerLayers? lower, UnpackLimits limits, CancellationToken cancellationToken) : IDisposable
{
    private const uint RootMode = 0x1ed; // 0755

    private readonly RecipeWriter _recipe = new(layer);
    private readonly FileMetadata _metadata = new();
    private readonly byte[] _buffer = new byte[256 << 10];
    private LayerTree? _tree;
    private TarTap? _tar;
    private int _entries;
    private long _claimed;
    private bool _hasRootEntry;

    private static ReadOnlySpan<byte> Opaque => "trusted.overlay.opaque"u8;

    private static ReadOnlySpan<byte> RootName => LayerStore.DiffName;

    /// <summary>Bytes of the regular files.</summary>
    public long Size { get; private set; }

    /// <summary>Bytes of the tar.</summary>
    public long TarLength => _tar?.Count ?? 0;

    /// <summary>The archive links to files of lower layers, which were not known: the layer has to be unpacked again.</summary>
    public bool LacksLower => Tree.LacksLower;

    private LayerTree Tree => _tree ??= new LayerTree(diff, lower, _recipe);

    /// <summary>Unpacks to the end of the archive, and reads to the end of the stream.</summary>
    /// <exception cref="StorageException">InvalidParameter: the archive is malformed, beyond a limit, or describes something that cannot be; System: the host failed.</exception>
    public void Unpack(Stream tar) => MapErrors(() =>
    {
        _tar = new TarTap(tar, _recipe);
        var reader = new TarReader(_tar);
        while (reader.Next() is { } entry)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Count(entry);
            Apply(entry, reader);
        }

        _tar.Drain(cancellationToken);
        _recipe.Finish();
        Tree.SetDirectoryTimes();
    });

    /// <summary>Gives the root and the directories that the archive does not describe what the layers below say; comes last.</summary>
    public void Inherit(LowerLayers layers) => MapErrors(() =>
    {
        Tree.InheritImplied(layers);
        if (!_hasRootEntry)
        {
            InheritRoot(layers);
        }
    });

    public void Dispose()
    {
        _tree?.Dispose();
        _tar?.Dispose();
        _recipe.Dispose();
    }

    private static void MapErrors(Action work)
    {
        try
        {
            work();
        }
        catch (OciException error)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, error.Message, error);
        }
        catch (InvalidDataException error)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid layer: {error.Message}", error);
        }
        catch (KernelException error)
        {
            throw HostErrors.Map(error, "invalid layer");
        }
    }

    private void Count(TarEntry entry)
    {
        if (++_entries > limits.MaxEntries)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid layer: it has more than {limits.MaxEntries} entries");
        }

        if (entry.Size > limits.MaxBytes - _claimed)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid layer: its files have more than {limits.MaxBytes} bytes");
        }

        _claimed += entry.Size;
    }

    private void Apply(TarEntry entry, TarReader data)
    {
        var path = EntryPath.Clean(entry.Name, limits.MaxDepth);
        if (path.Length == 0)
        {
            ApplyRoot(entry);
            return;
        }

        if (Whiteout.IsMetadata(path))
        {
            return;
        }

        if (EntryPath.Name(path).StartsWith(Whiteout.Prefix))
        {
            ApplyWhiteout(entry, path);
            return;
        }

        Make(entry, path, data);
    }

    private void ApplyRoot(TarEntry entry)
    {
        if (entry.Type != TarEntryType.Directory)
        {
            throw EntryPath.Invalid(entry.Name, "the root is a directory");
        }

        _hasRootEntry = true;
        _metadata.ApplyToExisting(entry, layer, RootName);
        Tree.SetTimeLater([], FileMetadata.TimeOf(entry));
    }

    /// <summary>A layer that does not describe the root leaves it as it is below.</summary>
    private void InheritRoot(LowerLayers layers)
    {
        if (layers.Top() is { } below)
        {
            var status = FileStatus.Of(below);
            Descriptors.ChangeOwner(Tree.Root, status.UserId, status.GroupId);
            Descriptors.ChangeMode(Tree.Root, status.Permissions);
            Descriptors.SetTimes(Tree.Root, status.ModificationTime, status.ModificationTime);
        }
        else
        {
            Descriptors.ChangeMode(Tree.Root, RootMode);
        }
    }

    private void ApplyWhiteout(TarEntry entry, ReadOnlySpan<byte> path)
    {
        var directory = Tree.OpenParent(path).Descriptor;
        var marker = EntryPath.Name(path);
        if (marker.SequenceEqual(Whiteout.OpaqueMarker))
        {
            MarkOpaque(EntryPath.Parent(path));
            return;
        }

        var name = marker[Whiteout.Prefix.Length..];
        if (!new PathName(name).IsEntryName)
        {
            throw EntryPath.Invalid(entry.Name, "it is a whiteout of nothing");
        }

        var hidden = path[..^marker.Length];
        byte[] victim = [.. hidden, .. name];
        var existing = FileStatus.TryOf(directory, name);
        if (existing is null || Tree.ForgetCopied(victim))
        {
            TreeRemoval.Remove(directory, name);
            DirectoryEntry.CreateNode(directory, name, FileType.CharacterDevice, 0);
        }
        else if (existing is { IsDirectory: true })
        {
            // Whiteouts are about lower layers only: what this layer itself puts there stays.
            ExtendedAttributes.Set(directory, name, Opaque, "y"u8);
        }
    }

    private void MarkOpaque(ReadOnlySpan<byte> path)
    {
        if (path.IsEmpty)
        {
            ExtendedAttributes.Set(layer, RootName, Opaque, "y"u8);
            return;
        }

        var parent = Tree.OpenParent(path).Descriptor;
        ExtendedAttributes.Set(parent, EntryPath.Name(path), Opaque, "y"u8);
    }

    private void Make(TarEntry entry, ReadOnlySpan<byte> path, TarReader data)
    {
        var directory = Tree.OpenParent(path);
        var name = EntryPath.Name(path);
        var isDirectory = entry.Type == TarEntryType.Directory;
        byte[] target = [];
        if (entry.Type == TarEntryType.HardLink)
        {
            target = EntryPath.Clean(entry.LinkName, limits.MaxDepth);
            if (target.Length == 0)
            {
                throw EntryPath.Invalid(entry.Name, "it is a hard link to a directory");
            }

            // Replacing the name first would remove the very file.
            if (path.SequenceEqual(target))
            {
                return;
            }
        }

        if (entry.Type == TarEntryType.Regular && TryWriteNewFile(entry, directory, name, data))
        {
            return;
        }

        if (isDirectory)
        {
            Tree.Describe(directory, name);
        }

        if (Tree.Replace(directory, name, isDirectory, out var wasWhiteout))
        {
            _metadata.ApplyToExisting(entry, directory.Descriptor, name);
            Tree.SetTimeLater(path, FileMetadata.TimeOf(entry));
            return;
        }

        switch (entry.Type)
        {
            case TarEntryType.Directory:
                DirectoryEntry.CreateDirectory(directory.Descriptor, name, FileMetadata.CreationMode(entry));
                if (wasWhiteout)
                {
                    ExtendedAttributes.Set(directory.Descriptor, name, Opaque, "y"u8);
                }

                Tree.SetTimeLater(path, FileMetadata.TimeOf(entry));
                break;
            case TarEntryType.Regular:
                if (!TryWriteNewFile(entry, directory, name, data))
                {
                    throw new KernelException($"create \"{new PathName(name).ToString()}\"", Errno.EEXIST);
                }

                return;
            case TarEntryType.SymbolicLink:
                DirectoryEntry.CreateSymbolicLink(directory.Descriptor, name, entry.LinkName);
                break;
            case TarEntryType.HardLink:
                // The link shares the file's metadata: its own header says nothing new, and must not change another file's mode.
                Tree.HardLink(target, path);
                return;
            case TarEntryType.Fifo:
                DirectoryEntry.CreateNode(directory.Descriptor, name, FileType.Fifo, FileMetadata.CreationMode(entry));
                break;
            case TarEntryType.CharacterDevice or TarEntryType.BlockDevice:
                DirectoryEntry.CreateNode(
                    directory.Descriptor, name, entry.Type == TarEntryType.BlockDevice ? FileType.BlockDevice : FileType.CharacterDevice,
                    FileMetadata.CreationMode(entry), new DeviceNumber(entry.DeviceMajor, entry.DeviceMinor));
                break;
            default:
                throw EntryPath.Invalid(entry.Name, "unknown type");
        }

        _metadata.Apply(entry, directory, name);
    }

    /// <summary>Nearly all names are new: creating with O_EXCL asks and makes in one call. False where the name is taken.</summary>
    private bool TryWriteNewFile(TarEntry entry, LayerDirectory directory, ReadOnlySpan<byte> name, TarReader data)
    {
        var errno = DirectoryEntry.TryOpen(
            directory.Descriptor, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, out var file, FileMetadata.CreationMode(entry));
        if (errno == Errno.EEXIST)
        {
            return false;
        }

        using (file ?? throw new KernelException($"create \"{new PathName(name).ToString()}\"", errno))
        {
            Write(entry, file, entry.Size == 0 ? [] : directory.PathOf(name), data);
            _metadata.Apply(entry, file, directory, name);
            return true;
        }
    }

    private void Write(TarEntry entry, SafeFileHandle file, byte[] path, TarReader data)
    {
        if (entry.Sparse is null)
        {
            Copy(data, file, path, 0, entry.Size);
        }
        else
        {
            foreach (var segment in entry.Sparse)
            {
                Copy(data, file, path, segment.Offset, segment.Length);
            }

            RandomAccess.SetLength(file, entry.Size);
        }

        Size += entry.Size;
    }

    private void Copy(TarReader data, SafeFileHandle file, byte[] path, long offset, long length)
    {
        _tar!.BeginContent(path, offset, length);
        while (length > 0)
        {
            // Decompressors give small pieces; the file gets large ones.
            var wanted = (int)Math.Min(_buffer.Length, length);
            var filled = 0;
            while (filled < wanted)
            {
                var count = data.Read(_buffer.AsSpan(filled, wanted - filled));
                filled += count > 0 ? count : throw new OciException("unexpected EOF");
            }

            Descriptors.WriteAt(file, _buffer.AsSpan(0, filled), offset);
            offset += filled;
            length -= filled;
        }
    }
}
