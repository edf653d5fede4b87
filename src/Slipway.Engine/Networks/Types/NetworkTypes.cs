namespace Slipway.Engine.Networks.Types;

/// <summary>The kinds of networks that users can make.</summary>
internal sealed class NetworkTypes(params IReadOnlyList<INetworkType> types)
{
    public const string Bridge = "bridge";
    public const string Host = "host";
    public const string Null = "null";
    public const string Overlay = "overlay";

    /// <summary>Of a request; empty means a bridge.</summary>
    /// <exception cref="EngineException">NotFound: there is no such driver. Forbidden or Unavailable: no network of it can be made.</exception>
    public INetworkType Find(string driver) =>
        types.FirstOrDefault(type => type.Name == (driver.Length == 0 ? Bridge : driver)) ?? throw (driver switch
        {
            Host or Null => new EngineException(ErrorKind.Forbidden, $"only one instance of \"{driver}\" network is allowed"),
            _ => NetworkErrors.NoSuchDriver(driver),
        });
}
