namespace Slipway.Engine.Cluster.Votes;

/// <summary>
/// What this member claims, and what of it it has: that for which a majority of the members has voted, in answers to claims in which it stood. What it has it
/// keeps until it gives it back, whatever happens to the others.
/// </summary>
/// <remarks>What <see cref="ToDocument"/> gives must be stored before the claims are sent, and before what is had is used.</remarks>
internal sealed class ClaimSet
{
    private readonly int _majority;
    private readonly List<Entry> _entries = [];
    private readonly Dictionary<string, VoteAnswer> _answers = new(StringComparer.Ordinal);

    /// <param name="members">How many there are.</param>
    /// <param name="firstVersion">
    /// Of a member without memory: higher than all versions of its earlier lives, so that what they claimed is given back. The time is.
    /// </param>
    public ClaimSet(int members, ClaimsDocument? document, long firstVersion)
    {
        _majority = (members / 2) + 1;
        Version = document?.Version ?? firstVersion;
        _entries.AddRange((document?.Claims ?? []).Select(held => new Entry(held.Claim, Version) { IsOwned = held.IsOwned }));
    }

    /// <summary>Higher with every change of what is claimed or had.</summary>
    public long Version { get; private set; }

    /// <summary>Something is claimed that is not had.</summary>
    public bool IsPending => _entries.Exists(entry => !entry.IsOwned);

    public IReadOnlyList<HeldClaim> All => [.. _entries.Select(entry => new HeldClaim(entry.Claim, entry.IsOwned))];

    /// <summary>The <see cref="Voter.Birth"/> of a voter whose votes are counted; 0: of none.</summary>
    public long BirthOf(string voter) => _answers.GetValueOrDefault(voter)?.Birth ?? 0;

    /// <summary>The version that a voter answered last.</summary>
    public long AnsweredBy(string voter) => _answers.GetValueOrDefault(voter)?.Version ?? 0;

    /// <returns>Null; or what this member claims already for another network, and then nothing is claimed.</returns>
    public Claim? Add(IReadOnlyCollection<Claim> claims)
    {
        if (_entries.Find(entry => claims.Any(claim => claim != entry.Claim && claim.Excludes(entry.Claim))) is { } rival)
        {
            return rival.Claim;
        }

        Version++;
        foreach (Claim claim in claims.Where(claim => !_entries.Exists(entry => entry.Claim == claim)))
        {
            _entries.Add(new Entry(claim, Version));
        }

        return null;
    }

    /// <summary>Gives back.</summary>
    /// <returns>Whether there was anything.</returns>
    public bool Remove(Func<Claim, bool> which)
    {
        if (_entries.RemoveAll(entry => which(entry.Claim)) == 0)
        {
            return false;
        }

        Version++;
        return true;
    }

    public bool Has(Claim claim) => _entries.Exists(entry => entry.IsOwned && entry.Claim == claim);

    public bool Claims(Claim claim) => _entries.Exists(entry => entry.Claim == claim);

    /// <summary>Takes a voter's answer in the place of its earlier one.</summary>
    /// <returns>Whether something is to be stored.</returns>
    public bool Answered(string voter, VoteAnswer answer)
    {
        if (answer.Version > Version)
        {
            // This member has an older memory than others have of it: what it claims is to count from now on.
            Version = answer.Version + 1;
            _entries.ForEach(entry => entry.Since = Version);
            return true;
        }

        _answers[voter] = answer;
        bool changed = false;
        foreach (Entry entry in _entries.Where(entry => !entry.IsOwned && Votes(entry).Count() >= _majority))
        {
            changed = entry.IsOwned = true;
        }

        Version += changed ? 1 : 0; // the others are told
        return changed;
    }

    /// <summary>Who has what this member claims, by the voters that answered; null where nobody refused it.</summary>
    public Refusal? RefusedBy(Claim claim) => _entries.Find(entry => entry.Claim == claim) is not { } entry ? null
        : _answers.Values.Where(answer => answer.Version >= entry.Since).SelectMany(answer => answer.Refused).FirstOrDefault(refusal => refusal.Key == claim.Key);

    public ClaimsDocument ToDocument() => new() { Version = Version, Claims = [.. All] };

    private IEnumerable<string> Votes(Entry entry) =>
        from answer in _answers
        where answer.Value.Version >= entry.Since && answer.Value.Granted.Contains(entry.Claim.Key)
        select answer.Key;

    private sealed class Entry(Claim claim, long since)
    {
        public Claim Claim { get; } = claim;

        /// <summary>The version from which on it is claimed without a break: answers to earlier ones do not count.</summary>
        public long Since { get; set; } = since;

        public bool IsOwned { get; set; }
    }
}
