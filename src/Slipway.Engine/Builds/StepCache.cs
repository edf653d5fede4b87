using System.Collections.Concurrent;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Exchange;
using Slipway.Oci;
using Slipway.Storage.Builds;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds;

/// <summary>The cache as one build sees it: notes what of it the build used.</summary>
/// <param name="imported">Caches of others, asked in this order.</param>
internal sealed class StepCache(IBuildCacheTable table, IImageIngest ingest, IReadOnlyList<ImportedCache> imported, IEngineLog log) : IStepCache
{
    private readonly ConcurrentDictionary<Digest, bool> _used = [];

    public IReadOnlyCollection<Digest> Used => [.. _used.Keys];

    public async Task<CachedStep?> FindAsync(Digest key, CancellationToken cancellationToken)
    {
        BuildCacheRow? row = await table.FindAsync(key, cancellationToken);
        if (row is null)
        {
            return null;
        }

        _used[key] = true;
        return new CachedStep(key, row.Parent, row.ChainId.IsNone ? null : new BuiltLayer(row.ChainId, row.DiffId, row.Size), row.Kind, row.Description, row.Created);
    }

    public async Task<CachedStep?> ImportAsync(CachedStep wanted, Digest top, CancellationToken cancellationToken)
    {
        foreach (ImportedCache cache in imported)
        {
            try
            {
                if (await cache.FindAsync(wanted.Key, ingest, cancellationToken) is { } found && StepOf(wanted, top, found.Layers, found.Created) is { } step)
                {
                    await StoreAsync(step, cancellationToken);
                    return step;
                }
            }
            catch (Exception error) when (error is EngineException or IOException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                // What a cache does not give is built. A layer that fails cancels those that are added at the same time, as another stage may do (IImageIngest).
                log.Write(EngineLogLevel.Warning, "a step could not be imported from a build cache", error);
            }
        }

        return null;
    }

    /// <summary>A step adds a layer to those it starts from, or none; anything else is not what it left.</summary>
    private static CachedStep? StepOf(CachedStep wanted, Digest top, IReadOnlyList<Layer> layers, DateTimeOffset created)
    {
        Digest last = layers.Count == 0 ? default : layers[^1].ChainId;
        if (last == top)
        {
            return wanted with { Created = created };
        }

        return layers.Count > 0 && (layers.Count == 1 ? default : layers[^2].ChainId) == top
            ? wanted with { Layer = new BuiltLayer(last, layers[^1].DiffId, layers[^1].Size), Created = created } : null;
    }

    public Task StoreAsync(CachedStep step, CancellationToken cancellationToken)
    {
        _used[step.Key] = true;
        return table.StoreAsync(
            [new BuildCacheRow(step.Key, step.Parent, step.Layer?.ChainId ?? default, step.Layer?.DiffId ?? default, step.Layer?.Size ?? 0, step.Kind, step.Description, step.Created)],
            cancellationToken);
    }
}
