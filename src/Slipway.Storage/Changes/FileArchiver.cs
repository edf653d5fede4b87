using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Streams;
using Slipway.Kernel.Users;
using Slipway.Oci.Tar;

namespace Slipway.Storage.Changes;

/// <summary>
/// Writes files of a tree into a tar: one entry a file, further names of the same file as hard links. The files belong to a
/// container that may run and may be hostile: each is looked at again once it is open, and no link, FIFO or device is ever opened.
/// </summary>
/// <param name="prefix">Comes before the path of each entry.</param>
/// <param name="maps">Of the user namespace that the files belong to: entries have the ids inside. Null: they are the same.</param>
internal sealed class FileArchiver(Stream output, byte[]? prefix = null, IdMaps? maps = null)
{
    private const int BufferSize = 128 << 10;

    // Who files belong to whose owner has no id inside, as the container sees it (/proc/sys/kernel/overflowuid).
    private const uint Nobody = 65534;

    /// <summary>Files of this size and more are not collected into larger pieces, where the output can take them as they are.</summary>
    private const int SentWhole = 64 << 10;

    private readonly TarWriter _tar = new(output);
    private readonly byte[] _prefix = prefix ?? [];
    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly Dictionary<(DeviceNumber, ulong), byte[]> _linked = [];
    private OpenFlags _reading = OpenFlags.ReadOnly | OpenFlags.NoAccessTime;

    /// <summary>The name of the only entry, where it is not the file's.</summary>
    public byte[]? Renamed { get; init; }

    /// <summary>No entry is newer: seconds since 1970.</summary>
    public long Newest { get; init; } = long.MaxValue;

    /// <summary>A directory; what is in it is the caller's matter.</summary>
    public void AddDirectory(SafeFileHandle parent, ReadOnlySpan<byte> path, in FileStatus status) =>
        _tar.WriteEntry(Entry(parent, path, status) with { Name = [.. _prefix, .. path, (byte)'/'], Type = TarEntryType.Directory });

    /// <summary>The directory that the archive is of.</summary>
    /// <param name="name">Ends in a slash.</param>
    public void AddRoot(byte[] name, SafeFileHandle directory) =>
        _tar.WriteEntry(Described(FileStatus.Of(directory), []) with { Name = name, Type = TarEntryType.Directory });

    /// <summary>Anything but a directory. Sockets are left out: they mean nothing without the process that listens.</summary>
    public void AddFile(in WalkedFile file, CancellationToken cancellationToken)
    {
        if (file.Status.IsRegularFile)
        {
            TryAddRegular(file.Directory, file.Path, cancellationToken);
            return;
        }

        if (TryAddLink(file.Path, file.Status))
        {
            return;
        }

        try
        {
            if (!TryAdd(file))
            {
                return;
            }
        }
        catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.ESTALE or Errno.EINVAL)
        {
            // Removed meanwhile, or no link any more, before anything of it was written.
            return;
        }

        Remember(file.Path, file.Status);
    }

    /// <summary>A file that is a regular one by what its directory lists, which saves looking at it once more than opening it safely takes.</summary>
    /// <returns>False where it is another kind of file; nothing is written then. One that is gone is passed over.</returns>
    public bool TryAddRegular(SafeFileHandle directory, ReadOnlySpan<byte> path, CancellationToken cancellationToken)
    {
        SafeFileHandle? data = null;
        try
        {
            // Named first, then looked at, then opened: whatever has the name by now, only a regular file is opened.
            using var named = DirectoryEntry.Open(directory, NameOf(path), OpenFlags.Path);
            var status = FileStatus.Of(named);
            if (!status.IsRegularFile)
            {
                return false;
            }

            if (TryAddLink(path, status))
            {
                return true;
            }

            data = Open(named);
            _tar.WriteEntry(Described(status, Xattrs(data)) with { Name = Written(path), Size = status.Size });
            Remember(path, status);
            WriteData(data, status.Size, cancellationToken);
            return true;
        }
        catch (KernelException error) when (data is null && error.Errno is Errno.ENOENT or Errno.ESTALE or Errno.EINVAL)
        {
            // Removed meanwhile, before anything of it was written: an entry is started when its file is open.
            return true;
        }
        finally
        {
            data?.Dispose();
        }
    }

    /// <summary>An empty file of root's, as whiteouts are.</summary>
    public void AddMarker(ReadOnlySpan<byte> path, in FileStatus status) =>
        _tar.WriteEntry(new TarEntry { Name = path.ToArray(), Type = TarEntryType.Regular, ModificationTime = Time(status) });

    public void Finish() => _tar.Finish();

    /// <summary>The end of the last entry of an archive that another writer goes on with.</summary>
    public void EndFile() => _tar.EndEntry();

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> path) => path[(path.LastIndexOf((byte)'/') + 1)..];

    private byte[] Written(ReadOnlySpan<byte> path) => Renamed ?? [.. _prefix, .. path];

    /// <summary>A further name of a file that is in the archive.</summary>
    private bool TryAddLink(ReadOnlySpan<byte> path, in FileStatus status)
    {
        if (status.LinkCount < 2 || !_linked.TryGetValue((status.Device, status.Inode), out var first))
        {
            return false;
        }

        _tar.WriteEntry(Described(status, []) with { Name = Written(path), Type = TarEntryType.HardLink, LinkName = first });
        return true;
    }

    private void Remember(ReadOnlySpan<byte> path, in FileStatus status)
    {
        if (status.LinkCount > 1)
        {
            _linked[(status.Device, status.Inode)] = Written(path);
        }
    }

    private bool TryAdd(in WalkedFile file)
    {
        switch (file.Status.Type)
        {
            case FileType.SymbolicLink:
                var target = DirectoryEntry.ReadLink(file.Directory, file.Name);
                _tar.WriteEntry(Entry(file.Directory, file.Path, file.Status) with { Type = TarEntryType.SymbolicLink, LinkName = target, Mode = 0x1ff });
                return true;
            case FileType.Fifo:
                _tar.WriteEntry(Entry(file.Directory, file.Path, file.Status) with { Type = TarEntryType.Fifo });
                return true;
            case FileType.CharacterDevice or FileType.BlockDevice:
                _tar.WriteEntry(Entry(file.Directory, file.Path, file.Status) with
                {
                    Type = file.Status.Type == FileType.BlockDevice ? TarEntryType.BlockDevice : TarEntryType.CharacterDevice,
                    DeviceMajor = file.Status.SpecialDevice.Major,
                    DeviceMinor = file.Status.SpecialDevice.Minor,
                });
                return true;
            default:
                return false;
        }
    }

    /// <summary>Copying a file is no use of it that its access time should tell, or be written to disk for.</summary>
    private SafeFileHandle Open(SafeFileHandle named)
    {
        try
        {
            return Descriptors.Reopen(named, _reading);
        }
        catch (KernelException error) when (error.Errno == Errno.EPERM && _reading.HasFlag(OpenFlags.NoAccessTime))
        {
            // A file system that judges by its own server who may ask for that.
            _reading = OpenFlags.ReadOnly;
            return Descriptors.Reopen(named, _reading);
        }
    }

    private void WriteData(SafeFileHandle data, long size, CancellationToken cancellationToken)
    {
        if (size >= SentWhole && output is IFileSink sink)
        {
            sink.WriteFile(data, size);
            _tar.DataWritten();
            return;
        }

        for (long offset = 0; offset < size;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var wanted = (int)Math.Min(_buffer.Length, size - offset);
            var count = Descriptors.ReadAt(data, _buffer.AsSpan(0, wanted), offset);
            if (count == 0)
            {
                // Cut while it was read; the header has promised its size.
                _buffer.AsSpan(0, wanted).Clear();
                count = wanted;
            }

            _tar.WriteData(_buffer.AsSpan(0, count));
            offset += count;
        }
    }

    private TarEntry Entry(SafeFileHandle directory, ReadOnlySpan<byte> path, in FileStatus status) =>
        Described(status, Xattrs(directory, NameOf(path))) with { Name = Written(path) };

    private TarEntry Described(in FileStatus status, IReadOnlyList<TarXattr> xattrs) => new()
    {
        Name = [],
        Mode = status.Permissions,
        Uid = maps is null ? status.UserId : maps.Users.Inside(status.UserId) ?? Nobody,
        Gid = maps is null ? status.GroupId : maps.Groups.Inside(status.GroupId) ?? Nobody,
        ModificationTime = Time(status),
        Xattrs = xattrs,
    };

    /// <summary>Whole seconds, as Docker's archives have.</summary>
    private TarTime Time(in FileStatus status) => new(Math.Min(status.ModificationTime.Seconds, Newest), 0);

    private static List<TarXattr> Xattrs(SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        var xattrs = new List<TarXattr>();
        try
        {
            foreach (var attribute in ExtendedAttributes.List(directory, name))
            {
                if (IsTaken(attribute) && ExtendedAttributes.Get(directory, name, attribute) is { } value)
                {
                    xattrs.Add(new TarXattr(attribute, value));
                }
            }
        }
        catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.ESTALE)
        {
            // Removed meanwhile.
        }

        return xattrs;
    }

    private static IReadOnlyList<TarXattr> Xattrs(SafeFileHandle file)
    {
        var attributes = ExtendedAttributes.List(file);
        return attributes.Count == 0 ? [] : [.. from attribute in attributes
                                                where IsTaken(attribute)
                                                let value = ExtendedAttributes.Get(file, attribute)
                                                where value is not null
                                                select new TarXattr(attribute, value)];
    }

    /// <summary>All but what means something on this host only: the overlay's own marks, and labels of its security module.</summary>
    private static bool IsTaken(ReadOnlySpan<byte> attribute) =>
        !attribute.StartsWith("trusted.overlay."u8) && !attribute.StartsWith("user.overlay."u8) && !attribute.SequenceEqual("security.selinux"u8);
}
