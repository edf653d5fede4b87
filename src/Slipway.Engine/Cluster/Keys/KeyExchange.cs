using System.Collections.Frozen;
using System.Net;
using Slipway.Engine.Cluster.Links;
using Slipway.Kernel;
using Slipway.Networking;

namespace Slipway.Engine.Cluster.Keys;

/// <summary>Keeps a key for each direction between this host and every other as long as there are encrypted networks here.</summary>
internal sealed class KeyExchange
{
    /// <summary>How often it is looked what is there, and the other host asked.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Intervals in which there may be no key without a word about it: a network is made on one host after the other.</summary>
    private const int Patience = 5;

    private readonly ClusterConfiguration _configuration;
    private readonly IEngineLog _log;
    private readonly TimeProvider _time;
    private readonly string _self;
    private readonly FrozenDictionary<string, (PairKeys Keys, SemaphoreSlim Turn)> _peers;

    public KeyExchange(ClusterConfiguration configuration, IEspPairs pairs, IEngineLog log, TimeProvider time)
    {
        (_configuration, _log, _time, _self) = (configuration, log, time, configuration.Advertise.ToString());
        _peers = configuration.Members.Where(member => !member.Address.Equals(configuration.Advertise)).ToFrozenDictionary(
            member => member.Address.ToString(), member => (new PairKeys(member.Address, pairs, configuration.KeyLifetime, time), new SemaphoreSlim(1)));
    }

    public Task RunAsync(ClusterClient client, CancellationToken cancellationToken) =>
        Task.WhenAll(_configuration.Members.Where(member => _peers.ContainsKey(member.Address.ToString())).Select(member => FollowAsync(member, client, cancellationToken)));

    /// <summary>Another member's certificate shows that it said this.</summary>
    /// <exception cref="ClusterProtocolException">It is none of the members.</exception>
    /// <exception cref="EngineException">System: the kernel refuses.</exception>
    public async Task<KeyAnswer> AnswerAsync(KeyRequest request, CancellationToken cancellationToken)
    {
        if (!_peers.TryGetValue(request.From, out (PairKeys Keys, SemaphoreSlim Turn) peer))
        {
            throw new ClusterProtocolException($"{request.From} is no member of the cluster");
        }

        await peer.Turn.WaitAsync(cancellationToken);
        try
        {
            return await peer.Keys.AnswerAsync(request, cancellationToken);
        }
        catch (Exception error) when (error is KernelException or NetworkException)
        {
            throw new EngineException(ErrorKind.System, error.Message, error);
        }
        finally
        {
            peer.Turn.Release();
        }
    }

    private async Task FollowAsync(IPEndPoint member, ClusterClient client, CancellationToken cancellationToken)
    {
        string? told = null;
        int since = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                string? trouble = await ExchangeAsync(member, client, cancellationToken);
                since = trouble is null ? 0 : since + 1;
                if (told != trouble && (trouble is null || since >= Patience))
                {
                    told = trouble;
                    _log.Write(trouble is null ? EngineLogLevel.Information : EngineLogLevel.Warning, $"cluster: packets of encrypted networks {(trouble is null ? "are sent" : "are not sent")} to {member.Address}{trouble}");
                }

                await Task.Delay(Interval, _time, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <returns>Why nothing is sent, for the operator; null: it is, or there is nothing to send.</returns>
    private async Task<string?> ExchangeAsync(IPEndPoint member, ClusterClient client, CancellationToken cancellationToken)
    {
        PairKeys keys = _peers[member.Address.ToString()].Keys;
        KeyRequest? request = null;
        try
        {
            const int Attempts = 2; // one that finds a state missing, and one that asks for its successor
            KeyOutcome outcome = KeyOutcome.Missing;
            for (int attempt = 0; outcome == KeyOutcome.Missing && attempt < Attempts; attempt++)
            {
                request = await keys.AskAsync(_self, cancellationToken);
                outcome = request is null ? KeyOutcome.Agreed : await keys.TakeAsync(request, await client.AskAsync(member, request, cancellationToken), cancellationToken);
            }

            return outcome == KeyOutcome.Refused ? ": it gives no key, as it has no encrypted network (its log may say why)" : null;
        }
        catch (ClusterConnectionException error)
        {
            // While the engine there is away both kernels go on with the keys they have.
            return request is { Sending: not 0 } ? null : $": it gives no key: {error.Message}";
        }
        catch (Exception error) when (error is KernelException or NetworkException or ClusterProtocolException)
        {
            return $": {error.Message}";
        }
    }
}
