using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Api.Networks;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>A network of a user as it is stored: what was asked for, and what was chosen where that left it open.</summary>
internal sealed record NetworkDocument
{
    public required string Bridge { get; init; }

    public required string Subnet { get; init; }

    public required string Gateway { get; init; }

    public string? AddressRange { get; init; }

    public IReadOnlyDictionary<string, string>? AuxiliaryAddresses { get; init; }

    /// <summary>The subnet was asked for: only then containers may ask for addresses.</summary>
    public bool HasOwnSubnet { get; init; }

    public bool Internal { get; init; }

    public bool Attachable { get; init; }

    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    public IReadOnlyDictionary<string, string>? IpamOptions { get; init; }

    public IPNetwork SubnetRange => IPNetwork.Parse(Subnet);

    /// <exception cref="JsonException">It was not written by this engine.</exception>
    public static NetworkDocument Parse(byte[] json) => JsonSerializer.Deserialize(json, NetworkJson.Default.NetworkDocument) ?? throw new JsonException("the document is null");

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, NetworkJson.Default.NetworkDocument);

    public BridgeOptions ToOptions()
    {
        BridgeSettings settings = BridgeSettings.Parse(Options);
        return new BridgeOptions
        {
            BridgeName = Bridge,
            Address = (IPAddress.Parse(Gateway), SubnetRange.PrefixLength),
            AddressRange = AddressRange is null ? null : IPNetwork.Parse(AddressRange),
            ReservedAddresses = [.. (AuxiliaryAddresses?.Values ?? []).Select(IPAddress.Parse)],
            Mtu = settings.Mtu,
            Masquerade = settings.Masquerade,
            InterContainer = settings.InterContainer,
            DefaultHostAddress = settings.HostAddress,
            Internal = Internal,
            PoolSize = 0,
            IsolatedPoolSize = 0,
        };
    }

    public IPAM ToIpam() => new()
    {
        Options = IpamOptions is null ? null : new(IpamOptions),
        Config =
        [
            new IPAMConfig
            {
                Subnet = Subnet,
                IPRange = AddressRange,
                Gateway = Gateway,
                AuxiliaryAddresses = AuxiliaryAddresses is { Count: > 0 } ? new(AuxiliaryAddresses) : null,
            },
        ],
    };
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(NetworkDocument))]
internal sealed partial class NetworkJson : JsonSerializerContext;
