using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Kernel.Files;
using Slipway.Kernel.Users;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Copies;

/// <summary>
/// Unpacks a tar into a directory of a container, which may run and may be hostile, as may the tar. An entry replaces what has its name,
/// but for directories, which are merged. Symbolic links are written as they are: following one later leads nowhere but into the container.
/// </summary>
internal sealed class TarExtraction(CopyTarget target, CopyOptions options, int maxDepth, CancellationToken cancellationToken)
{
    private const int BufferSize = 256 << 10;

    private readonly FileMetadata _metadata = new();
    private readonly byte[] _buffer = new byte[BufferSize];

    /// <param name="archive">Plain, or compressed in a way that its first bytes tell. An empty one is an empty archive. Read to its end.</param>
    /// <exception cref="StorageException">InvalidParameter: malformed, or describes something that cannot be; ReadOnly; System.</exception>
    public void Run(Stream archive)
    {
        try
        {
            using var tar = Decompression.Open(archive, limits: null);
            var reader = new TarReader(tar);
            while (reader.Next() is { } entry)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Apply(Renamed(entry), reader);
            }

            // Writers pad the end to whole records; a client that is not listened to would take it for an error.
            while (tar.Read(_buffer) > 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }

            target.SetDirectoryTimes();
        }
        catch (Exception error) when (error is OciException or InvalidDataException)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, error.Message, error);
        }
        catch (IOException error) when (error is not SourceException)
        {
            throw HostErrors.Map(error);
        }
    }

    private void Apply(TarEntry entry, TarReader data)
    {
        var path = EntryPath.Clean(entry.Name, maxDepth);
        if (path.Length == 0)
        {
            // The directory that is unpacked into keeps its owner and mode.
            if (entry.Type != TarEntryType.Directory)
            {
                throw EntryPath.Invalid(entry.Name, "it is the directory that is unpacked into");
            }

            return;
        }

        try
        {
            Make(Outside(options.Owner is { } owner ? entry with { Uid = owner.UserId, Gid = owner.GroupId } : entry), path, data);
        }
        catch (KernelException error)
        {
            throw Failure(error, path);
        }
    }

    private TarEntry Renamed(TarEntry entry) => options.Renamed is not { } renamed ? entry
        : entry with { Name = renamed.Of(entry.Name), LinkName = entry.Type == TarEntryType.HardLink ? renamed.Of(entry.LinkName) : entry.LinkName };

    /// <summary>The entry with the owner that means its own in the tree.</summary>
    private TarEntry Outside(TarEntry entry)
    {
        return options.Maps is { } maps ? entry with { Uid = Id(maps.Users, entry.Uid, "user"), Gid = Id(maps.Groups, entry.Gid, "group") } : entry;

        long Id(IdMap map, long id, string kind) => (id is >= 0 and < uint.MaxValue ? map.Outside((uint)id) : null)
            ?? throw EntryPath.Invalid(entry.Name, $"its {kind} id {id} is not in the container's user namespace");
    }

    private void Make(TarEntry entry, byte[] path, TarReader data)
    {
        var directory = target.OpenParent(path);
        var name = EntryPath.Name(path).ToArray();
        byte[] linked = [];
        if (entry.Type == TarEntryType.HardLink)
        {
            linked = EntryPath.Clean(entry.LinkName, maxDepth);
            if (path.AsSpan().SequenceEqual(linked))
            {
                // Replacing the name would remove the very file.
                return;
            }
        }

        if (entry.Type == TarEntryType.Regular && TryWriteNewFile(entry, directory, name, data))
        {
            return;
        }

        switch (MakeRoom(entry, path, directory, name))
        {
            case Room.Directory:
                _metadata.ApplyToExisting(entry, directory.Descriptor, name);
                target.SetTimeLater(path, FileMetadata.TimeOf(entry));
                return;
            case Room.MountedFile:
                Overwrite(entry, directory, name, data);
                return;
        }

        switch (entry.Type)
        {
            case TarEntryType.Regular:
                if (!TryWriteNewFile(entry, directory, name, data))
                {
                    throw new KernelException("create", Errno.EEXIST);
                }

                return;
            case TarEntryType.HardLink:
                if (!target.TryLink(linked, path))
                {
                    throw EntryPath.Invalid(entry.Name, $"it is a hard link to \"{new PathName(linked).ToString()}\", which does not exist");
                }

                return;
            case TarEntryType.Directory:
                DirectoryEntry.CreateDirectory(directory.Descriptor, name, FileMetadata.CreationMode(entry));
                target.SetTimeLater(path, FileMetadata.TimeOf(entry));
                break;
            case TarEntryType.SymbolicLink:
                DirectoryEntry.CreateSymbolicLink(directory.Descriptor, name, entry.LinkName);
                break;
            default:
                DirectoryEntry.CreateNode(directory.Descriptor, name, TypeOf(entry.Type), FileMetadata.CreationMode(entry), new DeviceNumber(entry.DeviceMajor, entry.DeviceMinor));
                break;
        }

        _metadata.Apply(entry, directory, name);
    }

    /// <summary>Takes away what has the name, unless it is a directory and stays one, or a file that is mounted there and can only be written to.</summary>
    private Room MakeRoom(TarEntry entry, byte[] path, LayerDirectory directory, byte[] name)
    {
        if (FileStatus.TryOf(directory.Descriptor, name) is not { } status)
        {
            return Room.Free;
        }

        var isDirectory = entry.Type == TarEntryType.Directory;
        if (status.IsDirectory && isDirectory)
        {
            return Room.Directory;
        }

        if (options.KeepKinds && status.IsDirectory != isDirectory)
        {
            throw new StorageException(
                StorageErrorKind.InvalidParameter,
                isDirectory ? $"cannot overwrite non-directory \"{target.Display(path)}\" with directory" : $"cannot overwrite directory \"{target.Display(path)}\" with non-directory");
        }

        if (status is { IsMountRoot: true, IsRegularFile: true } && entry.Type == TarEntryType.Regular)
        {
            return Room.MountedFile;
        }

        TreeRemoval.Remove(directory.Descriptor, name, foreign: true);
        return Room.Free;
    }

    /// <summary>Nearly all names are new: creating with O_EXCL asks and makes in one call. False where the name is taken.</summary>
    private bool TryWriteNewFile(TarEntry entry, LayerDirectory directory, byte[] name, TarReader data)
    {
        var errno = DirectoryEntry.TryOpen(
            directory.Descriptor, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, out var file, FileMetadata.CreationMode(entry));
        if (errno == Errno.EEXIST)
        {
            return false;
        }

        using (file ?? throw new KernelException("create", errno))
        {
            Write(entry, file, data);
            _metadata.Apply(entry, file, directory, name);
            return true;
        }
    }

    /// <summary>Writes to a file that cannot be replaced, such as /etc/hosts. Named first, then looked at, then opened: never a device or FIFO.</summary>
    private void Overwrite(TarEntry entry, LayerDirectory directory, byte[] name, TarReader data)
    {
        using var named = DirectoryEntry.Open(directory.Descriptor, name, OpenFlags.Path);
        if (!FileStatus.Of(named).IsRegularFile || Descriptors.IsOnKernelFileSystem(named))
        {
            throw new KernelException("open", Errno.EBUSY);
        }

        using var file = Descriptors.Reopen(named, OpenFlags.WriteOnly | OpenFlags.Truncate);
        Write(entry, file, data);
        _metadata.Apply(entry, file, directory, name);
    }

    private void Write(TarEntry entry, SafeFileHandle file, TarReader data)
    {
        if (entry.Sparse is null)
        {
            Copy(data, file, 0, entry.Size);
            return;
        }

        foreach (var segment in entry.Sparse)
        {
            Copy(data, file, segment.Offset, segment.Length);
        }

        RandomAccess.SetLength(file, entry.Size);
    }

    private void Copy(TarReader data, SafeFileHandle file, long offset, long length)
    {
        while (length > 0)
        {
            // Whatever pieces the network gives, the file gets large ones.
            cancellationToken.ThrowIfCancellationRequested();
            var wanted = (int)Math.Min(_buffer.Length, length);
            for (var filled = 0; filled < wanted;)
            {
                var count = data.Read(_buffer.AsSpan(filled, wanted - filled));
                filled += count > 0 ? count : throw new OciException("unexpected EOF");
            }

            Descriptors.WriteAt(file, _buffer.AsSpan(0, wanted), offset);
            offset += wanted;
            length -= wanted;
        }
    }

    private static FileType TypeOf(TarEntryType type) => type switch
    {
        TarEntryType.Fifo => FileType.Fifo,
        TarEntryType.BlockDevice => FileType.BlockDevice,
        _ => FileType.CharacterDevice,
    };

    private StorageException Failure(KernelException error, byte[] path) => error.Errno switch
    {
        Errno.EROFS => new StorageException(StorageErrorKind.ReadOnly, $"\"{target.Display(path)}\" is on a read-only file system", error),
        Errno.EBUSY => new StorageException(StorageErrorKind.Conflict, $"\"{target.Display(path)}\": device or resource busy", error),
        _ => HostErrors.Map(error, $"\"{target.Display(path)}\""),
    };

    /// <summary>What there is at the name of an entry.</summary>
    private enum Room
    {
        Free,
        Directory,
        MountedFile,
    }
}
