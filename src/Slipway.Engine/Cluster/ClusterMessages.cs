using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Engine.Cluster.Keys;
using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Cluster.Votes;
using Slipway.Kernel.Netlink;

namespace Slipway.Engine.Cluster;

/// <summary>What a member tells another, at least every second: that it lives, what it claims, and what of its records changed.</summary>
internal sealed record Push
{
    /// <summary>The member that speaks; its certificate must be that member's.</summary>
    public string From { get; init; } = "";

    public long ClaimsVersion { get; init; }

    /// <summary>All claims; null where the receiver has them.</summary>
    public List<HeldClaim>? Claims { get; init; }

    /// <summary>The receiver's <see cref="Voter.Birth"/> whose votes the sender counts.</summary>
    public long KnownBirth { get; init; }

    public RecordDelta Records { get; init; } = new();

    /// <summary>What the sender has of the receiver's records.</summary>
    public RecordPosition Have { get; init; }

    /// <summary>Checks a message of another member, of which nothing is believed.</summary>
    /// <exception cref="ClusterProtocolException">It is larger or other than an engine would make it.</exception>
    public void Validate()
    {
        const int MaxClaims = 20_000;
        Check(Claims is null || (Claims.Count <= MaxClaims && Claims.TrueForAll(held => held?.Claim is { IsValid: true })), "claims");
        Check(ClaimsVersion >= 0 && Records is { Changes.Count: <= OwnRecords.MaxChanges, Since: >= 0, Incarnation: >= 0 }, "positions");
        long version = Records.Since;
        foreach (RecordChange change in Records.Changes)
        {
            Check(change is not null && change.Version > version, "order of changes");
            version = change!.Version;
            Check((change.Network is null ? 0 : 1) + (change.Endpoint is null ? 0 : 1) + (change.Gone is null ? 0 : 1) == 1, "a change");
            Check(change.Network is null || IsValid(change.Network), "a network");
            Check(change.Endpoint is null || IsValid(change.Endpoint), "an endpoint");
            Check(change.Gone is null or { Length: <= 80 }, "a key");
        }
    }

    private static bool IsValid(NetworkRecord network)
    {
        const int MaxName = 200;
                return Identifiers.IsFull(network.Id) && network.Name is { Length: <= MaxName }
            && (network.IsRemoved || (network.Name.Length > 0 && network.Document is { ValueKind: JsonValueKind.Object } document && document.GetRawText().Length <= NetworkRecord.MaxDocument));
    }

    private static bool IsValid(EndpointRecord endpoint)
    {
        const int MaxNameLength = 255;
        return Identifiers.IsFull(endpoint.Id) && Identifiers.IsFull(endpoint.Network)
            && IPAddress.TryParse(endpoint.Address, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork && address.ToString() == endpoint.Address
            && MacAddress.TryParse(endpoint.Hardware, out MacAddress hardware) && hardware.IsUnicast
            && endpoint.Names is { Count: > 0 and <= EndpointRecord.MaxNames } names && names.TrueForAll(name => name is { Length: > 0 and <= MaxNameLength });
    }

    private static void Check(bool holds, string what)
    {
        if (!holds)
        {
            throw new ClusterProtocolException($"{what} cannot be meant");
        }
    }
}

/// <summary>The answer to a <see cref="Push"/>.</summary>
internal sealed record PushAnswer
{
    /// <summary>To the sender's claims; null where it sent none.</summary>
    public VoteAnswer? Votes { get; init; }

    /// <summary>Of the receiver; see <see cref="Voter.Birth"/>.</summary>
    public long Birth { get; init; }

    /// <summary>The version of the sender's claims that the receiver has in memory; 0: none.</summary>
    public long ClaimsVersion { get; init; }

    /// <summary>What the receiver has of the sender's records.</summary>
    public RecordPosition Have { get; init; }
}

/// <summary>Another member says what cannot be meant.</summary>
internal sealed class ClusterProtocolException(string message) : Exception(message);

/// <summary>What a member remembers from one life to the next, beside votes and claims.</summary>
internal sealed record MemoryDocument
{
    /// <summary>Of its records.</summary>
    public long Incarnation { get; init; }

    /// <summary>Ids of networks that are removed, the last ones last.</summary>
    public List<string> Removed { get; init; } = [];
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, IgnoreReadOnlyProperties = true, MaxDepth = 16)]
[JsonSerializable(typeof(Push))]
[JsonSerializable(typeof(PushAnswer))]
[JsonSerializable(typeof(KeyRequest))]
[JsonSerializable(typeof(KeyAnswer))]
[JsonSerializable(typeof(VoterDocument))]
[JsonSerializable(typeof(ClaimsDocument))]
[JsonSerializable(typeof(MemoryDocument))]
internal sealed partial class ClusterJson : JsonSerializerContext;
