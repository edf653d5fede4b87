using System.Globalization;
using System.Net;

namespace Slipway.Engine.Networks;

/// <summary>The options of the bridge driver that mean something here; others are kept and shown, as Docker does.</summary>
/// <param name="Mtu">Bytes; 0 where none is asked for.</param>
/// <param name="HostAddress">Where ports without an address are published; null for all.</param>
internal sealed record BridgeSettings(string? BridgeName, int Mtu, bool Masquerade, bool InterContainer, IPAddress? HostAddress)
{
    public const string NameOption = "com.docker.network.bridge.name";
    public const string MtuOption = "com.docker.network.driver.mtu";
    public const string MasqueradeOption = "com.docker.network.bridge.enable_ip_masquerade";
    public const string InterContainerOption = "com.docker.network.bridge.enable_icc";
    public const string HostAddressOption = "com.docker.network.bridge.host_binding_ipv4";
    public const string GatewayModeOption = "com.docker.network.bridge.gateway_mode_ipv4";

    /// <summary>The smallest an IPv4 interface may have (net/ipv4/devinet.c), and the largest a bridge may.</summary>
    private const int MinMtu = 68;
    private const int MaxMtu = 65535;

    /// <exception cref="EngineException">InvalidParameter: a value that cannot be meant.</exception>
    public static BridgeSettings Parse(IReadOnlyDictionary<string, string> options)
    {
        string? mode = options.GetValueOrDefault(GatewayModeOption);
        if (mode is not (null or "" or "nat"))
        {
            throw NetworkErrors.Invalid($"{GatewayModeOption} {mode} is not supported: nat is");
        }

        return new BridgeSettings(
            options.GetValueOrDefault(NameOption) is { Length: > 0 } name ? name : null,
            ParseMtu(options.GetValueOrDefault(MtuOption)),
            Flag(options, MasqueradeOption),
            Flag(options, InterContainerOption),
            Address(options.GetValueOrDefault(HostAddressOption)));
    }

    private static int ParseMtu(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return 0;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int mtu) && mtu is 0 or (>= MinMtu and <= MaxMtu)
            ? mtu
            : throw NetworkErrors.Invalid($"failed to parse {MtuOption} value: {text} (bytes, {MinMtu} to {MaxMtu})");
    }

    private static bool Flag(IReadOnlyDictionary<string, string> options, string key) => options.GetValueOrDefault(key) switch
    {
        null or "" or "1" or "t" or "T" or "true" or "TRUE" or "True" => true,
        "0" or "f" or "F" or "false" or "FALSE" or "False" => false,
        var other => throw NetworkErrors.Invalid($"failed to parse {key} value: {other} (strconv.ParseBool: parsing \"{other}\": invalid syntax)"),
    };

    private static IPAddress? Address(string? text) =>
        string.IsNullOrEmpty(text) ? null
        : IPAddress.TryParse(text, out IPAddress? address) ? (address.Equals(IPAddress.Any) ? null : address)
        : throw NetworkErrors.Invalid($"failed to parse {HostAddressOption} value: {text} (invalid IP)");
}
