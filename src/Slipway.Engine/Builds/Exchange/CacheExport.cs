using System.Globalization;
using System.Text.Json;
using Slipway.Build.Solving;
using Slipway.Engine.Images;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>Writes what a build did as a cache, in the form of BuildKit's.</summary>
/// <param name="steps">In an order in which each comes after the one before it.</param>
internal sealed class CacheExport(IReadOnlyList<SolvedStep> steps)
{
    /// <summary>The steps whose layers an image has, for its configuration.</summary>
    /// <returns>BuildKit's records; null: there are none.</returns>
    public byte[]? Inline(IReadOnlyList<BuiltLayer> image)
    {
        Dictionary<Digest, int> indexes = image.Select((layer, index) => (layer.ChainId, index)).ToDictionary(pair => pair.ChainId, pair => pair.index);
        List<CacheRecord> records = Records([.. steps.Where(step => step.Layers is [.., var top] && indexes.ContainsKey(top.ChainId))], indexes);
        return records.Count == 0 ? null : JsonSerializer.SerializeToUtf8Bytes(records, CacheJson.Default.IReadOnlyListCacheRecord);
    }

    /// <summary>Puts records and layers into a store.</summary>
    /// <param name="isMaximal">Those of all stages, not of the result's only.</param>
    /// <param name="told">Of each part that is done.</param>
    /// <returns>The manifest; null: there was nothing to export.</returns>
    public async Task<Descriptor?> WriteAsync(CacheStore store, bool isMaximal, IImageStore images, Func<string, ValueTask> told, CancellationToken cancellationToken)
    {
        SolvedStep[] wanted = [.. steps.Where(step => isMaximal || step.IsOfResult)];
        List<(BuiltLayer Layer, int Parent)> layers = [];
        Dictionary<Digest, int> indexes = [];
        foreach (IReadOnlyList<BuiltLayer> chain in wanted.Select(step => step.Layers))
        {
            int parent = -1;
            foreach (BuiltLayer layer in chain)
            {
                if (!indexes.TryGetValue(layer.ChainId, out int index))
                {
                    indexes.Add(layer.ChainId, index = layers.Count);
                    layers.Add((layer, parent));
                }

                parent = index;
            }
        }

        if (layers.Count == 0)
        {
            return null;
        }

        await told("preparing build cache for export");
        await using ImagePublication publication = await StorageErrors.OfAsync(
            () => images.PublishLayersAsync([.. layers.Select(layer => new Layer(layer.Layer.ChainId, layer.Layer.DiffId, layer.Layer.Size))], cancellationToken));
        Dictionary<Digest, PublishedBlob> blobs = publication.Blobs.ToDictionary(blob => blob.DiffId);
        foreach (PublishedBlob blob in publication.Blobs)
        {
            await store.WriteAsync(blob.Descriptor, blob.OpenAsync, cancellationToken);
            await told($"writing layer {blob.Descriptor.Digest}");
        }

        List<CacheRecord> records = Records(wanted, indexes);
        DateTimeOffset newest = wanted.Max(step => step.Created);
        byte[] document = JsonSerializer.SerializeToUtf8Bytes(
            new CacheDocument
            {
                Layers =
                [
                    .. layers.Select(layer => new CacheLayer
                    {
                        Blob = blobs[layer.Layer.DiffId].Descriptor.Digest,
                        Parent = layer.Parent,
                        Annotations = new CacheLayerAnnotations
                        {
                            MediaType = MediaTypes.OciLayerGzip, DiffId = layer.Layer.DiffId, Size = blobs[layer.Layer.DiffId].Descriptor.Size, CreatedAt = newest,
                        },
                    }),
                ],
                Records = records,
            },
            CacheJson.Default.CacheDocument);
        Descriptor config = new() { MediaType = CacheDocument.MediaType, Digest = Digest.Of(document), Size = document.Length };
        await store.WriteAsync(config, Content(document), cancellationToken);
        await told($"writing config {config.Digest}");
        Manifest manifest = new()
        {
            MediaType = MediaTypes.OciManifest,
            Config = config,
            Layers = [.. publication.Blobs.Select(blob => blob.Descriptor with { MediaType = MediaTypes.OciLayerGzip, Annotations = Annotations(blob.DiffId, newest) })],
        };
        byte[] content = JsonSerializer.SerializeToUtf8Bytes(manifest, OciJson.Default.Manifest);
        Descriptor descriptor = new() { MediaType = MediaTypes.OciManifest, Digest = Digest.Of(content), Size = content.Length };
        await store.FinishAsync(descriptor, content, cancellationToken);
        await told($"writing cache image manifest {descriptor.Digest}");
        return descriptor;
    }

    private static List<CacheRecord> Records(IReadOnlyList<SolvedStep> steps, Dictionary<Digest, int> layers)
    {
        List<CacheRecord> records = [];
        Dictionary<Digest, int> links = [];
        foreach (SolvedStep step in steps)
        {
            if (!links.TryAdd(step.Key, records.Count))
            {
                continue;
            }

            records.Add(new CacheRecord
            {
                Digest = step.Key,
                Inputs = links.TryGetValue(step.Parent, out int before) ? [[new CacheInput { Link = before }]] : null,
                Results = step.Layers is [.., var top] ? [new CacheResult { Layer = layers[top.ChainId], CreatedAt = step.Created }] : null,
            });
        }

        return records;
    }

    private static Dictionary<string, string> Annotations(Digest diffId, DateTimeOffset created) => new()
    {
        ["containerd.io/uncompressed"] = diffId.ToString(),
        ["buildkit/createdat"] = created.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture),
    };

    private static Func<CancellationToken, ValueTask<Stream>> Content(byte[] content) => _ => ValueTask.FromResult<Stream>(new MemoryStream(content, writable: false));
}
