using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>
/// A directory that is the root for paths a container or an image controls. Whatever the path and whatever changes meanwhile,
/// nothing outside is ever read, created or changed: absolute links and <c>..</c> stay inside, links of procfs that jump
/// elsewhere fail. All paths below such a root go through this type or, one name at a time, <see cref="DirectoryEntry"/>.
/// </summary>
/// <param name="descriptor">A directory, O_PATH suffices; owned from now on.</param>
public sealed class RootDirectory(SafeFileHandle descriptor) : IDisposable
{
    private const uint DirectoryMode = 0x1ED; // 0755

    public SafeFileHandle Descriptor { get; } = descriptor;

    public void Dispose() => Descriptor.Dispose();

    /// <summary>openat2(2) below this root, close-on-exec. An absolute path starts here.</summary>
    /// <param name="mode">Of a file that is created, before the umask.</param>
    /// <param name="resolution">Stricter rules; staying in the root and refusing magic links are always part.</param>
    public SafeFileHandle Open(PathName path, OpenFlags flags, uint mode = 0, Resolution resolution = Resolution.Contained)
    {
        int errno = TryOpen(path, flags, out SafeFileHandle? file, mode, resolution);
        return errno == 0 ? file! : throw new KernelException($"open \"{path.ToString()}\"", errno);
    }

    /// <returns>0 or the error number.</returns>
    public int TryOpen(PathName path, OpenFlags flags, out SafeFileHandle? file, uint mode = 0, Resolution resolution = Resolution.Contained) =>
        NativeOpen.TryOpen(Descriptor, path.IsEmpty ? "."u8 : path, flags, mode, Contain(resolution), out file);

    /// <summary>
    /// Opens the directory that holds the last component, which is not looked at: for creating, replacing and removing entries.
    /// </summary>
    /// <param name="name">The last component; part of <paramref name="path"/>.</param>
    /// <exception cref="KernelException">EINVAL where the path ends in no name (<c>/</c>, <c>.</c>, <c>..</c>).</exception>
    public SafeFileHandle OpenParent(PathName path, out ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> bytes = path.Bytes.TrimEnd((byte)'/');
        int slash = bytes.LastIndexOf((byte)'/');
        name = bytes[(slash + 1)..];
        if (!new PathName(name).IsEntryName)
        {
            throw new KernelException($"\"{path.ToString()}\" names no entry", Errno.EINVAL);
        }

        return Open(slash <= 0 ? "."u8 : bytes[..slash], OpenFlags.Path | OpenFlags.Directory);
    }

    /// <summary>The status of what the path leads to; the last component is not followed.</summary>
    public FileStatus Status(PathName path)
    {
        using SafeFileHandle file = Open(path, OpenFlags.Path | OpenFlags.NoFollow);
        return FileStatus.Of(file);
    }

    /// <summary>The text of the symbolic link that the path leads to.</summary>
    public byte[] ReadLink(PathName path)
    {
        using SafeFileHandle link = Open(path, OpenFlags.Path | OpenFlags.NoFollow);
        return Descriptors.ReadLink(link);
    }

    /// <summary>The content of a regular file; ENOENT where there is none, EINVAL where it is something else, which is not opened.</summary>
    /// <param name="maximum">Bytes; EFBIG beyond.</param>
    public byte[] ReadFile(PathName path, int maximum)
    {
        using SafeFileHandle file = Open(path, OpenFlags.Path);
        if (!FileStatus.Of(file).IsRegularFile)
        {
            throw new KernelException($"read \"{path.ToString()}\", which is no regular file", Errno.EINVAL);
        }

        using SafeFileHandle open = Descriptors.Reopen(file, OpenFlags.ReadOnly);
        return Descriptors.ReadToEnd(open, maximum);
    }

    /// <summary>As <see cref="ReadFile"/>; null where there is no such file.</summary>
    public byte[]? TryReadFile(PathName path, int maximum)
    {
        try
        {
            return ReadFile(path, maximum);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return null;
        }
    }

    /// <summary>Resolves a path whose links are followed inside the root.</summary>
    /// <param name="mounts">What lies mounted where, for trees not attached yet; null: as the kernel sees it.</param>
    public ResolvedPath Resolve(PathName path, MountLookup? mounts = null) =>
        PathWalk.Resolve(Descriptor, path, MissingPath.Fail, default, mounts);

    /// <summary>
    /// Resolves a path to a directory, following links inside the root, and creates what is missing, also where a link dangles.
    /// </summary>
    /// <param name="permissions">Of created directories, whatever the umask.</param>
    /// <exception cref="KernelException">ENOTDIR where something else is in the way.</exception>
    public ResolvedPath EnsureDirectory(PathName path, uint permissions = DirectoryMode, uint userId = 0, uint groupId = 0) =>
        Ensure(path, MissingPath.CreateDirectory, new NewEntry(permissions, userId, groupId));

    /// <summary>As <see cref="EnsureDirectory"/> with an empty file as the last component. EISDIR where that is a directory.</summary>
    public ResolvedPath EnsureFile(PathName path, uint permissions, uint userId = 0, uint groupId = 0) =>
        Ensure(path, MissingPath.CreateFile, new NewEntry(permissions, userId, groupId));

    /// <summary>The general form of <see cref="Resolve"/>, <see cref="EnsureDirectory"/> and <see cref="EnsureFile"/>.</summary>
    public ResolvedPath Ensure(PathName path, MissingPath missing, NewEntry template, MountLookup? mounts = null) =>
        PathWalk.Resolve(Descriptor, path, missing, template, mounts);

    /// <summary>Removes what the path leads to, and all below it; the last component is not followed.</summary>
    public void Remove(PathName path)
    {
        using SafeFileHandle directory = OpenParent(path, out ReadOnlySpan<byte> name);
        TreeRemoval.Remove(directory, name);
    }

    // RESOLVE_BENEATH and RESOLVE_IN_ROOT exclude each other.
    private static Resolution Contain(Resolution resolution) =>
        (resolution.HasFlag(Resolution.Beneath) ? resolution & ~Resolution.InRoot : resolution | Resolution.InRoot) | Resolution.NoMagicLinks;
}
