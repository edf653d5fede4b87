using Slipway.Kernel;
using Slipway.Oci;
using Slipway.Storage;

namespace Slipway.Engine.Images;

/// <summary>Errors of the floors below, as the engine's callers know them; the texts stay.</summary>
internal static class StorageErrors
{
    private const string NoSpace = "no space left on device";

    public static bool IsExpected(Exception error) => error is StorageException or OciException or KernelException { Errno: Errno.ENOSPC or Errno.EDQUOT };

    public static EngineException Translate(Exception error) => new(
        error is StorageException storage
            ? storage.Kind switch
            {
                StorageErrorKind.NotFound => ErrorKind.NotFound,
                StorageErrorKind.Conflict => ErrorKind.Conflict,
                StorageErrorKind.InvalidParameter => ErrorKind.InvalidParameter,
                _ => ErrorKind.System,
            }
            : error is KernelException ? ErrorKind.System : ErrorKind.InvalidParameter,
        error is KernelException ? NoSpace : error.Message,
        error);

    public static T Of<T>(Func<T> call)
    {
        try
        {
            return call();
        }
        catch (Exception e) when (IsExpected(e))
        {
            throw Translate(e);
        }
    }

    public static async Task<T> OfAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception e) when (IsExpected(e))
        {
            throw Translate(e);
        }
    }
}
