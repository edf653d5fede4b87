using System.Text;
using Slipway.Kernel;

namespace Slipway.Storage;

/// <summary>Tells a host that failed from an archive that asks for what cannot be.</summary>
internal static class HostErrors
{
    public static StorageException Map(KernelException error, string context) => error.Errno switch
    {
        Errno.ENOSPC or Errno.EDQUOT => new StorageException(StorageErrorKind.System, "no space left on device", error),
        Errno.EIO or Errno.EROFS or Errno.EMFILE or Errno.ENFILE or Errno.ENOMEM or Errno.EACCES or Errno.ENOSYS =>
            new StorageException(StorageErrorKind.System, error.Message, error),
        _ => new StorageException(StorageErrorKind.InvalidParameter, $"{context}: {error.Message}", error),
    };

    public static byte[] AsUtf8(this string text) => Encoding.UTF8.GetBytes(text);
}
