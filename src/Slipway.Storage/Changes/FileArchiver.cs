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
        if (file.Status.LinkCount > 1 && _linked.TryGetValue((file.Status.Device, file.Status.Inode), out var first))
        {
            _tar.WriteEntry(Entry(file.Directory, file.Path, file.Status) with { Type = TarEntryType.HardLink, LinkName = first, Xattrs = [] });
            return;
        }

        try
        {
            if (!TryAdd(file, cancellationToken))
            {
                return;
            }
        }
        catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.ESTALE or Errno.EINVAL)
        {
            // Removed meanwhile, or no link any more, before anything of it was written: an entry is started when its file is open.
            return;
        }

        if (file.Status.LinkCount > 1)
        {
            _linked[(file.Status.Device, file.Status.Inode)] = [.. _prefix, .. file.Path];
        }
    }

    /// <summary>An empty file of root's, as whiteouts are.</summary>
    public void AddMarker(ReadOnlySpan<byte> path, in FileStatus status) =>
        _tar.WriteEntry(new TarEntry { Name = path.ToArray(), Type = TarEntryType.Regular, ModificationTime = Time(status) });

    public void Finish() => _tar.Finish();

    private bool TryAdd(in WalkedFile file, CancellationToken cancellationToken)
    {
        switch (file.Status.Type)
        {
            case FileType.RegularFile:
                return TryAddRegular(file, cancellationToken);
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

    private bool TryAddRegular(in WalkedFile file, CancellationToken cancellationToken)
    {
        // Named first, then looked at, then opened: whatever has the name by now, only a regular file is opened.
        using var named = DirectoryEntry.Open(file.Directory, file.Name, OpenFlags.Path);
        var status = FileStatus.Of(named);
        if (!status.IsRegularFile)
        {
            return false;
        }

        using var data = Descriptors.Reopen(named, OpenFlags.ReadOnly);
        _tar.WriteEntry(Entry(file.Directory, file.Path, status) with { Size = status.Size });
        if (status.Size >= SentWhole && output is IFileSink sink)
        {
            sink.WriteFile(data, status.Size);
            _tar.DataWritten();
            return true;
        }

        for (long offset = 0; offset < status.Size;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var wanted = (int)Math.Min(_buffer.Length, status.Size - offset);
            var count = RandomAccess.Read(data, _buffer.AsSpan(0, wanted), offset);
            if (count == 0)
            {
                // Cut while it was read; the header has promised its size.
                _buffer.AsSpan(0, wanted).Clear();
                count = wanted;
            }

            _tar.WriteData(_buffer.AsSpan(0, count));
            offset += count;
        }

        return true;
    }

    private TarEntry Entry(SafeFileHandle directory, ReadOnlySpan<byte> path, in FileStatus status) =>
        Described(status, Xattrs(directory, path[(path.LastIndexOf((byte)'/') + 1)..])) with { Name = [.. _prefix, .. path] };

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
    private static TarTime Time(in FileStatus status) => new(status.ModificationTime.Seconds, 0);

    /// <summary>All but what means something on this host only: the overlay's own marks, and labels of its security module.</summary>
    private static List<TarXattr> Xattrs(SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        var xattrs = new List<TarXattr>();
        try
        {
            foreach (var attribute in ExtendedAttributes.List(directory, name))
            {
                if (!attribute.AsSpan().StartsWith("trusted.overlay."u8) && !attribute.AsSpan().StartsWith("user.overlay."u8) && !attribute.AsSpan().SequenceEqual("security.selinux"u8)
                    && ExtendedAttributes.Get(directory, name, attribute) is { } value)
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
}
