using Slipway.Networking;
using Slipway.Storage;

namespace Slipway.Engine.Containers;

/// <summary>Errors about containers, in Docker's words: clients match on them.</summary>
internal static class ContainerErrors
{
    public static EngineException NoSuchContainer(string reference) => new(ErrorKind.NotFound, $"No such container: {reference}");

    public static EngineException NameInUse(string name, string ownerId) => new(
        ErrorKind.Conflict,
        $"Conflict. The container name \"/{name}\" is already in use by container \"{ownerId}\". You have to remove (or rename) that container to be able to reuse that name.");

    public static EngineException NotRunning(string id) => new(ErrorKind.Conflict, $"container {id} is not running");

    public static EngineException IsPaused(string id, string unpauseBefore) =>
        new(ErrorKind.Conflict, $"container {id} is paused, unpause the container before {unpauseBefore}");

    public static EngineException IsRestarting(string id) =>
        new(ErrorKind.Conflict, $"Container {id} is restarting, wait until the container is running");

    public static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);

    /// <summary>An option that a later version will know: told, never passed over.</summary>
    public static EngineException Unsupported(string option) => new(ErrorKind.NotImplemented, $"{option} is not supported yet");

    public static EngineException From(StorageException exception) => new(
        exception.Kind switch
        {
            StorageErrorKind.NotFound => ErrorKind.NotFound,
            StorageErrorKind.Conflict => ErrorKind.Conflict,
            StorageErrorKind.InvalidParameter => ErrorKind.InvalidParameter,
            StorageErrorKind.ReadOnly => ErrorKind.Forbidden,
            _ => ErrorKind.System,
        },
        exception.Message,
        exception);

    /// <summary>Docker answers a start whose network fails with 500 but for bad input.</summary>
    public static EngineException From(NetworkException exception) => new(
        exception.Kind switch
        {
            NetworkErrorKind.InvalidParameter => ErrorKind.InvalidParameter,
            _ => ErrorKind.System,
        },
        $"failed to set up container networking: {exception.Message}",
        exception);
}
