using Slipway.Api.Daemon;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Daemon;

/// <summary>How registries are reached, as /info shows it.</summary>
internal static class RegistryShapes
{
    private const string Hub = "docker.io";
    private static readonly string[] s_loopback = ["::1/128", "127.0.0.0/8"];

    public static RegistryConfig Config(RegistryConfiguration configuration)
    {
        ILookup<bool, string> insecure = configuration.InsecureRegistries.ToLookup(entry => entry.Contains('/', StringComparison.Ordinal));
        List<string> mirrors = Mirrors(configuration.Mirrors);
        RegistryConfig config = new()
        {
            InsecureRegistryCIDRs = [.. insecure[true], .. s_loopback],
            IndexConfigs = { [Hub] = new RegistryIndexConfig(Hub, mirrors, Secure: true, Official: true) },
            Mirrors = mirrors.Count == 0 ? null : mirrors,
        };
        foreach (string host in insecure[false])
        {
            config.IndexConfigs[host] = new RegistryIndexConfig(host, [], Secure: false, Official: false);
        }

        foreach ((string host, RegistrySettings settings) in configuration.Registries)
        {
            config.IndexConfigs[host] = new RegistryIndexConfig(host, Mirrors(settings.Mirrors), !settings.Insecure, host == Hub);
        }

        return config;
    }

    /// <summary>A proxy's address without the user and password it may carry.</summary>
    public static string WithoutPassword(string address) =>
        Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) && uri.UserInfo.Length > 0
            ? address.Replace(uri.UserInfo + "@", "xxxxx:xxxxx@", StringComparison.Ordinal)
            : address;

    /// <summary>With the slash at the end that Docker gives them.</summary>
    private static List<string> Mirrors(IEnumerable<string> addresses) => [.. addresses.Select(address => address.TrimEnd('/') + "/")];
}
