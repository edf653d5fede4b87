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
        catch (Exception error) when (error is StorageException or OciException)
        {
            throw StorageErrors.Translate(error);
        }
    }

    /// <summary>As <see cref="OfAsync"/>; that an image is not there, or not for everybody, is told in Docker's words.</summary>
    /// <param name="name">What was asked for.</param>
    public static Task<T> OfPullAsync<T>(Reference name, Func<Task<T>> call) => OfAsync(async () =>
    {
        try
        {
            return await call();
        }
        catch (RegistryException error) when (error.Kind == RegistryErrorKind.NotFound)
        {
            throw new EngineException(ErrorKind.NotFound, $"manifest for {name.Familiar} not found: {error.Message}", error);
        }
        catch (RegistryException error) when (error.Kind == RegistryErrorKind.Denied)
        {
            throw new EngineException(
                ErrorKind.NotFound, $"pull access denied for {name.FamiliarName}, repository does not exist or may require 'docker login': {error.Message}", error);
        }
    });

    private static ErrorKind Kind(RegistryErrorKind kind) => kind switch
    {
        RegistryErrorKind.NotFound => ErrorKind.NotFound,
        RegistryErrorKind.Unauthorized => ErrorKind.Unauthorized,
        RegistryErrorKind.Denied => ErrorKind.Forbidden,
        RegistryErrorKind.Unavailable => ErrorKind.Unavailable,
        _ => ErrorKind.System,
    };
}
