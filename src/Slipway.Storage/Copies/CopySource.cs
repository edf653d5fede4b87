using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Users;

namespace Slipway.Storage.Copies;

/// <summary>
/// A file or directory that is about to be copied out. It is found once, and read through the descriptor it was found by: what a
/// container moves or links meanwhile leads nowhere else (CVE-2018-15664).
/// </summary>
internal sealed class CopySource : IDisposable
{
    private readonly SafeFileHandle _directory;
    private readonly byte[]? _entry;

    /// <param name="directory">The directory to copy, or the one that holds the file.</param>
    /// <param name="entry">The file's name in it; null for the directory itself.</param>
    private CopySource(CopyPath path, PathStatus status, SafeFileHandle directory, byte[]? entry)
    {
        (Path, Status, _directory, _entry) = (path, status, directory, entry);
    }

    public CopyPath Path { get; }

    public PathStatus Status { get; }

    /// <exception cref="StorageException">NotFound; InvalidParameter: the path asserts a directory where there is none, or is none that can be.</exception>
    public static CopySource Open(RootDirectory root, string path)
    {
        var parsed = CopyPath.Parse(path);
        try
        {
            return parsed.AssertsDirectory ? OfDirectory(parsed, root.Open(parsed.Bytes, OpenFlags.Path | OpenFlags.Directory)) : OfEntry(root, parsed);
        }
        catch (KernelException error)
        {
            throw CopyErrors.Of(error, parsed);
        }
    }

    /// <summary>Writes it as a tar whose entries are named after the path's last component, or as told.</summary>
    public void WriteTo(Stream tar, string? name, int maxDepth, IdMaps? maps, CancellationToken cancellationToken)
    {
        try
        {
            if (_entry is null)
            {
                CopyTree.Write(_directory, Prefix(name ?? Path.Name), Path.IsRoot, tar, maxDepth, maps, cancellationToken);
            }
            else
            {
                CopyTree.WriteFile(_directory, _entry, name is null ? null : Encoding.UTF8.GetBytes(name), tar, maps, cancellationToken);
            }
        }
        catch (KernelException error)
        {
            throw CopyErrors.Of(error, Path);
        }
    }

    public void Dispose() => _directory.Dispose();

    private static CopySource OfEntry(RootDirectory root, CopyPath path)
    {
        var parent = root.OpenParent(path.Bytes, out var name);
        try
        {
            var status = FileStatus.Of(parent, name);
            if (status.IsDirectory)
            {
                using (parent)
                {
                    return OfDirectory(path, DirectoryEntry.Open(parent, name, OpenFlags.Path | OpenFlags.Directory));
                }
            }

            RequireFiles(parent, path);
            var target = status.IsSymbolicLink ? LinkTarget(root, path) : "";
            return new CopySource(path, new PathStatus(path.Name, status, target), parent, name.ToArray());
        }
        catch
        {
            parent.Dispose();
            throw;
        }
    }

    private static CopySource OfDirectory(CopyPath path, SafeFileHandle directory)
    {
        try
        {
            var status = FileStatus.Of(directory);

            // The place where procfs is mounted is a directory like any other, only that nothing is in it.
            if (!status.IsMountRoot)
            {
                RequireFiles(directory, path);
            }

            return new CopySource(path, new PathStatus(path.Name, status, ""), directory, null);
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    private static void RequireFiles(SafeFileHandle directory, CopyPath path)
    {
        if (Descriptors.IsOnKernelFileSystem(directory))
        {
            throw CopyErrors.KernelFileSystem(path);
        }
    }

    private static string LinkTarget(RootDirectory root, CopyPath path)
    {
        var target = root.Ensure(path.Bytes, MissingPath.Tell, default);
        target.Descriptor?.Dispose();
        return Encoding.UTF8.GetString(target.Path);
    }

    /// <summary>Entries below the root begin with a slash; others with the name.</summary>
    private static byte[] Prefix(string name) => name == "/" ? "/"u8.ToArray() : Encoding.UTF8.GetBytes(name + "/");
}
