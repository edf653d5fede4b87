using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Copies;

/// <summary>
/// The directory of a container that an archive is unpacked into. Names are resolved below it, and links on the way below the container's
/// root, as a process in the container would; each by openat2 or one name in an open directory, so that a container that changes
/// its tree meanwhile keeps what is written inside (CVE-2018-15664).
/// </summary>
internal sealed class CopyTarget : IDisposable
{
    private const uint ImpliedDirectoryMode = 0x1ed; // 0755

    private readonly RootDirectory _root;
    private readonly RootDirectory _target;
    private readonly CopyPath _path;
    private readonly byte[] _canonical;
    private readonly CopyOwner _impliedOwner;
    private readonly DirectoryTimes _times = new();
    private byte[]? _parentPath;
    private LayerDirectory? _parent;

    private CopyTarget(RootDirectory root, CopyPath path, ResolvedPath resolved, CopyOwner? owner)
    {
        (_root, _path, _canonical) = (root, path, resolved.Path);
        _target = new RootDirectory(resolved.Descriptor!);
        _impliedOwner = owner ?? new CopyOwner(0, 0);
    }

    /// <exception cref="StorageException">NotFound; InvalidParameter: it is no directory; ReadOnly.</exception>
    public static CopyTarget Open(RootDirectory root, string path, CopyOwner? owner)
    {
        var parsed = CopyPath.Parse(path);
        ResolvedPath resolved;
        try
        {
            // A file with a slash behind it is refused by the kernel in other words than one without.
            using (root.Open(parsed.Bytes, OpenFlags.Path))
            {
                resolved = root.Resolve(parsed.Bytes);
            }
        }
        catch (KernelException error)
        {
            throw CopyErrors.Of(error, parsed);
        }

        var target = new CopyTarget(root, parsed, resolved, owner);
        try
        {
            target.Require(resolved.Descriptor!);
            return target;
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }

    /// <summary>A path in the container, for messages.</summary>
    public string Display(ReadOnlySpan<byte> path) => $"{new PathName(_canonical.AsSpan().TrimEnd((byte)'/')).ToString()}/{new PathName(path).ToString()}";

    /// <summary>The directory that holds <paramref name="path"/>, made where it is missing. Valid until the next call.</summary>
    public LayerDirectory OpenParent(ReadOnlySpan<byte> path)
    {
        var parent = EntryPath.Parent(path);
        if (_parent is null || !parent.SequenceEqual(_parentPath))
        {
            var opened = OpenDirectory(parent);
            _parent?.Dispose();
            (_parent, _parentPath) = (opened, parent.ToArray());
        }

        return _parent;
    }

    /// <summary>Links a file of the archive, or one that was there before, under a further name.</summary>
    /// <returns>False where there is no such file.</returns>
    public bool TryLink(ReadOnlySpan<byte> existing, ReadOnlySpan<byte> path)
    {
        if (TryOpenDirectory(EntryPath.Parent(existing), out var directory) != 0)
        {
            return false;
        }

        using (directory)
        {
            if (FileStatus.TryOf(directory!, EntryPath.Name(existing)) is not { IsDirectory: false })
            {
                return false;
            }

            DirectoryEntry.CreateHardLink(directory!, EntryPath.Name(existing), OpenParent(path).Descriptor, EntryPath.Name(path));
            return true;
        }
    }

    /// <summary>Remembers a directory's time: it is set last, because what is made inside changes it.</summary>
    public void SetTimeLater(ReadOnlySpan<byte> path, FileTime time) => _times.Add(path, time);

    /// <summary>Sets all times that were remembered.</summary>
    public void SetDirectoryTimes()
    {
        foreach (var (path, time) in _times)
        {
            // Removed or replaced meanwhile, by the archive or the container: there is nothing to set.
            if (TryOpenDirectory(path, out var directory) == 0)
            {
                using (directory)
                {
                    Descriptors.SetTimes(directory!, time, time);
                }
            }
        }
    }

    public void Dispose()
    {
        _parent?.Dispose();
        _target.Dispose();
    }

    private void Require(SafeFileHandle directory)
    {
        var status = FileStatus.Of(directory);
        if (!status.IsDirectory)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, "extraction point is not a directory");
        }

        if (Descriptors.IsOnKernelFileSystem(directory))
        {
            throw CopyErrors.KernelFileSystem(_path);
        }

        if (Descriptors.IsOnReadOnlyMount(directory))
        {
            throw new StorageException(
                StorageErrorKind.ReadOnly,
                status.MountId == FileStatus.Of(_root.Descriptor).MountId ? "container rootfs is marked read-only" : "mounted volume is marked read-only");
        }
    }

    private LayerDirectory OpenDirectory(ReadOnlySpan<byte> path)
    {
        var errno = TryOpenDirectory(path, out var directory);
        if (errno == 0)
        {
            return Checked(directory!, path);
        }

        if (errno != Errno.ENOENT || path.IsEmpty)
        {
            throw new KernelException($"open \"{Display(path)}\"", errno);
        }

        // The archive does not describe the directory.
        using var parent = OpenDirectory(EntryPath.Parent(path));
        var name = EntryPath.Name(path);
        errno = DirectoryEntry.TryCreateDirectory(parent.Descriptor, name, ImpliedDirectoryMode);
        if (errno != 0)
        {
            // EEXIST: a link that dangles.
            throw new KernelException($"mkdir \"{Display(path)}\"", errno == Errno.EEXIST ? Errno.ENOENT : errno);
        }

        directory = DirectoryEntry.Open(parent.Descriptor, name, OpenFlags.Path | OpenFlags.Directory);
        Descriptors.ChangeOwner(directory, _impliedOwner.UserId, _impliedOwner.GroupId);
        Descriptors.ChangeMode(directory, ImpliedDirectoryMode);
        return LayerDirectory.Of(directory, path.ToArray());
    }

    /// <summary>A link may lead into what is mounted elsewhere.</summary>
    private LayerDirectory Checked(SafeFileHandle directory, ReadOnlySpan<byte> path)
    {
        if (Descriptors.IsOnKernelFileSystem(directory))
        {
            directory.Dispose();
            throw CopyErrors.KernelFileSystem(CopyPath.Parse(Display(path)));
        }

        return LayerDirectory.Of(directory, path.ToArray());
    }

    private int TryOpenDirectory(ReadOnlySpan<byte> path, out SafeFileHandle? directory)
    {
        var errno = _target.TryOpen(path, OpenFlags.Path | OpenFlags.Directory, out directory, resolution: Resolution.Canonical);
        return errno == Errno.ELOOP
            ? _root.TryOpen((byte[])[.. _canonical, (byte)'/', .. path], OpenFlags.Path | OpenFlags.Directory, out directory)
            : errno;
    }
}
