using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Cluster.Votes;

namespace Slipway.Engine.Cluster;

/// <summary>
/// A member of a cluster, without its transport and disk: what it says to others, what it makes of what they say, and who is there. Used by one caller at a time;
/// what is to be stored (<see cref="TakeUnsaved"/>) must be before anything that was made since is sent or used.
/// </summary>
internal sealed class ClusterState
{
    /// <summary>How long a member may be silent: five messages.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a host whose engine is not running is there all the same: it refuses connections, so its kernel answers, and its containers run on.
    /// </summary>
    public static readonly TimeSpan EngineAbsence = TimeSpan.FromMinutes(10);

    private const int MaxRemoved = 4096;

    private readonly TimeProvider _time;
    private readonly long _began;
    private readonly List<ClusterPeer> _peers;
    private readonly List<string> _removed;
    private readonly HashSet<string> _removedSet;
    private readonly Dictionary<string, string> _blockOwners = new(StringComparer.Ordinal);
    private readonly long _incarnation;

    /// <param name="members">All, with this one.</param>
    public ClusterState(string self, IReadOnlyList<string> members, ClusterMemory memory, TimeProvider time)
    {
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        (Self, _time, _began) = (self, time, time.GetTimestamp());
        Members = [.. members.Order(StringComparer.Ordinal)];
        _peers = [.. Members.Where(member => member != self).Select(member => new ClusterPeer(member))];
        Voter = new Voter(self, Members, memory.Votes, now);
        Claims = new ClaimSet(Members.Count, memory.Claims, now);
        _incarnation = Math.Max(now, (memory.Memory?.Incarnation ?? 0) + 1);
        _removed = [.. memory.Memory?.Removed ?? []];
        _removedSet = [.. _removed];
        Own = new OwnRecords(_incarnation);
        _removed.ForEach(id => Own.Set(new NetworkRecord { Id = id, IsRemoved = true }));
        Unsaved = ClusterParts.All;
        VoteForSelf();
    }

    public string Self { get; }

    /// <summary>All members, in an order that all agree on.</summary>
    public IReadOnlyList<string> Members { get; }

    public Voter Voter { get; }

    public ClaimSet Claims { get; }

    public OwnRecords Own { get; }

    public IReadOnlyList<ClusterPeer> Peers => _peers;

    /// <summary>Changes with everything that containers here see of the cluster.</summary>
    public long Revision { get; private set; }

    private ClusterParts Unsaved { get; set; }

    /// <summary>Lets those who follow look again.</summary>
    public void Touch() => Revision++;

    /// <summary>What this member knows of networks: of itself what others told.</summary>
    public IEnumerable<NetworkRecord> Networks => _peers.SelectMany(peer => peer.Records.Networks);

    public bool IsRemoved(string network) =>
        _removedSet.Contains(network) || Networks.Any(record => record.IsRemoved && record.Id == network);

    /// <summary>A network is gone for good. What was claimed for it is given back.</summary>
    public void Remove(string network)
    {
        if (_removedSet.Add(network))
        {
            _removed.Add(network);
            if (_removed.Count > MaxRemoved)
            {
                _removedSet.Remove(_removed[0]);
                _removed.RemoveAt(0);
            }

            Unsaved |= ClusterParts.Memory;
        }

        Own.Set(new NetworkRecord { Id = network, IsRemoved = true });
        Release(claim => claim.Network == network);
    }

    /// <inheritdoc cref="ClaimSet.Add"/>
    public Claim? Claim(IReadOnlyCollection<Claim> claims)
    {
        if (Claims.Add(claims) is { } rival)
        {
            return rival;
        }

        Unsaved |= ClusterParts.Claims;
        VoteForSelf();
        return null;
    }

    public void Release(Func<Claim, bool> which)
    {
        if (Claims.Remove(which))
        {
            Unsaved |= ClusterParts.Claims;
            VoteForSelf();
        }
    }

    /// <summary>
    /// The member that has a block, as far as is known: this one; the one it has this one's vote; or who said so first. Others that say so are not believed.
    /// </summary>
    public string? OwnerOf(Claim block)
    {
        if (Claims.Claims(block))
        {
            return Claims.Has(block) ? Self : null;
        }

        string? owner = Voter.HolderOf(block) is { } holder && Says(holder) ? holder
            : _blockOwners.GetValueOrDefault(block.Key) is { } known && Says(known) ? known
            : _peers.Find(peer => Says(peer.Name))?.Name;
        if (owner is not null)
        {
            _blockOwners[block.Key] = owner;
        }

        return owner;

        bool Says(string member) => _peers.Find(peer => peer.Name == member)?.Claims.Any(held => held.IsOwned && held.Claim == block) == true;
    }

    /// <summary>Whether a block is claimed by another member, as far as is known.</summary>
    public bool IsClaimedByOther(Claim block) =>
        (Voter.HolderOf(block) is { } holder && holder != Self) || _peers.Exists(peer => peer.Claims.Any(held => held.Claim == block));

    /// <summary>The containers on members that are there.</summary>
    public IEnumerable<(string Member, EndpointRecord Endpoint)> Endpoints =>
        from peer in _peers
        where peer.IsAlive
        from endpoint in peer.Records.Endpoints
        select (peer.Name, endpoint);

    /// <summary>Nothing was heard of a member yet, and it may still be there.</summary>
    public bool IsUncertain(string member) => _peers.Find(peer => peer.Name == member) is { Heard: null } peer
        && (_time.GetElapsedTime(_began) < Silence || (peer.Seen is { } seen && _time.GetElapsedTime(seen) < Silence));

    /// <summary>What another member is to be told.</summary>
    public Push PushTo(ClusterPeer peer) => new()
    {
        From = Self,
        ClaimsVersion = Claims.Version,
        Claims = peer.HasClaims == Claims.Version && Claims.AnsweredBy(peer.Name) == Claims.Version && !Claims.IsPending ? null : [.. Claims.All],
        KnownBirth = Claims.BirthOf(peer.Name),
        Records = Own.Since(peer.Has),
        Have = peer.Records.Position,
    };

    /// <summary>Another member's certificate shows that it said this.</summary>
    /// <exception cref="ClusterProtocolException">It is none of the members, or says what cannot be meant; nothing is taken of it.</exception>
    public PushAnswer Receive(Push push)
    {
        ClusterPeer peer = _peers.Find(known => known.Name == push.From) ?? throw new ClusterProtocolException($"{push.From} is no member of the cluster");
        push.Validate();
        Hear(peer);
        VoteAnswer? votes = null;
        if (push.Claims is { } claims)
        {
            votes = Voter.Receive(peer.Name, push.ClaimsVersion, claims, push.KnownBirth, IsRemoved, out bool changed);
            Unsaved |= changed ? ClusterParts.Votes : 0;
            if (votes.Version == push.ClaimsVersion)
            {
                Revision += peer.ClaimsVersion == push.ClaimsVersion && peer.Claims.SequenceEqual(claims) ? 0 : 1;
                (peer.Claims, peer.ClaimsVersion) = (claims, push.ClaimsVersion);
            }

            VoteForSelf(); // what the other gave back may be free now, and what it told may have made this member experienced
        }
        else if (peer.ClaimsVersion == push.ClaimsVersion && Voter.Inform(peer.Name, push.KnownBirth))
        {
            Unsaved |= ClusterParts.Votes;
            VoteForSelf();
        }

        if (peer.Records.Apply(push.Records))
        {
            Revision++;
        }

        if (push.Have != peer.Has && (push.Have.Incarnation != peer.Has.Incarnation || push.Have.Version < peer.Has.Version))
        {
            peer.Has = push.Have; // it began anew
        }

        return new PushAnswer { Votes = votes, Birth = Voter.Birth, ClaimsVersion = peer.ClaimsVersion, Have = peer.Records.Position };
    }

    /// <summary>Another member has answered.</summary>
    public void Answered(ClusterPeer peer, PushAnswer answer)
    {
        Hear(peer);
        (peer.Has, peer.HasClaims, peer.Failure) = (answer.Have, answer.ClaimsVersion, null);
        if (answer.Votes is { } votes)
        {
            Count(peer.Name, votes);
        }
        else if (answer.Birth != Claims.BirthOf(peer.Name))
        {
            peer.HasClaims = 0; // the votes that are counted are of a voter that is no more: it is asked again
        }
    }

    /// <summary>Another member was not reached.</summary>
    /// <param name="refused">Its host answered that no engine listens.</param>
    public void Failed(ClusterPeer peer, bool refused, string message)
    {
        peer.Failure = message;
        if (refused && (peer.Heard is not { } heard ? _time.GetElapsedTime(_began) : _time.GetElapsedTime(heard)) < EngineAbsence)
        {
            peer.Seen = _time.GetTimestamp();
        }

        Tick();
    }

    /// <summary>Notices who has gone silent.</summary>
    public void Tick()
    {
        foreach (ClusterPeer peer in _peers)
        {
            bool alive = peer is { Heard: not null, Seen: { } seen } && _time.GetElapsedTime(seen) < Silence;
            if (alive != peer.IsAlive)
            {
                peer.IsAlive = alive;
                Revision++;
            }
        }
    }

    /// <summary>What is to be stored, which is taken to be from now on.</summary>
    public ClusterMemory TakeUnsaved()
    {
        ClusterParts parts = Unsaved;
        Unsaved = 0;
        return new ClusterMemory(
            parts.HasFlag(ClusterParts.Votes) ? Voter.ToDocument() : null,
            parts.HasFlag(ClusterParts.Claims) ? Claims.ToDocument() : null,
            parts.HasFlag(ClusterParts.Memory) ? new MemoryDocument { Incarnation = _incarnation, Removed = [.. _removed] } : null);
    }

    /// <summary>Takes back <see cref="TakeUnsaved"/>: it could not be stored.</summary>
    public void NotSaved() => Unsaved = ClusterParts.All;

    private void Hear(ClusterPeer peer)
    {
        peer.Heard = peer.Seen = _time.GetTimestamp();
        Tick();
    }

    private void VoteForSelf()
    {
        VoteAnswer answer = Voter.Receive(Self, Claims.Version, Claims.All, Voter.Birth, IsRemoved, out bool changed);
        Unsaved |= changed ? ClusterParts.Votes : 0;
        Count(Self, answer);
    }

    private void Count(string voter, VoteAnswer answer)
    {
        long version = Claims.Version;
        if (Claims.Answered(voter, answer))
        {
            Unsaved |= ClusterParts.Claims;
            Revision++;
        }

        if (Claims.Version != version)
        {
            VoteForSelf(); // votes for what was claimed before count no more
        }
    }

    [Flags]
    private enum ClusterParts
    {
        Votes = 1,
        Claims = 2,
        Memory = 4,
        All = 7,
    }
}

/// <summary>What a member remembers; of parts that are null nothing, or nothing new.</summary>
internal sealed record ClusterMemory(VoterDocument? Votes, ClaimsDocument? Claims, MemoryDocument? Memory);
