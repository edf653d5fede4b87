using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>What to create where a path ends in nothing.</summary>
public enum MissingPath
{
    /// <summary>ENOENT.</summary>
    Fail,

    /// <summary>Nothing; the canonical path of what is not there is told, without a descriptor.</summary>
    Tell,

    /// <summary>Directories all the way.</summary>
    CreateDirectory,

    /// <summary>An empty regular file, in directories.</summary>
    CreateFile,
}

/// <summary>How created entries look. Directories on the way get the same with execute permission for those who may read.</summary>
/// <param name="Permissions">Exactly these, whatever the umask.</param>
public readonly record struct NewEntry(uint Permissions, uint UserId = 0, uint GroupId = 0);

/// <summary>What is mounted at a canonical path, for a walk through trees whose mounts are prepared but not yet attached to each other.</summary>
/// <param name="Root">The mount's root; null with <paramref name="IsMounted"/> for one that cannot be looked into.</param>
public readonly record struct MountCrossing(bool IsMounted, SafeFileHandle? Root);

/// <summary>Finds what is mounted at a canonical path (<c>/dev/pts</c>).</summary>
public delegate MountCrossing MountLookup(ReadOnlySpan<byte> canonicalPath);

/// <summary>Where a path led.</summary>
/// <param name="Path">Canonical and absolute, seen from the root: no link, no <c>..</c>.</param>
/// <param name="Descriptor">O_PATH; owned by the receiver. Null where the path leads into a mount that cannot be looked into, and where there is nothing (<see cref="MissingPath.Tell"/>).</param>
/// <param name="Created">Whether the last component is new.</param>
public readonly record struct ResolvedPath(byte[] Path, SafeFileHandle? Descriptor, bool Created)
{
    public override string ToString() => new PathName(Path).ToString();
}

/// <summary>
/// Resolves a path below a root one component at a time, on descriptors. Slower than openat2(RESOLVE_IN_ROOT), and for what that cannot
/// do: create what is missing, also behind dangling links, tell the canonical path, and pass from one detached mount into
/// another. It cannot leave the root: <c>..</c> returns to a descriptor it came through, an absolute link to the root, and the
/// kernel is only ever asked for one name in one directory, not followed.
/// </summary>
internal sealed class PathWalk : IDisposable
{
    // As the kernel (path_resolution(7)).
    private const int MaximumLinks = 40;

    private readonly Stack<byte[]> _pending = new();
    private readonly List<Level> _levels = [];
    private readonly MountLookup? _mounts;
    private byte[] _path = new byte[256];
    private int _pathLength;
    private int _links;

    private PathWalk(SafeFileHandle root, MountLookup? mounts)
    {
        _mounts = mounts;
        _levels.Add(new Level(root, Owned: false, PathLength: 0));
    }

    internal static ResolvedPath Resolve(SafeFileHandle root, PathName path, MissingPath missing, NewEntry template, MountLookup? mounts)
    {
        using var walk = new PathWalk(root, mounts);
        try
        {
            return walk.Run(path, missing, template);
        }
        catch (KernelException e)
        {
            throw new KernelException($"resolve \"{path.ToString()}\", {e.Operation}", e.Errno);
        }
    }

    public void Dispose() => Shorten(1);

    private ResolvedPath Run(PathName path, MissingPath missing, NewEntry template)
    {
        bool created = false;
        Push(path.Bytes);
        while (_pending.TryPop(out byte[]? name))
        {
            if (name is [(byte)'.', (byte)'.'])
            {
                created = false;
                if (_levels.Count > 1)
                {
                    Shorten(_levels.Count - 1);
                }

                continue;
            }

            int parentLength = _pathLength;
            Append(name);
            MountCrossing crossing = _mounts?.Invoke(_path.AsSpan(0, _pathLength)) ?? default;
            if (crossing.IsMounted)
            {
                created = false;
                if (crossing.Root is null)
                {
                    return Opaque();
                }

                _levels.Add(new Level(crossing.Root, Owned: false, parentLength));
                continue;
            }

            if (Enter(name, missing, template, out created) is not { } entry)
            {
                return Missing();
            }

            FileStatus status = FileStatus.Of(entry);
            if (status.IsSymbolicLink)
            {
                _pathLength = parentLength;
                Follow(entry);
                continue;
            }

            _levels.Add(new Level(entry, Owned: true, parentLength));
            if (_pending.Count > 0 && !status.IsDirectory)
            {
                throw new KernelException($"\"{Current}\"", Errno.ENOTDIR);
            }
        }

        return Finish(missing, created);
    }

    private string Current => _pathLength == 0 ? "/" : new PathName(_path.AsSpan(0, _pathLength)).ToString();

    /// <returns>Null where there is no such entry, and that is to be told.</returns>
    private SafeFileHandle? Enter(byte[] name, MissingPath missing, NewEntry template, out bool created)
    {
        SafeFileHandle directory = _levels[^1].Descriptor;
        created = false;

        // Somebody may create or remove the name between two calls; not for ever.
        for (int attempt = 0; attempt < 16; attempt++)
        {
            int errno = DirectoryEntry.TryOpen(directory, name, OpenFlags.Path, out SafeFileHandle? entry);
            if (errno == 0)
            {
                if (created)
                {
                    Complete(entry!, _pending.Count == 0 && missing == MissingPath.CreateFile, template);
                }

                return entry!;
            }

            if (errno == Errno.ENOENT && missing == MissingPath.Tell)
            {
                return null;
            }

            if (errno != Errno.ENOENT || missing == MissingPath.Fail)
            {
                throw new KernelException($"\"{Current}\"", errno);
            }

            errno = Create(directory, name, missing, template);
            created = errno == 0;
            if (errno is not (0 or Errno.EEXIST))
            {
                throw new KernelException($"create \"{Current}\"", errno);
            }
        }

        throw new KernelException($"create \"{Current}\"", Errno.EAGAIN);
    }

    private int Create(SafeFileHandle directory, byte[] name, MissingPath missing, NewEntry template)
    {
        if (_pending.Count > 0 || missing == MissingPath.CreateDirectory)
        {
            return DirectoryEntry.TryCreateDirectory(directory, name, DirectoryPermissions(template.Permissions));
        }

        int errno = DirectoryEntry.TryOpen(
            directory, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, out SafeFileHandle? file, template.Permissions);
        file?.Dispose();
        return errno;
    }

    private static void Complete(SafeFileHandle entry, bool isFile, NewEntry template)
    {
        FileStatus status = FileStatus.Of(entry);
        if (status.Type != (isFile ? FileType.RegularFile : FileType.Directory))
        {
            return; // Replaced meanwhile by somebody else's: nothing of ours to complete.
        }

        if (status.UserId != template.UserId || status.GroupId != template.GroupId)
        {
            Descriptors.ChangeOwner(entry, template.UserId, template.GroupId);
        }

        uint permissions = isFile ? template.Permissions : DirectoryPermissions(template.Permissions);
        if (status.Permissions != permissions)
        {
            Descriptors.ChangeMode(entry, permissions);
        }
    }

    private static uint DirectoryPermissions(uint permissions) => permissions | ((permissions & 0x124) >> 2);

    private void Follow(SafeFileHandle link)
    {
        byte[] target;
        using (link)
        {
            target = Descriptors.ReadLink(link);
        }

        if (++_links > MaximumLinks)
        {
            throw new KernelException($"\"{Current}\"", Errno.ELOOP);
        }

        if (target is [(byte)'/', ..])
        {
            Shorten(1);
        }

        Push(target);
    }

    private void Push(ReadOnlySpan<byte> path)
    {
        if (path.Length >= PathName.MaximumLength || path.Contains((byte)0))
        {
            throw new KernelException("path", path.Contains((byte)0) ? Errno.EINVAL : Errno.ENAMETOOLONG);
        }

        while (!path.IsEmpty)
        {
            int slash = path.LastIndexOf((byte)'/');
            ReadOnlySpan<byte> name = path[(slash + 1)..];
            if (!name.IsEmpty && !name.SequenceEqual("."u8))
            {
                _pending.Push(name.ToArray());
            }

            path = slash < 0 ? default : path[..slash];
        }
    }

    private void Append(ReadOnlySpan<byte> name)
    {
        if (_pathLength + 1 + name.Length >= PathName.MaximumLength)
        {
            throw new KernelException("path", Errno.ENAMETOOLONG);
        }

        if (_pathLength + 1 + name.Length > _path.Length)
        {
            Array.Resize(ref _path, PathName.MaximumLength);
        }

        _path[_pathLength++] = (byte)'/';
        name.CopyTo(_path.AsSpan(_pathLength));
        _pathLength += name.Length;
    }

    /// <summary>Goes back until <paramref name="count"/> levels are left.</summary>
    private void Shorten(int count)
    {
        while (_levels.Count > count)
        {
            Level level = _levels[^1];
            _levels.RemoveAt(_levels.Count - 1);
            _pathLength = level.PathLength;
            if (level.Owned)
            {
                level.Descriptor.Dispose();
            }
        }
    }

    private ResolvedPath Opaque()
    {
        while (_pending.TryPop(out byte[]? name))
        {
            if (name is [(byte)'.', (byte)'.'])
            {
                throw new KernelException($"\"..\" inside \"{Current}\"", Errno.EINVAL);
            }

            Append(name);
        }

        return new ResolvedPath(_path[.._pathLength], null, Created: false);
    }

    /// <summary>Below what is not there no link can be: the rest of the path is text.</summary>
    private ResolvedPath Missing()
    {
        while (_pending.TryPop(out byte[]? name))
        {
            if (name is [(byte)'.', (byte)'.'])
            {
                _pathLength = Math.Max(_path.AsSpan(0, _pathLength).LastIndexOf((byte)'/'), 0);
            }
            else
            {
                Append(name);
            }
        }

        return new ResolvedPath(_pathLength == 0 ? "/"u8.ToArray() : _path[.._pathLength], null, Created: false);
    }

    private ResolvedPath Finish(MissingPath missing, bool created)
    {
        byte[] path = _pathLength == 0 ? "/"u8.ToArray() : _path[.._pathLength];
        Level last = _levels[^1];
        if (missing is MissingPath.CreateDirectory or MissingPath.CreateFile && FileStatus.Of(last.Descriptor).IsDirectory != (missing == MissingPath.CreateDirectory))
        {
            throw new KernelException($"\"{Current}\"", missing == MissingPath.CreateDirectory ? Errno.ENOTDIR : Errno.EISDIR);
        }

        SafeFileHandle descriptor;
        if (last.Owned)
        {
            descriptor = last.Descriptor;
            _levels[^1] = last with { Owned = false };
        }
        else
        {
            descriptor = Descriptors.Duplicate(last.Descriptor);
        }

        return new ResolvedPath(path, descriptor, created);
    }

    /// <param name="PathLength">Of the path before this level.</param>
    private readonly record struct Level(SafeFileHandle Descriptor, bool Owned, int PathLength);
}
