using System.Text.Json;

namespace Slipway.Engine.Cluster.Records;

/// <summary>What a member says of a network that spans hosts: that it has it, or that it is removed, which nothing takes back.</summary>
internal sealed record NetworkRecord
{
    /// <summary>Characters of <see cref="Document"/>.</summary>
    public const int MaxDocument = 16 * 1024;

    public required string Id { get; init; }

    public bool IsRemoved { get; init; }

    /// <summary>Empty for one that is removed.</summary>
    public string Name { get; init; } = "";

    public DateTimeOffset Created { get; init; }

    /// <summary>A stored network (<see cref="Slipway.Engine.Networks.NetworkDocument"/>); null for one that is removed.</summary>
    public JsonElement? Document { get; init; }
}

/// <summary>A container that runs on the member that says so.</summary>
internal sealed record EndpointRecord
{
    public const int MaxNames = 32;

    public required string Id { get; init; }

    /// <summary>Id of the network.</summary>
    public required string Network { get; init; }

    /// <summary>IPv4.</summary>
    public required string Address { get; init; }

    public required string Hardware { get; init; }

    /// <summary>The first is the container's own.</summary>
    public required List<string> Names { get; init; }
}

/// <summary>A change of a member's records: one of network, endpoint, or the key of what is no more.</summary>
/// <param name="Version">Higher than those of the changes before.</param>
internal sealed record RecordChange(long Version, NetworkRecord? Network, EndpointRecord? Endpoint, string? Gone);

/// <summary>How much of a member's records another has.</summary>
/// <param name="Incarnation">Of the records: another begins from nothing.</param>
internal readonly record struct RecordPosition(long Incarnation, long Version);

/// <summary>Changes after a position, in order.</summary>
internal sealed record RecordDelta
{
    public long Incarnation { get; init; }

    /// <summary>The version that the receiver must have for them to be of use.</summary>
    public long Since { get; init; }

    public List<RecordChange> Changes { get; init; } = [];

    /// <summary>With these the receiver has all.</summary>
    public bool IsWhole { get; init; }
}
