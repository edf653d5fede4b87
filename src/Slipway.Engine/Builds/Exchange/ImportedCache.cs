using System.Text.Json;
using Slipway.Engine.Images;
using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Layers;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>
/// A cache from elsewhere. Nothing of its layers is fetched before a step asks for it, and a layer is what its digest says or it is refused; that a step made it is the word of who
/// exported it.
/// </summary>
internal sealed class ImportedCache
{
    /// <summary>Layers of one result; an overlay takes no more.</summary>
    private const int MaximumChain = 500;

    private readonly Dictionary<Digest, (int Layer, DateTimeOffset Created)> _records = [];
    private readonly IReadOnlyList<CacheLayer> _layers;
    private readonly CacheStore _store;

    private ImportedCache(CacheDocument document, CacheStore store)
    {
        (_layers, _store) = (document.Layers ?? [], store);
        foreach (CacheRecord record in document.Records ?? [])
        {
            if (record.Results is [var result, ..] && !record.Digest.IsNone)
            {
                _records.TryAdd(record.Digest, (result.Layer, result.CreatedAt));
            }
        }
    }

    /// <summary>The number of steps.</summary>
    public int Count => _records.Count;

    /// <summary>Reads what a manifest, or an index as BuildKit also makes it, describes: a cache, or an image that has one within its configuration.</summary>
    /// <exception cref="EngineException">It is none, or it cannot be had.</exception>
    public static async Task<ImportedCache> ReadAsync(CacheStore store, CancellationToken cancellationToken)
    {
        byte[] content = await store.ManifestAsync(cancellationToken);
        try
        {
            // What belongs to an index of a cache are its layers and its configuration, under the name of manifests.
            (Descriptor? config, IReadOnlyList<Descriptor> blobs) = JsonSerializer.Deserialize(content, OciJson.Default.ImageIndex) is { Manifests: { Count: > 0 } manifests }
                ? (manifests.FirstOrDefault(blob => blob.MediaType == CacheDocument.MediaType), manifests)
                : JsonSerializer.Deserialize(content, OciJson.Default.Manifest) is { } manifest ? (manifest.Config, manifest.Layers ?? []) : (null, []);
            if (config is null)
            {
                throw new EngineException(ErrorKind.InvalidParameter, "no build cache was found there");
            }

            byte[] text = await store.ReadAsync(config, cancellationToken);
            return config.MediaType == CacheDocument.MediaType
                ? new ImportedCache(JsonSerializer.Deserialize(text, CacheJson.Default.CacheDocument) ?? new CacheDocument(), store)
                : new ImportedCache(OfImage(text, blobs), store);
        }
        catch (Exception error) when (error is JsonException or OciException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"the build cache cannot be read: {error.Message}", error);
        }
    }

    /// <summary>When a step was done that left certain layers, which are fetched as far as they are not here; null where it is not known.</summary>
    /// <param name="ingest">Holds the layers.</param>
    public async Task<(IReadOnlyList<Layer> Layers, DateTimeOffset Created)?> FindAsync(Digest key, IImageIngest ingest, CancellationToken cancellationToken)
    {
        if (!_records.TryGetValue(key, out (int Layer, DateTimeOffset Created) record) || ChainOf(record.Layer) is not { } chain)
        {
            return null;
        }

        List<Layer> layers = [];
        foreach ((Descriptor blob, Digest diffId) in chain)
        {
            Digest parent = layers.Count == 0 ? default : layers[^1].ChainId;
            layers.Add(await StorageErrors.OfAsync(() =>
                ingest.AddLayerAsync(parent, diffId, blob, async end => await _store.OpenAsync(blob, end), progress: null, cancellationToken)));
        }

        return (layers, record.Created);
    }

    /// <summary>Lowest first; null for one that leads nowhere.</summary>
    private List<(Descriptor Blob, Digest DiffId)>? ChainOf(int index)
    {
        List<(Descriptor, Digest)> chain = [];
        for (; index >= 0; index = _layers[index].Parent)
        {
            if (index >= _layers.Count || chain.Count == MaximumChain || _layers[index].Annotations is not { DiffId.IsNone: false } annotations || _layers[index].Blob.IsNone)
            {
                return null;
            }

            chain.Add((new Descriptor { MediaType = annotations.MediaType ?? MediaTypes.OciLayerGzip, Digest = _layers[index].Blob, Size = annotations.Size }, annotations.DiffId));
        }

        chain.Reverse();
        return chain;
    }

    private static CacheDocument OfImage(byte[] configuration, IReadOnlyList<Descriptor> blobs)
    {
        ImageConfig config = JsonSerializer.Deserialize(configuration, OciJson.Default.ImageConfig) ?? throw new JsonException("no image");
        if (config.BuildCache is null || config.DiffIds.Count != blobs.Count)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "the image has no build cache");
        }

        return new CacheDocument
        {
            Records = JsonSerializer.Deserialize(config.BuildCache, CacheJson.Default.IReadOnlyListCacheRecord),
            Layers =
            [
                .. blobs.Select((blob, index) => new CacheLayer
                {
                    Blob = blob.Digest,
                    Parent = index - 1,
                    Annotations = new CacheLayerAnnotations { MediaType = blob.MediaType, DiffId = config.DiffIds[index], Size = blob.Size },
                }),
            ],
        };
    }
}
