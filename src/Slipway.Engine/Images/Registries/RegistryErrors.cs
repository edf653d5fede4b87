using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage;

namespace Slipway.Engine.Images.Registries;

/// <summary>Errors of registries as the engine's callers know them.</summary>
internal static class RegistryErrors
{
    public static async Task<T> OfAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (RegistryException error)
        {
            throw new EngineException(Kind(error.Kind), error.Message, error);
        }
        catch (Exception error) when (StorageErrors.IsExpected(error))
        {
            throw StorageErrors.Translate(error);
        }
    }

    private static ErrorKind Kind(RegistryErrorKind kind) => kind switch
    {
        RegistryErrorKind.NotFound => ErrorKind.NotFound,

        // Not "unauthorized": the docker CLI takes that for a question, and asks its user for a password.
        RegistryErrorKind.Unauthorized or RegistryErrorKind.Denied => ErrorKind.Forbidden,
        RegistryErrorKind.Unavailable => ErrorKind.Remote,
        _ => ErrorKind.System,
    };
}
