using System.Globalization;
using System.Net;
using System.Text;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>The options of the bridge driver that mean something here; others are kept and shown, as Docker does.</summary>
/// <param name="Mtu">Bytes; 0 where none is asked for.</param>
/// <param name="HostAddress">Where ports without an address are published; null for all.</param>
internal sealed record BridgeSettings(string? BridgeName, int Mtu, bool Masquerade, bool InterContainer, IPAddress? HostAddress)
{
    public GatewayMode Ipv4Mode { get; private init; }

    public GatewayMode Ipv6Mode { get; private init; }

    /// <summary>The bridge gets no IPv4 address.</summary>
    public bool InhibitIpv4 { get; private init; }

    /// <summary>Containers send with their own addresses only.</summary>
    public bool Antispoof { get; private init; }

    /// <summary>What names of links inside containers begin with.</summary>
    public string LinkPrefix { get; private init; } = "eth";

    /// <summary>From which containers are reached by their own addresses.</summary>
    public IReadOnlyList<string> TrustedInterfaces { get; private init; } = [];

    public const string NameOption = "com.docker.network.bridge.name";
    public const string MtuOption = "com.docker.network.driver.mtu";
    public const string MasqueradeOption = "com.docker.network.bridge.enable_ip_masquerade";
    public const string InterContainerOption = "com.docker.network.bridge.enable_icc";
    public const string HostAddressOption = "com.docker.network.bridge.host_binding_ipv4";
    public const string Ipv4ModeOption = "com.docker.network.bridge.gateway_mode_ipv4";
    public const string Ipv6ModeOption = "com.docker.network.bridge.gateway_mode_ipv6";
    public const string LinkPrefixOption = "com.docker.network.container_iface_prefix";
    public const string InhibitIpv4Option = "com.docker.network.bridge.inhibit_ipv4";
    /// <summary>Not one of Docker's.</summary>
    public const string AntispoofOption = "io.slipway.bridge.antispoof";
    public const string TrustedInterfacesOption = "com.docker.network.bridge.trusted_host_interfaces";

    /// <summary>The smallest an IPv4 interface may have (net/ipv4/devinet.c), and the largest a bridge may.</summary>
    private const int MinMtu = 68;
    private const int MaxMtu = 65535;

    /// <exception cref="EngineException">InvalidParameter: a value that cannot be meant.</exception>
    public static BridgeSettings Parse(IReadOnlyDictionary<string, string> options, bool isInternal)
    {
        (GatewayMode ipv4, GatewayMode ipv6) = (Mode(options, Ipv4ModeOption), Mode(options, Ipv6ModeOption));
        if (!isInternal && (ipv4 == GatewayMode.Isolated || ipv6 == GatewayMode.Isolated))
        {
            throw NetworkErrors.Invalid("gateway mode 'isolated' can only be used for an internal network");
        }

        return new BridgeSettings(
            options.GetValueOrDefault(NameOption) is { Length: > 0 } name ? name : null,
            ParseMtu(options.GetValueOrDefault(MtuOption)),
            Flag(options, MasqueradeOption),
            Flag(options, InterContainerOption),
            Address(options.GetValueOrDefault(HostAddressOption)))
        {
            Ipv4Mode = ipv4,
            Ipv6Mode = ipv6,
            InhibitIpv4 = Flag(options, InhibitIpv4Option, fallback: false),
            Antispoof = Flag(options, AntispoofOption, fallback: false),
            LinkPrefix = Prefix(options.GetValueOrDefault(LinkPrefixOption)),
            TrustedInterfaces = Interfaces(options.GetValueOrDefault(TrustedInterfacesOption) ?? ""),
        };
    }

    /// <summary>With room for a number of three digits.</summary>
    private static string Prefix(string? text) =>
        string.IsNullOrEmpty(text) ? "eth"
        : text.Length <= 12 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') && char.IsAsciiLetter(text[0]) ? text
        : throw NetworkErrors.Invalid($"failed to parse {LinkPrefixOption} value: {text} (at most 12 letters, digits, dashes, dots and underscores, the first a letter)");

    private static GatewayMode Mode(IReadOnlyDictionary<string, string> options, string key) => options.GetValueOrDefault(key) switch
    {
        null or "" or "nat" => GatewayMode.Nat,
        "nat-unprotected" => GatewayMode.NatUnprotected,
        "routed" => GatewayMode.Routed,
        "isolated" => GatewayMode.Isolated,
        var other => throw NetworkErrors.Invalid($"failed to parse {key} value: {other} (unknown gateway mode {other})"),
    };

    private static string[] Interfaces(string text)
    {
        string[] names = text.Split(':', StringSplitOptions.RemoveEmptyEntries);
        return names.FirstOrDefault(name => Encoding.UTF8.GetByteCount(name) > 15 || name.Any(c => c == '/' || char.IsWhiteSpace(c) || char.IsControl(c))) is { } bad
            ? throw NetworkErrors.Invalid($"failed to parse {TrustedInterfacesOption} value: {text} ({bad} is no name of an interface)")
            : names;
    }

    /// <summary>As Go's strconv.ParseBool; null for what it does not take.</summary>
    public static bool? ParseFlag(string text) => text switch
    {
        "1" or "t" or "T" or "true" or "TRUE" or "True" => true,
        "0" or "f" or "F" or "false" or "FALSE" or "False" => false,
        _ => null,
    };

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

    private static bool Flag(IReadOnlyDictionary<string, string> options, string key, bool fallback = true) => options.GetValueOrDefault(key) switch
    {
        null or "" => fallback,
        var text when ParseFlag(text) is { } value => value,
        var other => throw NetworkErrors.Invalid($"failed to parse {key} value: {other} (strconv.ParseBool: parsing \"{other}\": invalid syntax)"),
    };

    private static IPAddress? Address(string? text) =>
        string.IsNullOrEmpty(text) ? null
        : IPAddress.TryParse(text, out IPAddress? address) ? (address.Equals(IPAddress.Any) ? null : address)
        : throw NetworkErrors.Invalid($"failed to parse {HostAddressOption} value: {text} (invalid IP)");
}
