using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Users;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// A container's file tree before it exists: the root file system and the mounts prepared for it, which are not attached to each
/// other yet. Paths are resolved here as the kernel will resolve them later, with every link held inside.
/// </summary>
/// <param name="maps">Of the container's user namespace, whose root owns what is made; null: the host's root does.</param>
internal sealed class RootView(RootDirectory rootfs, IdMaps? maps)
{
    private const int None = -1;

    private readonly (uint UserId, uint GroupId) _owner = maps?.Root ?? (0, 0);
    private readonly List<Mount> _mounts = [];

    /// <summary>Adds a mount at a canonical path. Later ones hide earlier ones.</summary>
    /// <param name="root">Its root, owned elsewhere; null for one the child will make, which cannot be looked into.</param>
    /// <param name="sample">For such a one: a mount of the same file system, to ask which files it has.</param>
    public void Add(byte[] path, SafeFileHandle? root, RootDirectory? sample = null) => _mounts.Add(new Mount(path, Locate(path), root, sample));

    /// <summary>Resolves a path; ENOENT where it leads to nothing.</summary>
    public ResolvedPath Resolve(PathName path) => Ensure(path, MissingPath.Fail, default);

    /// <summary>As <see cref="Resolve"/>, for what is often missing.</summary>
    /// <returns>0 or the error number.</returns>
    public int TryResolve(PathName path, out ResolvedPath found)
    {
        int errno = TryDirect(path, out found);
        if (errno is not Errno.ELOOP)
        {
            return errno;
        }

        try
        {
            found = rootfs.Ensure(path, MissingPath.Fail, default, Lookup);
            return 0;
        }
        catch (KernelException e)
        {
            return e.Errno;
        }
    }

    /// <summary>Resolves a path and creates what is missing.</summary>
    public ResolvedPath Ensure(PathName path, MissingPath missing, NewEntry template)
    {
        template = template with { UserId = _owner.UserId, GroupId = _owner.GroupId };
        int errno = TryDirect(path, out ResolvedPath found);
        if (errno == Errno.ELOOP || (errno != 0 && missing != MissingPath.Fail))
        {
            return rootfs.Ensure(path, missing, template, Lookup);
        }

        if (errno == 0 && missing != MissingPath.Fail && found.Descriptor is { } file && FileStatus.Of(file).IsDirectory is var isDirectory
            && isDirectory != (missing == MissingPath.CreateDirectory))
        {
            file.Dispose();
            errno = isDirectory ? Errno.EISDIR : Errno.ENOTDIR;
        }

        return errno == 0 ? found : throw new KernelException($"\"{path.ToString()}\"", errno);
    }

    /// <summary>What a canonical path is in a mount that cannot be looked into, judged by its sample; null where it has no such file.</summary>
    public FileType? Sample(byte[] path)
    {
        int index = Locate(path);
        if (index == None || _mounts[index].Sample is not { } sample)
        {
            return null;
        }

        ReadOnlySpan<byte> rest = path.AsSpan(_mounts[index].Path.Length);
        if (sample.TryOpen(rest.TrimStart((byte)'/'), OpenFlags.Path, out SafeFileHandle? file, 0, Resolution.Canonical) != 0)
        {
            return null;
        }

        using (file)
        {
            return FileStatus.Of(file!).Type;
        }
    }

    /// <summary>The usual case by one system call: no link on the way.</summary>
    /// <returns>0 or the error number; ELOOP where a walk has to find out. Any other is final: the kernel met no link before it.</returns>
    private int TryDirect(PathName path, out ResolvedPath found)
    {
        found = default;
        if (!IsClean(path.Bytes))
        {
            return Errno.ELOOP;
        }

        int index = Locate(path.Bytes);
        SafeFileHandle? root = index == None ? rootfs.Descriptor : _mounts[index].Root;
        SafeFileHandle? file = null;
        if (root is not null)
        {
            ReadOnlySpan<byte> rest = path.Bytes[(index == None ? 0 : _mounts[index].Path.Length)..].TrimStart((byte)'/');

            // Not disposed: it would close the mount's descriptor.
            var directory = new RootDirectory(root);
            int errno = rest.IsEmpty ? Errno.ELOOP : directory.TryOpen(rest, OpenFlags.Path, out file, 0, Resolution.Canonical);
            if (errno != 0)
            {
                return errno;
            }
        }

        found = new ResolvedPath(path.Bytes.ToArray(), file, Created: false);
        return 0;
    }

    private MountCrossing Lookup(ReadOnlySpan<byte> path)
    {
        int index = Locate(path);
        return index != None && path.SequenceEqual(_mounts[index].Path) ? new MountCrossing(true, _mounts[index].Root) : default;
    }

    /// <summary>The mount a canonical path lies in, or its root is: by way of each mount met from the root on, the topmost at each place.</summary>
    private int Locate(ReadOnlySpan<byte> path)
    {
        int current = None;
        while (true)
        {
            int next = None;
            for (int i = 0; i < _mounts.Count; i++)
            {
                if (_mounts[i].Parent == current && Covers(_mounts[i].Path, path) && (next == None || _mounts[i].Path.Length < _mounts[next].Path.Length))
                {
                    next = i;
                }
            }

            if (next == None)
            {
                return current;
            }

            current = next;
        }
    }

    private static bool Covers(ReadOnlySpan<byte> mount, ReadOnlySpan<byte> path) =>
        path.StartsWith(mount) && (path.Length == mount.Length || path[mount.Length] == (byte)'/');

    /// <summary>Absolute, without <c>.</c>, <c>..</c>, empty components and trailing slash.</summary>
    private static bool IsClean(ReadOnlySpan<byte> path)
    {
        if (path.Length < 2 || path[0] != (byte)'/')
        {
            return false;
        }

        while (!path.IsEmpty)
        {
            path = path[1..];
            int slash = path.IndexOf((byte)'/');
            if (!new PathName(slash < 0 ? path : path[..slash]).IsEntryName)
            {
                return false;
            }

            path = slash < 0 ? default : path[slash..];
        }

        return true;
    }

    private readonly record struct Mount(byte[] Path, int Parent, SafeFileHandle? Root, RootDirectory? Sample);
}
