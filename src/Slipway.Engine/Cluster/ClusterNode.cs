using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Slipway.Engine.Cluster.Keys;
using Slipway.Engine.Cluster.Links;
using Slipway.Engine.Cluster.Votes;
using Slipway.Networking;
using Slipway.Registry.Peers;
using Slipway.Storage.State;

namespace Slipway.Engine.Cluster;

/// <summary>This engine as a member of a cluster: its state, what of it is stored, and its links to the other members.</summary>
internal sealed class ClusterNode : IClusterMember, IAsyncDisposable
{
    private const string VotesKey = "cluster/votes";
    private const string ClaimsKey = "cluster/claims";
    private const string MemoryKey = "cluster/memory";

    /// <summary>How long somebody waits for the others to agree.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(4);

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly IKeyValueTable _values;
    private readonly IEngineLog _log;
    private readonly TimeProvider _time;
    private readonly ClusterState _state;
    private readonly SemaphoreSlim _gate = new(1);
    private readonly CancellationTokenSource _ending = new();
    private readonly List<ClusterLink> _links = [];
    private readonly List<Task> _running = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile IReadOnlyList<Claim>? _owned;
    private PeerServer? _server;
    private ClusterClient? _client;
    private ClusterClient? _keyClient;
    private KeyExchange? _keys;

    private ClusterNode(ClusterConfiguration configuration, ClusterMemory memory, IKeyValueTable values, IEngineLog log, TimeProvider time)
    {
        (Configuration, _values, _log, _time) = (configuration, values, log, time);
        _state = new ClusterState(configuration.Advertise.ToString(), [.. configuration.Members.Select(member => member.Address.ToString())], memory, time);
    }

    public ClusterConfiguration Configuration { get; }

    /// <summary>What this member has, in the order it was claimed.</summary>
    public IReadOnlyList<Claim> Owned => _owned ?? [];

    /// <summary>Remembers what was stored. Nothing is said or heard before <see cref="StartAsync"/>.</summary>
    /// <exception cref="EngineException">InvalidParameter: the configuration cannot be meant. System: what was stored cannot be read.</exception>
    public static async Task<ClusterNode> OpenAsync(ClusterConfiguration configuration, IKeyValueTable values, IEngineLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            configuration.Validate();
            ClusterMemory memory = new(
                await LoadAsync(values, VotesKey, ClusterJson.Default.VoterDocument, cancellationToken),
                await LoadAsync(values, ClaimsKey, ClusterJson.Default.ClaimsDocument, cancellationToken),
                await LoadAsync(values, MemoryKey, ClusterJson.Default.MemoryDocument, cancellationToken));
            ClusterNode node = new(configuration, memory, values, log, time);
            await node.UseAsync(_ => true, cancellationToken);
            return node;
        }
        catch (FormatException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, error.Message, error);
        }
        catch (JsonException error)
        {
            throw new EngineException(ErrorKind.System, $"the cluster's part of the state database cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Listens to the other members, and speaks to them.</summary>
    /// <param name="pairs">What packets of encrypted networks are encrypted with; null: there are no such networks.</param>
    /// <exception cref="EngineException">InvalidParameter: the certificates cannot be read, or the address cannot be listened on.</exception>
    public async Task StartAsync(IEspPairs? pairs, CancellationToken cancellationToken)
    {
        _keys = pairs is null ? null : new KeyExchange(Configuration, pairs, _log, _time);
        _server = await ClusterServer.StartAsync(Configuration, this, _log, cancellationToken);
        _client = new ClusterClient(Configuration.Tls);
        foreach (ClusterPeer peer in _state.Peers)
        {
            _links.Add(new ClusterLink(this, peer, Configuration.Members.First(member => member.Address.ToString() == peer.Name), _client, _log, _time));
        }

        _running.AddRange(_links.Select(link => link.RunAsync(_ending.Token)));
        if (_keys is not null)
        {
            _keyClient = new ClusterClient(Configuration.Tls); // its own connections: neither waits for the other's answers
            _running.Add(_keys.RunAsync(_keyClient, _ending.Token));
        }
    }

    /// <summary>
    /// Uses the state, alone, and stores what of it is to be remembered before anybody else does. What others are to know is told to them, and whoever waits for a
    /// change looks again.
    /// </summary>
    /// <exception cref="Storage.StorageException">It could not be stored.</exception>
    public async Task<T> UseAsync<T>(Func<ClusterState, T> use, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            (long version, Records.RecordPosition position, long revision) before = (_state.Claims.Version, _state.Own.Position, _state.Revision);
            T result = use(_state);
            await SaveAsync();
            if (before.revision != _state.Revision || before.version != _state.Claims.Version || _owned is null)
            {
                _owned = [.. _state.Claims.All.Where(held => held.IsOwned).Select(held => held.Claim)];
            }

            if (before.version != _state.Claims.Version || before.position != _state.Own.Position)
            {
                _links.ForEach(link => link.Wake());
            }

            if (before.revision != _state.Revision || before.version != _state.Claims.Version)
            {
                Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
            }

            return result;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Ends when something changed since it was asked for.</summary>
    public Task ChangeAsync() => _changed.Task;

    /// <summary>Claims things, and waits until the cluster has agreed. After a failure nothing is claimed.</summary>
    /// <param name="what">For messages.</param>
    /// <exception cref="ClaimRefusedException">Somebody else has one of them.</exception>
    /// <exception cref="EngineException">Unavailable: no majority of the members answers.</exception>
    public async Task ClaimAsync(IReadOnlyList<Claim> claims, string what, CancellationToken cancellationToken)
    {
        if (await UseAsync(state => state.Claim(claims), cancellationToken) is { } rival)
        {
            throw new ClaimRefusedException(new Refusal(rival.Key, _state.Self, rival.Network));
        }

        try
        {
            await AgreeAsync(claims, what, cancellationToken);
        }
        catch
        {
            await UseAsync(
                state =>
                {
                    state.Release(claim => claims.Contains(claim));
                    return true;
                },
                CancellationToken.None);
            throw;
        }
    }

    /// <summary>Lets the members that are there hear what this one says, if they do at once.</summary>
    public async Task TellAllAsync()
    {
        long begin = _time.GetTimestamp();
        while (_links.Count > 0 && _time.GetElapsedTime(begin) < s_farewell
            && await UseAsync(state => state.Peers.Any(peer => peer.IsAlive && peer.Failure is null && peer.Has != state.Own.Position), CancellationToken.None))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), _time, CancellationToken.None);
        }
    }

    public async Task<PushAnswer> ReceiveAsync(Push push, CancellationToken cancellationToken)
    {
        bool behind = false;
        PushAnswer answer = await UseAsync(
            state =>
            {
                PushAnswer made = state.Receive(push);
                behind = push.Have.Incarnation != state.Own.Position.Incarnation;
                return made;
            },
            cancellationToken);
        if (behind)
        {
            _links.Find(link => link.Name == push.From)?.Wake(); // it has just begun and knows nothing of this member
        }

        return answer;
    }

    public Task<KeyAnswer> ReceiveAsync(KeyRequest request, CancellationToken cancellationToken) => _keys?.AnswerAsync(request, cancellationToken) ?? Task.FromResult(new KeyAnswer());

    public async ValueTask DisposeAsync()
    {
        await TellAllAsync();
        await _ending.CancelAsync();
        await Task.WhenAll(_running);
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        _client?.Dispose();
        _keyClient?.Dispose();
        _links.ForEach(link => link.Dispose());
        _ending.Dispose();
        _gate.Dispose();
    }

    private async Task AgreeAsync(IReadOnlyList<Claim> claims, string what, CancellationToken cancellationToken)
    {
        long begin = _time.GetTimestamp();
        while (true)
        {
            // Asked for before the look, so that no change is missed. Answers that change nothing are looked at too.
            Task change = Task.WhenAny(_changed.Task, Task.Delay(TimeSpan.FromMilliseconds(20), _time, cancellationToken));
            Verdict verdict = await UseAsync(state => Judge(state, claims), cancellationToken);
            if (verdict.IsAgreed)
            {
                return;
            }

            bool late = _time.GetElapsedTime(begin) > s_patience;
            if (verdict.Refusal is { } refusal && (verdict.IsFinal || late))
            {
                throw new ClaimRefusedException(refusal);
            }

            if (late)
            {
                throw new EngineException(ErrorKind.Unavailable, $"{what}: more than half of the cluster's members must agree, and of {_state.Members.Count} {verdict.Reached} answer{(verdict.Failures.Length > 0 ? $" ({verdict.Failures})" : verdict.IsNew ? " (one that has no memory of the cluster agrees to nothing before it has heard all others)" : "")}");
            }

            await change;
        }
    }

    private static Verdict Judge(ClusterState state, IReadOnlyList<Claim> claims)
    {
        bool asked = state.Peers.All(peer => peer.Failure is not null || state.Claims.AnsweredBy(peer.Name) >= state.Claims.Version);
        return new Verdict(
            claims.All(state.Claims.Has),
            claims.Select(state.Claims.RefusedBy).FirstOrDefault(refusal => refusal is not null),
            asked,
            1 + state.Peers.Count(peer => peer.IsAlive),
            string.Join(", ", state.Peers.Where(peer => peer.Failure is not null).Select(peer => $"{peer.Name}: {peer.Failure}")),
            !state.Voter.IsExperienced);
    }

    private async Task SaveAsync()
    {
        ClusterMemory unsaved = _state.TakeUnsaved();
        try
        {
            await StoreAsync(VotesKey, unsaved.Votes, ClusterJson.Default.VoterDocument);
            await StoreAsync(ClaimsKey, unsaved.Claims, ClusterJson.Default.ClaimsDocument);
            await StoreAsync(MemoryKey, unsaved.Memory, ClusterJson.Default.MemoryDocument);
        }
        catch
        {
            _state.NotSaved();
            throw;
        }
    }

    private async Task StoreAsync<T>(string key, T? document, JsonTypeInfo<T> type)
        where T : class
    {
        if (document is not null)
        {
            await _values.SetAsync(key, JsonSerializer.SerializeToUtf8Bytes(document, type), CancellationToken.None);
        }
    }

    private static async Task<T?> LoadAsync<T>(IKeyValueTable values, string key, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class => await values.GetAsync(key, cancellationToken) is { } bytes ? JsonSerializer.Deserialize(bytes, type) : null;

    /// <param name="IsFinal">All that can be reached were asked.</param>
    /// <param name="IsNew">This member has no memory of the cluster, and does not vote yet.</param>
    private sealed record Verdict(bool IsAgreed, Refusal? Refusal, bool IsFinal, int Reached, string Failures, bool IsNew);
}

/// <summary>Another member has what was claimed, or claims it for another network.</summary>
internal sealed class ClaimRefusedException(Refusal refusal) : Exception($"{refusal.Key} is {refusal.Holder}'s")
{
    public Refusal Refusal { get; } = refusal;
}
