using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>What a tree takes on the disk, counted as du(1) does: allocated blocks, a file with several names once, directories included.</summary>
/// <param name="Bytes">Allocated.</param>
/// <param name="Files">Of every kind, directories included.</param>
/// <param name="Content">Bytes of the regular files, holes included.</param>
public readonly record struct TreeSize(long Bytes, long Files, long Content)
{
    private const int BlockSize = 512;

    public static TreeSize operator +(TreeSize left, TreeSize right) => new(left.Bytes + right.Bytes, left.Files + right.Files, left.Content + right.Content);

    /// <summary>Of one file, whatever it is; nothing below it.</summary>
    public static TreeSize Of(in FileStatus status) => new(status.Blocks * BlockSize, 1, status.IsRegularFile ? status.Size : 0);

    /// <summary>Of an entry and all below it; nothing where there is none. Links are not followed, mounts not entered.</summary>
    /// <remarks>
    /// The tree may change meanwhile, and may be deeper than a process has descriptors: it is walked with one, back by "..". Where
    /// a directory was moved away under the walk, what was counted until then is the answer.
    /// </remarks>
    public static TreeSize Of(SafeFileHandle directory, PathName name)
    {
        if (FileStatus.TryOf(directory, name) is not { } status)
        {
            return default;
        }

        TreeSize total = Of(status);
        return status.IsDirectory ? total + Inside(directory, name) : total;
    }

    private static TreeSize Inside(SafeFileHandle directory, PathName name)
    {
        var linked = new HashSet<(DeviceNumber, ulong)>();
        var path = new Stack<Level>();
        TreeSize total = default;
        if (!TryEnter(directory, name, out SafeFileHandle? current))
        {
            return default;
        }

        try
        {
            path.Push(new Level(FileStatus.Of(current!), Count(current!, linked, ref total)));
            while (true)
            {
                Level level = path.Peek();
                if (level.Subdirectories.TryDequeue(out byte[]? next))
                {
                    if (TryEnter(current!, next, out SafeFileHandle? child))
                    {
                        current!.Dispose();
                        current = child;
                        path.Push(new Level(FileStatus.Of(current!), Count(current!, linked, ref total)));
                    }

                    continue;
                }

                path.Pop();
                if (path.Count == 0)
                {
                    return total;
                }

                int errno = NativeOpen.TryOpen(current!, ".."u8, OpenFlags.Directory, 0, Resolution.NoCrossDevice, out SafeFileHandle? parent);
                if (errno != 0)
                {
                    return total;
                }

                current!.Dispose();
                current = parent;
                if (!FileStatus.Of(current!).IsSameFile(path.Peek().Status))
                {
                    return total;
                }
            }
        }
        finally
        {
            current!.Dispose();
        }
    }

    /// <summary>Counts what a directory holds; the directories among it are to be entered.</summary>
    private static Queue<byte[]> Count(SafeFileHandle directory, HashSet<(DeviceNumber, ulong)> linked, ref TreeSize total)
    {
        var subdirectories = new Queue<byte[]>();
        foreach (ListedEntry entry in new DirectoryListing(directory))
        {
            if (FileStatus.TryOf(directory, entry.Name) is not { } status)
            {
                continue;
            }

            if (status.IsDirectory)
            {
                subdirectories.Enqueue(entry.Name);
                total += Of(status);
            }
            else if (status.LinkCount <= 1 || linked.Add((status.Device, status.Inode)))
            {
                total += Of(status);
            }
        }

        return subdirectories;
    }

    private static bool TryEnter(SafeFileHandle directory, PathName name, out SafeFileHandle? child) => NativeOpen.TryOpen(
        directory, name, OpenFlags.Directory | OpenFlags.NoFollow, 0, Resolution.Beneath | Resolution.NoCrossDevice | Resolution.NoSymbolicLinks, out child) == 0;

    private readonly record struct Level(FileStatus Status, Queue<byte[]> Subdirectories);
}
