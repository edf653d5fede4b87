using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>Removes whole trees by descriptor: links are removed and never followed, mounts never entered.</summary>
public static class TreeRemoval
{
    /// <summary>Removes an entry and, where it is a directory, all below it. Nothing happens where there is none.</summary>
    /// <param name="foreign">
    /// The tree is seen from outside of the mount namespace whose mounts are in it: the kernel lets others remove what something is mounted on, which takes
    /// the mount away with it (fs/namei.c, detach_mounts), so each name is asked first.
    /// </param>
    /// <exception cref="KernelException">EBUSY: something is mounted inside. What was removed before stays removed.</exception>
    public static void Remove(SafeFileHandle directory, PathName name, bool foreign = false)
    {
        if (foreign)
        {
            RequireNoMount(directory, name);
        }

        int errno = DirectoryEntry.TryUnlink(directory, name, 0);
        if (errno is 0 or Errno.ENOENT)
        {
            return;
        }

        // unlink(2): EISDIR on Linux, EPERM by POSIX and for immutable files, which opening as a directory tells apart.
        if (errno is not (Errno.EISDIR or Errno.EPERM))
        {
            throw new KernelException($"remove \"{name.ToString()}\"", errno);
        }

        RemoveDirectory(directory, name, foreign);
    }

    /// <summary>Removes everything inside a directory, not the directory.</summary>
    public static void Clear(SafeFileHandle directory)
    {
        foreach (ListedEntry entry in new DirectoryListing(directory).ToList())
        {
            Remove(directory, entry.Name);
        }
    }

    // Deep trees are walked with two descriptors and no recursion: on the way up "..", which must be the directory the
    // way down came through. One moved meanwhile by somebody else ends the removal instead of leading it astray.
    private static void RemoveDirectory(SafeFileHandle top, PathName name, bool foreign)
    {
        var path = new Stack<Level>();
        SafeFileHandle current = Enter(top, name);
        path.Push(new Level(name.Bytes.ToArray(), FileStatus.Of(current)));
        try
        {
            while (true)
            {
                if (RemoveFiles(current, foreign) is { } subdirectory)
                {
                    SafeFileHandle child = Enter(current, subdirectory);
                    current.Dispose();
                    current = child;
                    path.Push(new Level(subdirectory, FileStatus.Of(current)));
                    continue;
                }

                Level done = path.Pop();
                if (path.Count == 0)
                {
                    Check(DirectoryEntry.TryUnlink(top, done.Name, NativeFiles.AT_REMOVEDIR), done.Name);
                    return;
                }

                SafeFileHandle parent = NativeOpen.Open(current, ".."u8, OpenFlags.Directory, 0, Resolution.NoCrossDevice);
                current.Dispose();
                current = parent;
                if (!FileStatus.Of(current).IsSameFile(path.Peek().Status))
                {
                    throw new KernelException($"remove \"{new PathName(done.Name).ToString()}\", moved while it was removed", Errno.EBUSY);
                }

                Check(DirectoryEntry.TryUnlink(current, done.Name, NativeFiles.AT_REMOVEDIR), done.Name);
            }
        }
        finally
        {
            current.Dispose();
        }
    }

    /// <summary>Removes all that is no directory; the name of a directory that is in the way, or null once empty.</summary>
    private static byte[]? RemoveFiles(SafeFileHandle directory, bool foreign)
    {
        byte[]? subdirectory = null;
        foreach (ListedEntry entry in new DirectoryListing(directory))
        {
            if (foreign)
            {
                RequireNoMount(directory, entry.Name);
            }

            if (entry.Type == FileType.Directory)
            {
                subdirectory ??= DirectoryEntry.TryUnlink(directory, entry.Name, NativeFiles.AT_REMOVEDIR) == 0 ? null : entry.Name;
                continue;
            }

            int errno = DirectoryEntry.TryUnlink(directory, entry.Name, 0);
            if (errno is Errno.EISDIR or Errno.EPERM)
            {
                subdirectory ??= entry.Name;
            }
            else if (errno is not Errno.ENOENT)
            {
                Check(errno, entry.Name);
            }
        }

        return subdirectory;
    }

    private static SafeFileHandle Enter(SafeFileHandle directory, PathName name)
    {
        int errno = NativeOpen.TryOpen(
            directory,
            name,
            OpenFlags.Directory | OpenFlags.NoFollow,
            0,
            Resolution.Beneath | Resolution.NoCrossDevice | Resolution.NoSymbolicLinks,
            out SafeFileHandle? child);
        return errno == 0 ? child! : throw new KernelException($"remove \"{name.ToString()}\"", errno == Errno.EXDEV ? Errno.EBUSY : errno);
    }

    private static void RequireNoMount(SafeFileHandle directory, PathName name)
    {
        if (FileStatus.TryOf(directory, name) is { IsMountRoot: true })
        {
            throw new KernelException($"remove \"{name.ToString()}\"", Errno.EBUSY);
        }
    }

    private static void Check(int errno, PathName name)
    {
        if (errno is not (0 or Errno.ENOENT))
        {
            throw new KernelException($"remove \"{name.ToString()}\"", errno);
        }
    }

    private readonly record struct Level(byte[] Name, FileStatus Status);
}
