namespace Slipway.Engine.Cluster.Votes;

/// <summary>A claim of a member.</summary>
/// <param name="IsOwned">A majority has voted for it.</param>
internal sealed record HeldClaim(Claim Claim, bool IsOwned);

/// <summary>What a voter says to a member's claims.</summary>
internal sealed record VoteAnswer
{
    /// <summary>Of the voter; see <see cref="Voter.Birth"/>.</summary>
    public long Birth { get; init; }

    /// <summary>Of the claims that are answered; a higher one than was sent: those that were sent are out of date.</summary>
    public long Version { get; init; }

    /// <summary>Keys.</summary>
    public List<string> Granted { get; init; } = [];

    public List<Refusal> Refused { get; init; } = [];
}

/// <summary>Somebody else has a voter's vote.</summary>
/// <param name="Holder">The member.</param>
/// <param name="Network">For which it claimed the thing.</param>
internal sealed record Refusal(string Key, string Holder, string Network);

/// <summary>The votes of a member as they are stored.</summary>
internal sealed record VoterDocument
{
    public long Birth { get; init; }

    public bool IsExperienced { get; init; }

    /// <summary>By member.</summary>
    public Dictionary<string, BallotDocument> Ballots { get; init; } = [];
}

/// <summary>What one member has of a voter.</summary>
internal sealed record BallotDocument
{
    public long Version { get; init; }

    public List<Claim> Votes { get; init; } = [];
}

/// <summary>A member's claims as they are stored.</summary>
internal sealed record ClaimsDocument
{
    public long Version { get; init; }

    public List<HeldClaim> Claims { get; init; } = [];
}
