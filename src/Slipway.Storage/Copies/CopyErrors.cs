using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Copies;

/// <summary>What can go wrong with a path in a container; the words are Go's, as dockerd passes them on.</summary>
internal static class CopyErrors
{
    public static StorageException Of(KernelException error, CopyPath path) => error.Errno switch
    {
        Errno.ENOENT => new StorageException(StorageErrorKind.NotFound, $"lstat {path}: no such file or directory", error),
        Errno.ENOTDIR => Invalid(path, "not a directory", error),
        Errno.ELOOP => Invalid(path, "too many levels of symbolic links", error),
        Errno.ENAMETOOLONG => Invalid(path, "file name too long", error),
        Errno.EINVAL => Invalid(path, "invalid argument", error),
        Errno.EROFS => new StorageException(StorageErrorKind.ReadOnly, $"{path}: read-only file system", error),
        _ => HostErrors.Map(error, $"\"{path}\""),
    };

    /// <summary>procfs and the like: what seems to be a file there is the kernel, and no copy.</summary>
    public static StorageException KernelFileSystem(CopyPath path) =>
        new(StorageErrorKind.NotFound, $"lstat {path}: it is not on a file system that holds files");

    private static StorageException Invalid(CopyPath path, string reason, KernelException error) =>
        new(StorageErrorKind.InvalidParameter, $"lstat {path}: {reason}", error);
}
