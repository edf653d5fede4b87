using System.Net;
using System.Text.Json.Serialization;
using Slipway.Api.Networks;

namespace Slipway.Engine.Networks;

/// <summary>A subnet of a network, of one address family.</summary>
internal sealed record NetworkSubnet
{
    /// <summary>As <c>172.20.0.0/16</c>.</summary>
    public required string Subnet { get; init; }

    public required string Gateway { get; init; }

    public string? AddressRange { get; init; }

    public IReadOnlyDictionary<string, string>? AuxiliaryAddresses { get; init; }

    /// <summary>The subnet was asked for: only then containers may ask for addresses.</summary>
    public bool IsOwn { get; init; }

    [JsonIgnore]
    public IPNetwork Range => IPNetwork.Parse(Subnet);

    /// <summary>The bridge's address and the bits of its prefix.</summary>
    [JsonIgnore]
    public (IPAddress Address, int PrefixLength) Address => (IPAddress.Parse(Gateway), Range.PrefixLength);

    [JsonIgnore]
    public IEnumerable<IPAddress> Reserved => (AuxiliaryAddresses?.Values ?? []).Select(IPAddress.Parse);

    public IPAMConfig ToConfig() => new()
    {
        Subnet = Subnet,
        IPRange = AddressRange,
        Gateway = Gateway,
        AuxiliaryAddresses = AuxiliaryAddresses is { Count: > 0 } ? new(AuxiliaryAddresses) : null,
    };
}
