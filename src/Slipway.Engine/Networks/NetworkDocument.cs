using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Api.Networks;
using Slipway.Engine.Networks.Types;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>A network of a user as it is stored: what was asked for, and what was chosen where that left it open.</summary>
internal sealed record NetworkDocument
{
    public string Driver { get; init; } = NetworkTypes.Bridge;

    /// <summary>The host's link of a network of the bridge driver; empty for others.</summary>
    public string Bridge { get; init; } = "";

    /// <summary>What of <see cref="Ipv4"/> is stored: null for a network without IPv4.</summary>
    public string? Subnet { get; init; }

    public string? Gateway { get; init; }

    public string? AddressRange { get; init; }

    public IReadOnlyDictionary<string, string>? AuxiliaryAddresses { get; init; }

    public bool HasOwnSubnet { get; init; }

    /// <summary>Null for a network without IPv6.</summary>
    public NetworkSubnet? Ipv6 { get; init; }

    /// <summary>Of a network that spans hosts; null for others.</summary>
    public OverlayDocument? Overlay { get; init; }

    public bool Internal { get; init; }

    public bool Attachable { get; init; }

    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    public IReadOnlyDictionary<string, string>? IpamOptions { get; init; }

    /// <summary>Null for a network without IPv4.</summary>
    [JsonIgnore]
    public NetworkSubnet? Ipv4
    {
        get => Subnet is null || Gateway is null ? null : new NetworkSubnet
        {
            Subnet = Subnet,
            Gateway = Gateway,
            AddressRange = AddressRange,
            AuxiliaryAddresses = AuxiliaryAddresses,
            IsOwn = HasOwnSubnet,
        };
        init => (Subnet, Gateway, AddressRange, AuxiliaryAddresses, HasOwnSubnet) =
            (value?.Subnet, value?.Gateway, value?.AddressRange, value?.AuxiliaryAddresses, value?.IsOwn ?? false);
    }

    [JsonIgnore]
    public IEnumerable<NetworkSubnet> Subnets => new[] { Ipv4, Ipv6 }.OfType<NetworkSubnet>();

    /// <exception cref="JsonException">It was not written by this engine.</exception>
    public static NetworkDocument Parse(byte[] json) => JsonSerializer.Deserialize(json, NetworkJson.Default.NetworkDocument) ?? throw new JsonException("the document is null");

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, NetworkJson.Default.NetworkDocument);

    public BridgeOptions ToBridgeOptions()
    {
        BridgeSettings settings = BridgeSettings.Parse(Options, Internal);
        return new BridgeOptions
        {
            BridgeName = Bridge,
            Ipv4 = Ipv4 is not null,
            Address = Ipv4?.Address,
            AddressRange = Range(Ipv4),
            Ipv6 = Ipv6 is null ? null : new Ipv6Options { Address = Ipv6.Address, AddressRange = Range(Ipv6), Mode = settings.Ipv6Mode },
            ReservedAddresses = [.. Subnets.SelectMany(subnet => subnet.Reserved)],
            Mode = settings.Ipv4Mode,
            LinkPrefix = settings.LinkPrefix,
            InhibitIpv4 = settings.InhibitIpv4,
            TrustedInterfaces = settings.TrustedInterfaces,
            Mtu = settings.Mtu,
            Masquerade = settings.Masquerade,
            InterContainer = settings.InterContainer,
            Antispoof = settings.Antispoof,
            DefaultHostAddress = settings.HostAddress,
            Internal = Internal,
            PoolSize = 0,
            IsolatedPoolSize = 0,
        };
    }

    public IPAM ToIpam() => new()
    {
        Options = IpamOptions is null ? null : new(IpamOptions),
        Config = [.. Subnets.Select(subnet => subnet.ToConfig())],
    };

    private static IPNetwork? Range(NetworkSubnet? subnet) => subnet?.AddressRange is { } range ? IPNetwork.Parse(range) : null;
}

/// <summary>What all hosts of a network that spans several must agree on.</summary>
/// <param name="Number">Of VXLAN (VNI).</param>
/// <param name="BlockPrefix">Bits of the prefix of a block, from which one host gives addresses.</param>
internal sealed record OverlayDocument(int Number, int BlockPrefix);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(NetworkDocument))]
internal sealed partial class NetworkJson : JsonSerializerContext;
