using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Slipway.Engine;
using Slipway.Networking;

namespace Slipway.Cli.Roles;

/// <summary>A pool that networks without a subnet of their own are cut from (an element of <c>default-address-pools</c>).</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record AddressPoolDirectives
{
    [JsonPropertyName("base")]
    public string? Base { get; init; }

    /// <summary>Bits of each network's prefix.</summary>
    [JsonPropertyName("size")]
    public int Size { get; init; }
}

/// <summary>The directives about networks.</summary>
internal static class NetworkDirectives
{
    /// <exception cref="CommandException">A value that cannot be meant.</exception>
    public static EngineOptions Apply(DaemonConfiguration configuration, EngineOptions options) => options with
    {
        AddressPools = Pools(configuration) ?? options.AddressPools,
        BridgePools = Pools(configuration) ?? options.BridgePools,
        FixedRange = Network("fixed-cidr", configuration.FixedCidr, AddressFamily.InterNetwork),
        DefaultGateway = Address("default-gateway", configuration.DefaultGateway, AddressFamily.InterNetwork),
        Masquerade = configuration.Masquerade ?? true,
        PublishedPorts = configuration.PublishedPorts switch
        {
            null or "" or "input" => PortAdmission.Input,
            "forward" => PortAdmission.Forward,
            { } other => throw Invalid("published-ports", other, "it must be input or forward"),
        },
        Ipv6 = configuration.Ipv6 ?? false,
        Ipv6BridgeAddress = BridgeAddress("bip6", configuration.Ipv6BridgeAddress),
        Ipv6FixedRange = Network("fixed-cidr-v6", configuration.Ipv6FixedCidr, AddressFamily.InterNetworkV6),
        Ipv6DefaultGateway = Address("default-gateway-v6", configuration.Ipv6DefaultGateway, AddressFamily.InterNetworkV6),
        NetworkDefaults = (configuration.NetworkDefaults ?? []).ToDictionary(driver => driver.Key, driver => (IReadOnlyDictionary<string, string>)driver.Value),
    };

    /// <summary>What flags say (<c>driver=option=value</c>), as the file says it.</summary>
    /// <exception cref="CommandException">One is not of this form.</exception>
    public static JsonObject Options(IEnumerable<string> values)
    {
        JsonObject drivers = [];
        foreach (string value in values)
        {
            if (value.Split('=', 3) is not [{ Length: > 0 } driver, { Length: > 0 } option, string text])
            {
                throw Invalid("default-network-opt", value, "it is not driver=option=value");
            }

            drivers.TryAdd(driver, new JsonObject());
            drivers[driver]!.AsObject()[option] = text;
        }

        return drivers;
    }

    private static IReadOnlyList<AddressPoolSource>? Pools(DaemonConfiguration configuration) =>
        configuration.AddressPools is { Count: > 0 } pools ? [.. pools.Select(pool => Pool("default-address-pools", pool))] : null;

    /// <param name="key">Where it stands, for messages.</param>
    /// <exception cref="CommandException">It cannot be meant.</exception>
    public static AddressPoolSource Pool(string key, AddressPoolDirectives pool)
    {
        IPNetwork network = Cidr(pool.Base ?? "") is { } cidr ? DefaultSubnets.NetworkOf(cidr.Address, cidr.PrefixLength) : throw Invalid(key, pool.Base ?? "", "it is no network (CIDR)");
        int largest = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? 30 : 126;
        return pool.Size >= network.PrefixLength && pool.Size >= 1 && pool.Size <= largest
            ? new AddressPoolSource(network, pool.Size)
            : throw Invalid(key, string.Create(CultureInfo.InvariantCulture, $"{pool.Base}, size {pool.Size}"), $"the size must be from that of the base to {largest}");
    }

    /// <summary>As Go reads it: bits beyond the prefix are passed over.</summary>
    private static IPNetwork? Network(string key, string? text, AddressFamily family) =>
        string.IsNullOrEmpty(text) ? null
        : Cidr(text) is { } cidr && cidr.Address.AddressFamily == family ? DefaultSubnets.NetworkOf(cidr.Address, cidr.PrefixLength)
        : throw Invalid(key, text, $"it is no {Name(family)} network (CIDR)");

    private static IPAddress? Address(string key, string? text, AddressFamily family) =>
        string.IsNullOrEmpty(text) ? null
        : IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == family ? address
        : throw Invalid(key, text, $"it is no {Name(family)} address");

    private static (IPAddress Address, int PrefixLength)? BridgeAddress(string key, string? text) =>
        string.IsNullOrEmpty(text) ? null
        : Cidr(text) is { Address.AddressFamily: AddressFamily.InterNetworkV6, PrefixLength: >= 8 and <= 126 } cidr ? cidr
        : throw Invalid(key, text, "it is no IPv6 address with a prefix of 8 to 126 bits (CIDR)");

    private static (IPAddress Address, int PrefixLength)? Cidr(string text)
    {
        string[] parts = text.Split('/');
        return parts.Length == 2 && IPAddress.TryParse(parts[0], out IPAddress? address)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length <= (address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128)
                ? (address, length)
                : null;
    }

    private static string Name(AddressFamily family) => family == AddressFamily.InterNetwork ? "IPv4" : "IPv6";

    private static CommandException Invalid(string key, string value, string reason) => new($"unable to configure the Slipway engine: {key}: {value}: {reason}", 1);
}
