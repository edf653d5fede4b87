using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>A file on the way of a <see cref="TreeWalk"/>.</summary>
/// <param name="directory">The open directory that holds it; valid during the call.</param>
/// <param name="path">From the root of the walk, components joined by slashes.</param>
public readonly ref struct WalkedFile(SafeFileHandle directory, ReadOnlySpan<byte> path, FileStatus status)
{
    public SafeFileHandle Directory { get; } = directory;

    public ReadOnlySpan<byte> Path { get; } = path;

    public FileStatus Status { get; } = status;

    public ReadOnlySpan<byte> Name => Path[(Path.LastIndexOf((byte)'/') + 1)..];
}

/// <summary>What a <see cref="TreeWalk"/> does where it meets another mount.</summary>
public enum MountPolicy
{
    /// <summary>Passes over it.</summary>
    Skip,

    /// <summary>Walks it as a part of the tree.</summary>
    Enter,

    /// <summary>Meets its root as a directory without content.</summary>
    ShowEmpty,
}

/// <summary>
/// Walks a tree by descriptors, depth first, names in byte order, a directory before what is in it. Links are not followed, other
/// mounts not entered unless <see cref="EntersMount"/> says so. The tree may change meanwhile: what is gone when its turn comes is passed over.
/// </summary>
/// <param name="maxDepth">Directories a path may lead through; each holds a descriptor.</param>
public abstract class TreeWalk(int maxDepth)
{
    /// <summary>Everything but directories.</summary>
    protected abstract void Visit(in WalkedFile file);

    /// <summary>A name whose file nobody has looked at yet.</summary>
    /// <param name="path">As <see cref="WalkedFile.Path"/>.</param>
    /// <param name="type">What the directory says it is, or said: never a directory.</param>
    /// <returns>Whether that was all; else the file is looked at and visited.</returns>
    protected virtual bool VisitListed(SafeFileHandle directory, ReadOnlySpan<byte> path, FileType type) => false;

    /// <summary>A directory, before what is in it.</summary>
    /// <returns>False to pass over its content; <see cref="Leave"/> is not called then.</returns>
    protected abstract bool Enter(in WalkedFile directory);

    /// <summary>The directory that was entered last and not left yet.</summary>
    protected abstract void Leave(in WalkedFile directory);

    /// <summary>Whether a directory that is the root of another mount is part of the tree.</summary>
    protected virtual MountPolicy EntersMount(SafeFileHandle directory, ReadOnlySpan<byte> path) => MountPolicy.Skip;

    /// <summary>Walks what is inside of <paramref name="root"/>.</summary>
    /// <exception cref="KernelException">ENAMETOOLONG: the tree is deeper than allowed; or what reading it met.</exception>
    protected void Walk(SafeFileHandle root, CancellationToken cancellationToken)
    {
        var levels = new Stack<Level>();
        levels.Push(new Level(Descriptors.Duplicate(root), [], default, EntriesOf(root)));
        try
        {
            while (levels.TryPeek(out Level? level))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (level.TakeEntry() is { } entry)
                {
                    Meet(levels, level, entry.Name, entry.Type);
                    continue;
                }

                levels.Pop().Directory.Dispose();
                if (levels.TryPeek(out Level? parent))
                {
                    Leave(new WalkedFile(parent.Directory, level.Path, level.Status));
                }
            }
        }
        finally
        {
            while (levels.TryPop(out Level? level))
            {
                level.Directory.Dispose();
            }
        }
    }

    private void Meet(Stack<Level> levels, Level level, byte[] name, FileType type)
    {
        byte[] path = level.Path.Length == 0 ? name : [.. level.Path, (byte)'/', .. name];
        if (type is not (FileType.None or FileType.Directory) && VisitListed(level.Directory, path, type))
        {
            return;
        }

        if (TryStatus(level.Directory, name) is not { } status)
        {
            return;
        }

        var file = new WalkedFile(level.Directory, path, status);
        if (!status.IsDirectory)
        {
            Visit(file);
            return;
        }

        if (levels.Count > maxDepth)
        {
            throw new KernelException($"walk \"{new PathName(path.AsSpan(0, Math.Min(path.Length, 80))).ToString()}…\", more than {maxDepth} directories deep", Errno.ENAMETOOLONG);
        }

        var policy = MountPolicy.Enter;
        int errno = TryEnter(level.Directory, name, Resolution.NoCrossDevice, out SafeFileHandle? child);
        if (errno == Errno.EXDEV && TryEnter(level.Directory, name, Resolution.None, out child) == 0)
        {
            policy = EntersMount(child!, path);
            errno = policy == MountPolicy.Skip ? Errno.EXDEV : 0;
        }

        if (errno != 0)
        {
            child?.Dispose();

            // Gone, replaced, or the root of a mount: not of this tree.
            if (errno is Errno.ENOENT or Errno.ESTALE or Errno.ENOTDIR or Errno.ELOOP or Errno.EXDEV)
            {
                return;
            }

            throw new KernelException($"open \"{new PathName(path).ToString()}\"", errno);
        }

        if (Enter(file))
        {
            levels.Push(new Level(child!, path, status, policy == MountPolicy.ShowEmpty ? [] : EntriesOf(child!)));
        }
        else
        {
            child!.Dispose();
        }
    }

    private static int TryEnter(SafeFileHandle directory, byte[] name, Resolution mounts, out SafeFileHandle? child) => NativeOpen.TryOpen(
        directory, name, OpenFlags.Directory | OpenFlags.NoFollow, 0, Resolution.Beneath | Resolution.NoSymbolicLinks | mounts, out child);

    private static FileStatus? TryStatus(SafeFileHandle directory, byte[] name)
    {
        try
        {
            return FileStatus.TryOf(directory, name);
        }
        catch (KernelException e) when (e.Errno == Errno.ESTALE)
        {
            return null;
        }
    }

    private static List<ListedEntry> EntriesOf(SafeFileHandle directory)
    {
        List<ListedEntry> entries = [.. new DirectoryListing(directory)];
        entries.Sort(static (left, right) => left.Name.AsSpan().SequenceCompareTo(right.Name));
        return entries;
    }

    private sealed class Level(SafeFileHandle directory, byte[] path, FileStatus status, List<ListedEntry> entries)
    {
        private int _next;

        public SafeFileHandle Directory { get; } = directory;

        public byte[] Path { get; } = path;

        public FileStatus Status { get; } = status;

        public ListedEntry? TakeEntry() => _next < entries.Count ? entries[_next++] : null;
    }
}
