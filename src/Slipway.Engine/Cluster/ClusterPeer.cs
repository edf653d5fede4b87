using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Cluster.Votes;

namespace Slipway.Engine.Cluster;

/// <summary>What this member knows of another.</summary>
internal sealed class ClusterPeer(string name)
{
    public string Name { get; } = name;

    public PeerRecords Records { get; } = new();

    /// <summary>What it claims, as it told last.</summary>
    public IReadOnlyList<HeldClaim> Claims { get; set; } = [];

    /// <summary>Of <see cref="Claims"/>; 0: it has not told.</summary>
    public long ClaimsVersion { get; set; }

    /// <summary>What it has of this member's records.</summary>
    public RecordPosition Has { get; set; }

    /// <summary>The version of this member's claims that it has in memory.</summary>
    public long HasClaims { get; set; }

    /// <summary>When its engine spoke last (a time stamp); null: not in this life of ours.</summary>
    public long? Heard { get; set; }

    /// <summary>When it was last seen that the host is there, though its engine may not be.</summary>
    public long? Seen { get; set; }

    /// <summary>It is there, as far as this member knows.</summary>
    public bool IsAlive { get; set; }

    /// <summary>Why it was not reached last; null where it was.</summary>
    public string? Failure { get; set; }
}
