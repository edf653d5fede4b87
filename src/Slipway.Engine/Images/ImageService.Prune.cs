using System.Globalization;
using Slipway.Api.Disk;
using Slipway.Api.Images;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;

namespace Slipway.Engine.Images;

/// <summary>Removing what is not used: on request, and to stay within the disk budget.</summary>
internal sealed partial class ImageService
{
    private readonly PruneGate _pruning = new();

    public Task<ImagesPruneReport> PruneAsync(Filters filters, CancellationToken cancellationToken)
    {
        PruneFilter filter = new(filters, time, "dangling");
        bool dangling = PruneFilter.Flag(filters, "dangling", missing: true);
        return _pruning.RunAsync(async () =>
        {
            long before = await ImageBytesAsync(cancellationToken);
            List<ImageDeleteItem> deleted = [];
            foreach (Image image in store.All)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if ((!dangling || image.RepoTags.Count == 0) && filter.Includes(image.Created, image.Config.Config?.Labels))
                {
                    deleted.AddRange(await TryRemoveUnusedAsync(image, reason: null, cancellationToken));
                }
            }

            // Layers of interrupted pulls have neither age nor label: who chooses by those does not mean them.
            if (filter.IncludesAll)
            {
                await StorageErrors.OfAsync(async () =>
                {
                    await store.PurgeAsync(cancellationToken);
                    return true;
                });
            }

            long reclaimed = Math.Max(0, before - await ImageBytesAsync(cancellationToken));
            events.Publish("image", "prune", "", new Dictionary<string, string> { ["reclaimed"] = reclaimed.ToString(CultureInfo.InvariantCulture) });
            return new ImagesPruneReport(deleted.Count > 0 ? deleted : null, reclaimed);
        });
    }

    /// <summary>Removes an image with all its names, unless a container was made of it; nothing is removed then.</summary>
    /// <param name="reason">Told with the event, or null.</param>
    internal async Task<IReadOnlyList<ImageDeleteItem>> TryRemoveUnusedAsync(Image image, string? reason, CancellationToken cancellationToken)
    {
        // Any container counts as one that runs: those are what even force does not remove.
        RemoveOptions options = new() { Force = true, UsedBy = id => [.. usedBy(id).Select(use => use with { Running = true })] };
        try
        {
            return await RemoveAsync(image, image.Id.ToString(), options, reason, cancellationToken);
        }
        catch (EngineException exception) when (exception.Kind is ErrorKind.Conflict or ErrorKind.NotFound)
        {
            // In use, or removed by somebody else meanwhile.
            return [];
        }
    }

    private async Task<long> ImageBytesAsync(CancellationToken cancellationToken) =>
        (await StorageErrors.OfAsync(() => ledger.ReadAsync(cancellationToken))).Where(entry => entry.Kind is LedgerKind.Layer or LedgerKind.Blob).Sum(entry => entry.Bytes);
}
