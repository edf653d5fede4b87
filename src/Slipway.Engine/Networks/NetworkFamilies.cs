namespace Slipway.Engine.Networks;

/// <summary>Which address families a network that is created has, and the driver options by which that may be said too.</summary>
internal sealed record NetworkFamilies(bool Ipv4, bool Ipv6)
{
    private const string EnableIpv4 = "com.docker.network.enable_ipv4";
    private const string EnableIpv6 = "com.docker.network.enable_ipv6";

    /// <param name="ipv4">As the request says; null: as the options do, else true.</param>
    /// <param name="ipv6">As the request says; null: as the options do, else false.</param>
    /// <param name="options">Loses what the request overrides: it would be shown and not be so.</param>
    /// <exception cref="EngineException">InvalidParameter: neither, or an option that is neither true nor false.</exception>
    public static NetworkFamilies Choose(bool? ipv4, bool? ipv6, Dictionary<string, string> options)
    {
        NetworkFamilies chosen = new(Choose(ipv4, options, EnableIpv4, fallback: true), Choose(ipv6, options, EnableIpv6, fallback: false));
        return chosen is { Ipv4: false, Ipv6: false } ? throw NetworkErrors.Invalid("IPv4 or IPv6 must be enabled") : chosen;
    }

    /// <summary>The options of a request, with the daemon's defaults for those that it does not have.</summary>
    public static Dictionary<string, string> WithDefaults(IReadOnlyDictionary<string, string>? requested, IReadOnlyDictionary<string, string>? defaults)
    {
        Dictionary<string, string> options = new(requested ?? new Dictionary<string, string>());
        foreach ((string key, string value) in defaults ?? new Dictionary<string, string>())
        {
            options.TryAdd(key, value);
        }

        return options;
    }

    private static bool Choose(bool? requested, Dictionary<string, string> options, string key, bool fallback)
    {
        if (requested is { } value)
        {
            options.Remove(key);
            return value;
        }

        return !options.TryGetValue(key, out string? text) ? fallback
            : BridgeSettings.ParseFlag(text) ?? throw NetworkErrors.Invalid($"driver-opt \"{key}\" is not a valid bool");
    }
}
