using System.Text;
using Slipway.Kernel;

namespace Slipway.Storage;

/// <summary>Tells a host that failed from an archive that asks for what cannot be.</summary>
internal static class HostErrors
{
    /// <summary>The kernel's words, as Docker passes them on.</summary>
    public const string NoSpace = "no space left on device";

    public static StorageException Map(KernelException error, string context) => error.Errno switch
    {
        Errno.ENOSPC or Errno.EDQUOT => new StorageException(StorageErrorKind.System, NoSpace, error),
        Errno.EIO or Errno.EROFS or Errno.EMFILE or Errno.ENFILE or Errno.ENOMEM or Errno.EACCES or Errno.ENOSYS =>
            new StorageException(StorageErrorKind.System, error.Message, error),
        _ => new StorageException(StorageErrorKind.InvalidParameter, $"{context}: {error.Message}", error),
    };

    /// <summary>For input and output that .NET does (file data, the caller's stream); its exceptions carry errno in HResult.</summary>
    public static StorageException Map(IOException error) => error switch
    {
        KernelException kernel => Map(kernel, "storage"),
        { HResult: Errno.ENOSPC or Errno.EDQUOT } => new StorageException(StorageErrorKind.System, NoSpace, error),
        _ => new StorageException(StorageErrorKind.System, error.Message, error),
    };

    public static bool IsDiskFull(Exception error) => error is StorageException { Kind: StorageErrorKind.System, Message: NoSpace };

    public static byte[] AsUtf8(this string text) => Encoding.UTF8.GetBytes(text);
}
