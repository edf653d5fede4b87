namespace Slipway.Engine.Cluster.Votes;

/// <summary>
/// The votes that this member gives: one for each thing, to whoever claims it first. A vote ends when the member that has it says that it claims the thing no
/// more, and in no other way; so two majorities for one thing cannot be, whatever is lost, cut off or restarted (docs/decisions/0012-votes-and-blocks.md).
/// </summary>
/// <remarks>What <see cref="ToDocument"/> gives must be stored before an answer is sent.</remarks>
internal sealed class Voter
{
    private readonly string _self;
    private readonly IReadOnlyCollection<string> _members;
    private readonly Dictionary<string, Ballot> _ballots = new(StringComparer.Ordinal);
    private readonly HashSet<string> _informed = new(StringComparer.Ordinal);

    /// <param name="members">All, with this one.</param>
    /// <param name="document">What was stored; null for a member that has no memory: it votes once all others know that.</param>
    /// <param name="birth">A number that no earlier life of this member has had.</param>
    public Voter(string self, IReadOnlyCollection<string> members, VoterDocument? document, long birth)
    {
        (_self, _members) = (self, members);
        Birth = document?.Birth ?? birth;
        IsExperienced = document?.IsExperienced ?? members.Count == 1;
        foreach ((string member, BallotDocument ballot) in document?.Ballots ?? [])
        {
            // Of a member that is none any more, nothing is kept for it.
            if (members.Contains(member))
            {
                _ballots[member] = new Ballot { Version = ballot.Version, Votes = [.. ballot.Votes] };
            }
        }
    }

    /// <summary>Tells the lives of this member apart that do not know of each other's votes.</summary>
    public long Birth { get; }

    /// <summary>Whether it votes. Not if it may have forgotten votes that others still count.</summary>
    public bool IsExperienced { get; private set; }

    /// <summary>Answers a member's claims.</summary>
    /// <param name="version">Of the claims: they are answered only if none with a higher one were seen.</param>
    /// <param name="claims">All that the member claims, with whether it has it already.</param>
    /// <param name="knownBirth">The <see cref="Birth"/> of this member whose votes the other counts.</param>
    /// <param name="isRemoved">Whether a network is known to be removed: its name is free.</param>
    /// <param name="changed">Whether something is to be stored.</param>
    public VoteAnswer Receive(string member, long version, IReadOnlyList<HeldClaim> claims, long knownBirth, Func<string, bool> isRemoved, out bool changed)
    {
        changed = false;
        Ballot ballot = _ballots.GetValueOrDefault(member) ?? (_ballots[member] = new Ballot());
        if (version < ballot.Version)
        {
            return new VoteAnswer { Birth = Birth, Version = ballot.Version };
        }

        changed = version > ballot.Version;
        ballot.Version = version;
        HashSet<Claim> claimed = [.. claims.Select(held => held.Claim)];
        changed |= ballot.Votes.RemoveAll(vote => !claimed.Contains(vote)) > 0;
        VoteAnswer answer = new() { Birth = Birth, Version = version };
        foreach (HeldClaim held in claims)
        {
            if (ballot.Votes.Contains(held.Claim))
            {
                answer.Granted.Add(held.Claim.Key);
            }
            else if (HolderOf(member, held.Claim, isRemoved) is { } holder)
            {
                answer.Refused.Add(new Refusal(held.Claim.Key, holder.Member, holder.Network));
            }
            else if (IsExperienced || held.IsOwned)
            {
                // What a member has, a majority gave it: a voter that has forgotten takes it over, so that nobody else gets it.
                ballot.Votes.Add(held.Claim);
                answer.Granted.Add(held.Claim.Key);
                changed = true;
            }
        }

        changed |= Inform(member, knownBirth);
        return answer;
    }

    /// <summary>
    /// A member without memory must not vote before every other has told what it has, and has forgotten the votes of its earlier life: with one of those it
    /// could have a majority of which this member knows nothing.
    /// </summary>
    /// <param name="member">Its claims, as they are, were received in this life.</param>
    /// <returns>Whether something is to be stored.</returns>
    public bool Inform(string member, long knownBirth)
    {
        if (IsExperienced || (member != _self && knownBirth != Birth))
        {
            return false;
        }

        _informed.Add(member);
        IsExperienced = _members.All(other => other == _self || _informed.Contains(other));
        return IsExperienced;
    }

    /// <summary>The member that has this one's vote for something; null where none has.</summary>
    public string? HolderOf(Claim claim) => _ballots.FirstOrDefault(ballot => ballot.Value.Votes.Contains(claim)).Key;

    public VoterDocument ToDocument() => new()
    {
        Birth = Birth,
        IsExperienced = IsExperienced,
        Ballots = _ballots.ToDictionary(ballot => ballot.Key, ballot => new BallotDocument { Version = ballot.Value.Version, Votes = [.. ballot.Value.Votes] }),
    };

    private (string Member, string Network)? HolderOf(string claimant, Claim claim, Func<string, bool> isRemoved)
    {
        foreach ((string member, Ballot ballot) in _ballots)
        {
            foreach (Claim vote in ballot.Votes)
            {
                bool isOwn = member == claimant && vote.Network == claim.Network;
                if (!isOwn && vote.Excludes(claim) && !(vote.IsName && isRemoved(vote.Network)))
                {
                    return (member, vote.Network);
                }
            }
        }

        return null;
    }

    private sealed class Ballot
    {
        public long Version { get; set; }

        public List<Claim> Votes { get; set; } = [];
    }
}
