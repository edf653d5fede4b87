using Slipway.Api.Events;
using Slipway.Engine.Events;
using Slipway.Engine.Images;
using Slipway.Storage;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;

namespace Slipway.Engine.Disk;

/// <summary>
/// Keeps the data root within a budget: where it is beyond, images that no container was made of go, the longest unused first. Looks
/// after every image that arrives and every minute. The newest image stays, and so does each for some seconds after its use: a
/// <c>docker run</c> that has pulled its image is about to create the container.
/// </summary>
internal sealed class DiskBudget(long budget, IImageStore store, IDiskLedger ledger, EventLog events, ImageService images, TimeProvider time, IEngineLog log) : IAsyncDisposable
{
    public const string Reason = "disk-budget";

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wake = new(1);
    private Task _running = Task.CompletedTask;

    public void Start() => _running = Task.WhenAll(WatchAsync(_stop.Token), RunAsync(_stop.Token));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
        _wake.Dispose();
    }

    /// <summary>Removes images until the budget is kept or none is left that may go.</summary>
    /// <returns>When to look again.</returns>
    internal async Task<TimeSpan> EnforceAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            IReadOnlyList<LedgerEntry> entries = await ledger.ReadAsync(cancellationToken);
            if (entries.Sum(entry => entry.Bytes) <= budget)
            {
                return Interval;
            }

            List<Image> byUse = [.. store.All.OrderBy(LastUsed)];
            bool removed = false;
            foreach (Image image in byUse.SkipLast(1))
            {
                if (LastUsed(image) + Grace > time.GetUtcNow())
                {
                    return Grace;
                }

                removed = (await images.TryRemoveUnusedAsync(image, Reason, cancellationToken)).Count > 0;
                if (removed)
                {
                    break;
                }
            }

            if (!removed)
            {
                return Interval;
            }
        }
    }

    private DateTimeOffset LastUsed(Image image) => LastUse.Of(ledger, image) ?? DateTimeOffset.MinValue;

    private async Task RunAsync(CancellationToken stop)
    {
        TimeSpan next = Interval;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await _wake.WaitAsync(next, stop);
                next = await EnforceAsync(stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception exception) when (exception is StorageException or EngineException)
            {
                log.Write(EngineLogLevel.Warning, $"disk budget: {exception.Message}");
                next = Interval;
            }
        }
    }

    /// <summary>Wakes at every image that arrives.</summary>
    private async Task WatchAsync(CancellationToken stop)
    {
        Filters filters = new(new Dictionary<string, IReadOnlyList<string>> { ["type"] = ["image"], ["event"] = ["load", "import", "pull", "tag"] });
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (EventMessage _ in events.Subscribe(since: null, until: null, filters, stop))
                {
                    if (_wake.CurrentCount == 0)
                    {
                        _wake.Release();
                    }
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception exception) when (exception is EngineException or IOException)
            {
                // Too many events at once: listen again.
                log.Write(EngineLogLevel.Debug, $"disk budget: {exception.Message}");
            }
        }
    }
}
