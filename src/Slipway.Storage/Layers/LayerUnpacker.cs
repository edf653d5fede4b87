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
internal sealed class LayerUnpacker(SafeFileHandle root, SafeFileHandle parentOfRoot, string rootName, LowerLayers lower, UnpackLimits limits, CancellationToken cancellationToken) : IDisposable
{
    private const uint PrivateMode = 0x180; // 0600
    private const uint RootMode = 0x1ed; // 0755

    private static ReadOnlySpan<byte> Opaque => "trusted.overlay.opaque"u8;

    private readonly LayerTree _tree = new(root, lower);
    private readonly byte[] _buffer = new byte[256 << 10];
    private int _entries;
    private long _claimed;
    private bool _hasRootEntry;

    /// <summary>Bytes of the regular files.</summary>
    public long Size { get; private set; }

    /// <summary>Unpacks to the end of the archive.</summary>
    /// <exception cref="StorageException">InvalidParameter: the archive is malformed, beyond a limit, or describes something that cannot be; System: the host failed.</exception>
    public void Unpack(Stream tar)
    {
        try
        {
            var reader = new TarReader(tar);
            while (reader.Next() is { } entry)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Count(entry);
                Apply(entry, reader);
            }

            if (!_hasRootEntry)
            {
                InheritRoot();
            }

            _tree.SetDirectoryTimes();
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

    public void Dispose() => _tree.Dispose();

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
        FileMetadata.Apply(entry, parentOfRoot, rootName.AsUtf8());
        _tree.SetTimeLater([], FileMetadata.TimeOf(entry));
    }

    /// <summary>A layer that does not describe the root leaves it as it is below.</summary>
    private void InheritRoot()
    {
        if (lower.Top() is { } below)
        {
            var status = FileStatus.Of(below);
            Descriptors.ChangeOwner(_tree.Root, status.UserId, status.GroupId);
            Descriptors.ChangeMode(_tree.Root, status.Permissions);
            _tree.SetTimeLater([], status.ModificationTime);
        }
        else
        {
            Descriptors.ChangeMode(_tree.Root, RootMode);
        }
    }

    private void ApplyWhiteout(TarEntry entry, ReadOnlySpan<byte> path)
    {
        var directory = _tree.OpenParent(path);
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
        if (existing is null || _tree.ForgetCopied(victim))
        {
            LayerTree.Replace(directory, name, byDirectory: false, out _);
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
            ExtendedAttributes.Set(parentOfRoot, rootName.AsUtf8(), Opaque, "y"u8);
            return;
        }

        var parent = _tree.OpenParent(path);
        ExtendedAttributes.Set(parent, EntryPath.Name(path), Opaque, "y"u8);
    }

    private void Make(TarEntry entry, ReadOnlySpan<byte> path, TarReader data)
    {
        var directory = _tree.OpenParent(path);
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

        if (LayerTree.Replace(directory, name, isDirectory, out var wasWhiteout))
        {
            FileMetadata.Apply(entry, directory, name);
            _tree.SetTimeLater(path, FileMetadata.TimeOf(entry));
            return;
        }

        switch (entry.Type)
        {
            case TarEntryType.Directory:
                DirectoryEntry.CreateDirectory(directory, name, PrivateMode);
                if (wasWhiteout)
                {
                    ExtendedAttributes.Set(directory, name, Opaque, "y"u8);
                }

                _tree.SetTimeLater(path, FileMetadata.TimeOf(entry));
                break;
            case TarEntryType.Regular:
                WriteFile(entry, directory, name, data);
                break;
            case TarEntryType.SymbolicLink:
                DirectoryEntry.CreateSymbolicLink(directory, name, entry.LinkName);
                break;
            case TarEntryType.HardLink:
                // The link shares the file's metadata: its own header says nothing new, and must not change another file's mode.
                _tree.HardLink(target, path);
                return;
            case TarEntryType.Fifo:
                DirectoryEntry.CreateNode(directory, name, FileType.Fifo, PrivateMode);
                break;
            case TarEntryType.CharacterDevice or TarEntryType.BlockDevice:
                DirectoryEntry.CreateNode(
                    directory, name, entry.Type == TarEntryType.BlockDevice ? FileType.BlockDevice : FileType.CharacterDevice, PrivateMode,
                    new DeviceNumber(entry.DeviceMajor, entry.DeviceMinor));
                break;
            default:
                throw EntryPath.Invalid(entry.Name, "unknown type");
        }

        FileMetadata.Apply(entry, directory, name);
    }

    private void WriteFile(TarEntry entry, SafeFileHandle directory, ReadOnlySpan<byte> name, TarReader data)
    {
        using var file = DirectoryEntry.CreateFile(directory, name, PrivateMode);
        if (entry.Sparse is null)
        {
            Copy(data, file, 0, entry.Size);
        }
        else
        {
            foreach (var segment in entry.Sparse)
            {
                Copy(data, file, segment.Offset, segment.Length);
            }

            RandomAccess.SetLength(file, entry.Size);
        }

        Size += entry.Size;
    }

    private void Copy(TarReader data, SafeFileHandle file, long offset, long length)
    {
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

            RandomAccess.Write(file, _buffer.AsSpan(0, filled), offset);
            offset += filled;
            length -= filled;
        }
    }
}
