namespace Slipway.Engine.Volumes;

/// <summary>Errors about volumes, in Docker's words.</summary>
internal static class VolumeErrors
{
    public static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);

    public static EngineException NoSuchVolume(string name) => new(ErrorKind.NotFound, $"get {name}: no such volume");

    public static EngineException InUse(string verb, VolumeEntry volume) =>
        new(ErrorKind.Conflict, $"{verb} {volume.Name}: volume is in use - [{string.Join(", ", volume.Users)}]");

    public static EngineException Exists(string verb, string name) => new(ErrorKind.Conflict, $"{verb} {name}: there is a volume of this name");

    public static EngineException NoDriver(string name, string driver) =>
        new(ErrorKind.NotFound, $"create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found");

    public static EngineException OtherDriver(VolumeEntry volume) =>
        new(ErrorKind.Conflict, $"create {volume.Name}: conflict: volume name must be unique: driver '{volume.Document!.Driver}' already has volume '{volume.Name}'");
}
