using System.Globalization;
using System.Net;
using System.Net.Sockets;
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
        AddressPools = configuration.AddressPools is { Count: > 0 } pools ? [.. pools.Select(Pool)] : options.AddressPools,
        FixedRange = configuration.FixedCidr is { Length: > 0 } range ? Network("fixed-cidr", range) : null,
        Masquerade = configuration.Masquerade ?? true,
    };

    private static AddressPoolSource Pool(AddressPoolDirectives pool)
    {
        IPNetwork network = Network("default-address-pools", pool.Base ?? "");
        return pool.Size >= network.PrefixLength && pool.Size is >= 1 and <= 30
            ? new AddressPoolSource(network, pool.Size)
            : throw Invalid("default-address-pools", string.Create(CultureInfo.InvariantCulture, $"{pool.Base}, size {pool.Size}"), "the size must be from that of the base to 30");
    }

    /// <summary>As Go reads it: bits beyond the prefix are passed over.</summary>
    private static IPNetwork Network(string key, string text)
    {
        string[] parts = text.Split('/');
        return parts.Length == 2 && IPAddress.TryParse(parts[0], out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length <= 32
                ? DefaultSubnets.NetworkOf(address, length)
                : throw Invalid(key, text, "it is no IPv4 network (CIDR)");
    }

    private static CommandException Invalid(string key, string value, string reason) => new($"unable to configure the Slipway engine: {key}: {value}: {reason}", 1);
}
