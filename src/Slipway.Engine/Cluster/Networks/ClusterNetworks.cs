using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using System.Threading.Channels;
using Slipway.Api.Networks;
using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Cluster.Votes;
using Slipway.Engine.Networks;
using Slipway.Engine.Networks.Types;
using Slipway.Kernel;
using Slipway.Networking;
using Slipway.Storage;

namespace Slipway.Engine.Cluster.Networks;

/// <summary>
/// Keeps the networks of this engine and what the cluster knows of them in step: makes those that other members made, removes those they removed, gets a block of
/// each for this host, and tells each where the containers of the other members are.
/// </summary>
internal sealed class ClusterNetworks(ClusterNode node, NetworkHost host, IEngineLog log, TimeProvider time) : ISharedNetworks, IAsyncDisposable
{
    /// <summary>How often it is looked whether something failed before and may succeed now.</summary>
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly Channel<Action<ClusterState>> _own = Channel.CreateUnbounded<Action<ClusterState>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ConcurrentDictionary<string, EndpointRecord> _endpoints = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, OverlayBlocks> _blocks = new(StringComparer.Ordinal);
    private readonly Dictionary<string, RemoteContainers> _remote = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _told = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _ending = new();
    private readonly List<Task> _running = [];
    private volatile List<NetworkPeer> _hosts = [];

    public ClusterConfiguration Configuration => node.Configuration;

    public List<NetworkPeer> Hosts => [.. _hosts];

    public OverlayBlocks BlocksOf(string id, IPNetwork subnet, int prefix) => _blocks.GetOrAdd(id, _ => new OverlayBlocks(node, id, subnet, prefix));

    /// <summary>Joins the cluster with the networks and containers there are.</summary>
    /// <exception cref="EngineException">InvalidParameter: the certificates cannot be read, or the address cannot be listened on.</exception>
    public async Task StartAsync(NetworkCatalog catalog, CancellationToken cancellationToken)
    {
        await node.UseAsync(
            state =>
            {
                foreach (UserNetwork network in Mine(catalog))
                {
                    state.Own.Set(Record(network.Id, network.Name, network.Created, network.Document));
                }

                return true;
            },
            cancellationToken);
        _running.Add(TellAsync());
        await DrainAsync(cancellationToken);
        await node.StartAsync(new EspPairs(host), cancellationToken);
        _running.Add(FollowAsync(catalog));
        _running.Add(ClaimBlocksAsync(catalog));
    }

    public async Task<UserNetwork> CreateAsync(string id, string name, NetworkDocument document, Func<NetworkDocument, Task<UserNetwork>> make, CancellationToken cancellationToken)
    {
        NetworkAgreement agreement = new(node, host, id, name);
        NetworkDocument agreed = await agreement.ReachAsync(document, cancellationToken);
        try
        {
            UserNetwork network = await make(agreed);
            await node.UseAsync(
                state =>
                {
                    state.Own.Set(Record(id, name, network.Created, agreed));
                    return true;
                },
                CancellationToken.None);
            return network;
        }
        catch
        {
            await agreement.GiveBackAsync();
            throw;
        }
    }

    public Task<bool> IsUsedElsewhereAsync(string id) => node.UseAsync(
        state =>
        {
            state.Tick();
            return state.Endpoints.Any(known => known.Endpoint.Network == id);
        },
        CancellationToken.None);

    public async Task RemovedAsync(string id)
    {
        await node.UseAsync(
            state =>
            {
                state.Remove(id);
                return true;
            },
            CancellationToken.None);
        await node.TellAllAsync(); // who makes another of the same name on another host is not to be refused
    }

    public void Announce(string id, EndpointInfo endpoint, IReadOnlyList<string> names)
    {
        if (endpoint.Ipv4 is { } ipv4)
        {
            EndpointRecord record = new()
            {
                Id = endpoint.EndpointId,
                Network = id,
                Address = ipv4.Address.ToString(),
                Hardware = endpoint.MacAddress,
                Names = [.. names.Take(EndpointRecord.MaxNames)],
            };
            _endpoints[record.Id] = record;
            _own.Writer.TryWrite(state => state.Own.Set(record));
        }
    }

    public void Withdraw(string endpointId)
    {
        _endpoints.TryRemove(endpointId, out _);
        _own.Writer.TryWrite(state => state.Own.RemoveEndpoint(endpointId));
    }

    public async ValueTask DisposeAsync()
    {
        _own.Writer.TryComplete();
        await _ending.CancelAsync();
        await Task.WhenAll(_running);
        await node.DisposeAsync();
        foreach (OverlayBlocks blocks in _blocks.Values)
        {
            blocks.Dispose();
        }

        _ending.Dispose();
    }

    private static IEnumerable<UserNetwork> Mine(NetworkCatalog catalog) => catalog.All.Where(network => network.Document.Overlay is not null);

    private static NetworkRecord Record(string id, string name, DateTimeOffset created, NetworkDocument document) =>
        new() { Id = id, Name = name, Created = created, Document = JsonDocument.Parse(document.ToBytes()).RootElement };

    /// <summary>Takes over what containers here do, in order.</summary>
    private async Task TellAsync()
    {
        await foreach (Action<ClusterState> change in _own.Reader.ReadAllAsync(CancellationToken.None))
        {
            try
            {
                await node.UseAsync(
                    state =>
                    {
                        change(state);
                        while (_own.Reader.TryRead(out Action<ClusterState>? next))
                        {
                            next(state);
                        }

                        return true;
                    },
                    CancellationToken.None);
            }
            catch (StorageException error)
            {
                log.Write(EngineLogLevel.Error, "cluster: what it remembers could not be stored", error); // records are not stored, and were taken over
            }
        }
    }

    /// <summary>Waits until what was announced is taken over.</summary>
    private async Task DrainAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _own.Writer.TryWrite(_ => drained.SetResult());
        await drained.Task.WaitAsync(cancellationToken);
    }

    private async Task FollowAsync(NetworkCatalog catalog)
    {
        while (!_ending.IsCancellationRequested)
        {
            Task change = node.ChangeAsync(); // before the look, so that none is missed
            try
            {
                await FollowOnceAsync(catalog, _ending.Token);
            }
            catch (StorageException error)
            {
                Tell("networks", $"cluster: networks cannot follow: {error.Message}");
            }
            catch (OperationCanceledException) when (_ending.IsCancellationRequested)
            {
                return;
            }

            await Task.WhenAny(change, Task.Delay(s_interval, time, _ending.Token));
        }
    }

    private async Task FollowOnceAsync(NetworkCatalog catalog, CancellationToken cancellationToken)
    {
        (List<NetworkRecord> others, HashSet<string> removed) = await node.UseAsync(
            state =>
            {
                state.Tick();
                _hosts = [.. state.Peers.Where(peer => peer.IsAlive).Select(peer => peer.Name).Append(state.Self).Order(StringComparer.Ordinal).Select(name => new NetworkPeer(name, name))];
                List<NetworkRecord> known = [.. state.Networks];
                return (known, known.Select(record => record.Id).Where(state.IsRemoved).Concat(Mine(catalog).Select(network => network.Id).Where(state.IsRemoved)).ToHashSet());
            },
            cancellationToken);
        foreach (UserNetwork network in Mine(catalog).Where(network => removed.Contains(network.Id)).ToArray())
        {
            await RemoveAsync(catalog, network);
        }

        foreach (NetworkRecord record in others.Where(record => !record.IsRemoved && !removed.Contains(record.Id)).DistinctBy(record => record.Id).Where(record => catalog.Find(record.Id) is null))
        {
            await AdoptAsync(catalog, record, cancellationToken);
        }

        foreach (UserNetwork network in Mine(catalog))
        {
            if (_remote.GetValueOrDefault(network.Id)?.Network != network)
            {
                _remote[network.Id] = new RemoteContainers(network);
            }

            try
            {
                await ApplyAsync(_remote[network.Id], cancellationToken);
            }
            catch (Exception error) when (error is NetworkException or KernelException)
            {
                _remote.Remove(network.Id); // it may be removed by now; if not, it is told again
                Tell(network.Id, $"network {network.Name} cannot follow the cluster: {error.Message}");
            }
        }
    }

    private async Task ApplyAsync(RemoteContainers remote, CancellationToken cancellationToken)
    {
        (List<(string, EndpointRecord)> containers, HashSet<string> uncertain) = await node.UseAsync(
            state => (remote.Select(state, [.. _endpoints.Values]), state.Members.Where(state.IsUncertain).ToHashSet()), cancellationToken);
        await remote.ApplyAsync(containers, address => uncertain.Contains(address.ToString()), cancellationToken);
    }

    private async Task AdoptAsync(NetworkCatalog catalog, NetworkRecord record, CancellationToken cancellationToken)
    {
        try
        {
            NetworkDocument document = NetworkDocument.Parse(System.Text.Encoding.UTF8.GetBytes(record.Document!.Value.GetRawText()));
            if (document is not { Driver: NetworkTypes.Overlay, Overlay: not null, Ipv4: not null })
            {
                throw NetworkErrors.Invalid("it is no network that spans hosts");
            }

            foreach (NetworkSubnet subnet in document.Subnets)
            {
                if (await host.IsOccupiedAsync(subnet.Range, cancellationToken))
                {
                    throw NetworkErrors.Invalid($"{subnet.Subnet} is, or overlaps, a network of this host");
                }
            }

            await catalog.AdoptAsync(record.Id, record.Name, record.Created, document, cancellationToken);
            await node.UseAsync(
                state =>
                {
                    state.Own.Set(record);
                    state.Touch(); // it needs a block, and to be told of the containers on it
                    return true;
                },
                cancellationToken);
            Forget(record.Id);
        }
        catch (Exception error) when (error is EngineException or NetworkException or KernelException or StorageException or JsonException or FormatException)
        {
            Tell(record.Id, $"network {record.Name} of the cluster cannot be made here: {error.Message}");
        }
    }

    private async Task RemoveAsync(NetworkCatalog catalog, UserNetwork network)
    {
        try
        {
            await catalog.RemoveHereAsync(network);
            await RemovedAsync(network.Id);
        }
        catch (EngineException error)
        {
            Tell(network.Id, $"network {network.Name} was removed by another host, and is still here: {error.Message}");
        }
    }

    /// <summary>Gets a block of each network as long as this host is not cut off, so that it can go on alone.</summary>
    private async Task ClaimBlocksAsync(NetworkCatalog catalog)
    {
        while (!_ending.IsCancellationRequested)
        {
            Task change = node.ChangeAsync();
            foreach (UserNetwork network in Mine(catalog))
            {
                await ClaimBlockAsync(network);
            }

            await Task.WhenAny(change, Task.Delay(s_interval, time, _ending.Token));
        }
    }

    private async Task ClaimBlockAsync(UserNetwork network)
    {
        if (network.Document is not { Ipv4: { } subnet, Overlay: { } overlay })
        {
            return;
        }

        try
        {
            OverlayBlocks blocks = BlocksOf(network.Id, subnet.Range, overlay.BlockPrefix);
            if (blocks.Owned.Count == 0 && !await node.UseAsync(state => state.IsRemoved(network.Id), _ending.Token))
            {
                await blocks.ClaimAsync(containing: null, _ending.Token);
                await EnsureAsync(network);
                Forget($"block {network.Id}");
            }
        }
        catch (Exception error) when (error is NetworkException or KernelException or StorageException or ObjectDisposedException)
        {
            Tell($"block {network.Id}", $"network {network.Name} has no addresses for this host yet: {error.Message}");
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            return;
        }
    }

    /// <summary>Makes the network, unless it is being removed, and tells it of the containers on other hosts.</summary>
    private async Task EnsureAsync(UserNetwork network)
    {
        string user = $"cluster/{network.Id}";
        if (!network.TryUse(user))
        {
            return;
        }

        try
        {
            await network.Driver.EnsureAsync(_ending.Token);
        }
        finally
        {
            network.Leave(user);
        }

        await node.UseAsync(
            state =>
            {
                state.Touch();
                return true;
            },
            _ending.Token);
    }

    private void Forget(string about)
    {
        lock (_told)
        {
            _told.Remove(about);
        }
    }

    /// <summary>Tells the operator, once until it changes.</summary>
    private void Tell(string about, string message)
    {
        lock (_told)
        {
            if (_told.GetValueOrDefault(about) != message)
            {
                _told[about] = message;
                log.Write(EngineLogLevel.Warning, message);
            }
        }
    }
}
