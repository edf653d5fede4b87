using System.Net;

namespace Slipway.Engine.Cluster.Links;

/// <summary>Tells one other member what there is to tell: at once when something changed, and every second that this one lives.</summary>
internal sealed class ClusterLink(ClusterNode node, ClusterPeer peer, IPEndPoint address, ClusterClient client, IEngineLog log, TimeProvider time) : IDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _wake = new(0, 1);
    private bool? _told;

    /// <summary>Of the other member.</summary>
    public string Name => peer.Name;

    /// <summary>There is something to tell.</summary>
    public void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            return; // it is awake already
        }
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            bool more = await ExchangeAsync(cancellationToken);
            if (!more)
            {
                await WaitAsync(cancellationToken);
            }
        }
    }

    public void Dispose() => _wake.Dispose();

    /// <returns>Whether the other lacks something still, and got on.</returns>
    private async Task<bool> ExchangeAsync(CancellationToken cancellationToken)
    {
        try
        {
            Push push = await node.UseAsync(state => state.PushTo(peer), cancellationToken);
            PushAnswer answer = await client.SendAsync(address, push, cancellationToken);
            bool more = await node.UseAsync(
                state =>
                {
                    bool progress = peer.Has != answer.Have;
                    state.Answered(peer, answer);
                    return progress && peer.Has != state.Own.Position;
                },
                cancellationToken);
            Tell(isReached: true, EngineLogLevel.Information, "answers");
            return more;
        }
        catch (ClusterConnectionException error)
        {
            await node.UseAsync(
                state =>
                {
                    state.Failed(peer, error.IsRefused, error.Message);
                    return true;
                },
                cancellationToken);
            Tell(isReached: false, EngineLogLevel.Warning, $"is not reached: {error.Message}");
            return false;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return false;
        }
        catch (Storage.StorageException error)
        {
            Tell(isReached: false, EngineLogLevel.Error, $"is told nothing, since nothing can be stored: {error.Message}");
            return false;
        }
    }

    /// <summary>Tells the operator of changes only.</summary>
    private void Tell(bool isReached, EngineLogLevel level, string message)
    {
        if (_told != isReached)
        {
            log.Write(level, $"cluster: {peer.Name} {message}");
            _told = isReached;
        }
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task tick = Task.Delay(Interval, time, ending.Token);
        Task woken = _wake.WaitAsync(ending.Token);
        await Task.WhenAny(tick, woken);
        await ending.CancelAsync();
        await Task.WhenAll(tick, woken).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }
}
