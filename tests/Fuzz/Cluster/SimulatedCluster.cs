using System.Text.Json;
using Slipway.Engine.Cluster;
using Slipway.Engine.Cluster.Votes;

namespace Slipway.Tests.Fuzz.Cluster;

/// <summary>
/// Members of a cluster whose messages are lost, late and repeated, which are cut off from each other, end between any two steps of storing what they remember,
/// come back, and sometimes lose their disk. All by one random generator.
/// </summary>
internal sealed class SimulatedCluster
{
    private const int Things = 6;

    private readonly Random _random;
    private readonly Clock _clock = new();
    private readonly string[] _names;
    private readonly ClusterMemory[] _disks;
    private readonly ClusterState[] _members;
    private readonly bool[,] _cut;
    private readonly List<(int To, byte[] Push)> _late = [];
    private readonly HashSet<string> _removed = [];
    private bool _healed;

    public SimulatedCluster(int seed)
    {
        _random = new Random(seed);
        int count = _random.Next(1, 6);
        _names = [.. Enumerable.Range(1, count).Select(number => $"192.0.2.{number}")];
        _disks = [.. _names.Select(_ => Nothing)];
        _cut = new bool[count, count];
        _members = [.. Enumerable.Range(0, count).Select(Begin)];
    }

    /// <summary>What members have at the end: shows that the test is about something.</summary>
    public int Owned => _members.Sum(member => member.Claims.All.Count(held => held.IsOwned));

    private static ClusterMemory Nothing => new(null, null, null);

    public void Step()
    {
        _clock.Advance(TimeSpan.FromMilliseconds(_random.Next(1, 2000)));
        int one = _random.Next(_members.Length);
        int other = _random.Next(_members.Length);
        switch (_random.Next(20))
        {
            case < 9:
                Exchange(one, other);
                break;
            case < 12:
                Save(one, () => _ = _members[one].Claim([Thing()]));
                break;
            case < 14:
                Claim thing = Thing();
                Save(one, () => _members[one].Release(claim => claim.Key == thing.Key));
                break;
            case 14:
                string gone = Network();
                _removed.Add(gone);
                Save(one, () => _members[one].Remove(gone));
                break;
            case 15:
                _cut[one, other] = _random.Next(2) == 0; // one way: a member may hear without being heard
                break;
            case 16:
                _members[one] = Begin(one);
                break;
            case 17 when _random.Next(8) == 0:
                _disks[one] = Nothing;
                _members[one] = Begin(one);
                break;
            default:
                DeliverLate();
                break;
        }

        Check();
    }

    /// <summary>All are heard by all again: whoever claims something that nobody else claims gets it.</summary>
    public void Heal()
    {
        Array.Clear(_cut);
        _healed = true;
        for (int round = 0; round < 6; round++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            for (int one = 0; one < _members.Length; one++)
            {
                for (int other = 0; other < _members.Length; other++)
                {
                    Send(one, other, lossless: true);
                }
            }

            Check();
        }

        foreach (ClusterState member in _members)
        {
            foreach (HeldClaim held in member.Claims.All.Where(held => !held.IsOwned))
            {
                // A thing that is split between several, or that another has, is nobody's fault; one that nobody else wants is.
                Assert.True(
                    _members.Any(rival => rival != member && rival.Claims.All.Any(its => its.Claim.Excludes(held.Claim))),
                    $"{member.Self} does not get {held.Claim.Key}; votes: {string.Join('\n', _members.Select(voter => JsonSerializer.Serialize(voter.Voter.ToDocument(), ClusterJson.Default.VoterDocument)))}");
            }
        }
    }

    /// <summary>No two have the same thing, in memory or on disk.</summary>
    private void Check()
    {
        List<(int Member, Claim Claim)> owned = [];
        for (int i = 0; i < _members.Length; i++)
        {
            IEnumerable<HeldClaim> remembered = _disks[i].Claims?.Claims ?? [];
            owned.AddRange(_members[i].Claims.All.Concat(remembered.Where(held => _members[i].Claims.Claims(held.Claim))).Where(held => held.IsOwned).Select(held => (i, held.Claim)).Distinct());
        }

        for (int i = 0; i < owned.Count; i++)
        {
            for (int j = i + 1; j < owned.Count; j++)
            {
                bool isSame = owned[i] == owned[j];
                bool isOldName = owned[i].Claim.IsName && (_removed.Contains(owned[i].Claim.Network) || _removed.Contains(owned[j].Claim.Network));
                Assert.True(isSame || isOldName || !owned[i].Claim.Excludes(owned[j].Claim), $"{_names[owned[i].Member]} and {_names[owned[j].Member]} both have {owned[i].Claim.Key}");
            }
        }
    }

    private void Exchange(int from, int to) => Send(from, to, lossless: false);

    private void Send(int from, int to, bool lossless)
    {
        if (from == to)
        {
            return;
        }

        ClusterState sender = _members[from];
        ClusterPeer receiver = sender.Peers.Single(peer => peer.Name == _names[to]);
        byte[] push = JsonSerializer.SerializeToUtf8Bytes(sender.PushTo(receiver), ClusterJson.Default.Push);
        if (!lossless && (_cut[from, to] || _random.Next(6) == 0))
        {
            _late.Add((to, push)); // in a queue of some switch
            Save(from, () => sender.Failed(receiver, refused: _random.Next(2) == 0, "cut off"));
            return;
        }

        if (Receive(to, push) is { } answer && (lossless || (!_cut[to, from] && _random.Next(6) != 0)))
        {
            Save(from, () => sender.Answered(receiver, JsonSerializer.Deserialize(answer, ClusterJson.Default.PushAnswer)!));
        }
    }

    private void DeliverLate()
    {
        if (_late.Count > 0)
        {
            (int to, byte[] push) = _late[_random.Next(_late.Count)];
            Receive(to, push); // the sender has given it up: the answer reaches nobody
        }
    }

    /// <returns>The answer; null where the member ended before it was sent.</returns>
    private byte[]? Receive(int to, byte[] push)
    {
        PushAnswer? answer = null;
        return Save(to, () => answer = _members[to].Receive(JsonSerializer.Deserialize(push, ClusterJson.Default.Push)!))
            ? JsonSerializer.SerializeToUtf8Bytes(answer!, ClusterJson.Default.PushAnswer)
            : null;
    }

    /// <summary>Does something and stores what is to be remembered of it; or ends in the middle of that, and begins again.</summary>
    private bool Save(int index, Action action)
    {
        action();
        ClusterMemory unsaved = _members[index].TakeUnsaved();
        int stored = !_healed && _random.Next(40) == 0 ? _random.Next(3) : 3;
        ClusterMemory disk = _disks[index];
        disk = stored > 0 && unsaved.Votes is { } votes ? disk with { Votes = votes } : disk;
        disk = stored > 1 && unsaved.Claims is { } claims ? disk with { Claims = claims } : disk;
        disk = stored > 2 && unsaved.Memory is { } memory ? disk with { Memory = memory } : disk;
        _disks[index] = disk;
        if (stored == 3)
        {
            return true;
        }

        _members[index] = Begin(index);
        return false;
    }

    private ClusterState Begin(int index)
    {
        _clock.Advance(TimeSpan.FromMilliseconds(5));
        ClusterState state = new(_names[index], _names, _disks[index], _clock);
        ClusterMemory unsaved = state.TakeUnsaved();
        _disks[index] = new ClusterMemory(unsaved.Votes, unsaved.Claims, unsaved.Memory);
        return state;
    }

    private static string Id(int number) => number.ToString("x64", System.Globalization.CultureInfo.InvariantCulture);

    private string Network() => Id(_random.Next(Things));

    private Claim Thing()
    {
        string network = Network();
        return _random.Next(4) switch
        {
            0 => Claim.Name(network, $"net{_random.Next(3)}"),
            1 => Claim.Number(network, _random.Next(3)),
            2 => Claim.Subnet(network, System.Net.IPNetwork.Parse(_random.Next(2) == 0 ? "10.0.0.0/16" : "10.0.1.0/24")),
            _ => Claim.Block(network, _random.Next(2)),
        };
    }

    private sealed class Clock : TimeProvider
    {
        private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => _now;

        public override long GetTimestamp() => _now.Ticks;

        public void Advance(TimeSpan time) => _now += time;
    }
}
