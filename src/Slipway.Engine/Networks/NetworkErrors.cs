namespace Slipway.Engine.Networks;

/// <summary>Errors about networks, in Docker's words: clients match on them.</summary>
internal static class NetworkErrors
{
    public static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);

    public static EngineException NotFound(string reference) => new(ErrorKind.NotFound, $"network {reference} not found");

    public static EngineException NoSuchDriver(string name) => new(ErrorKind.NotFound, $"plugin \"{name}\" not found");

    public static EngineException NameInUse(string name) => new(ErrorKind.Conflict, $"network with name {name} already exists");

    public static EngineException Overlaps() => new(ErrorKind.Forbidden, "Pool overlaps with other one on this address space");

    public static EngineException InUse(UserNetwork network) =>
        new(ErrorKind.Forbidden, $"error while removing network: network {network.Name} id {network.Id} has active endpoints");
}
