using System.Text.Json;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Exchange;
using Slipway.Engine.Images;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Sources;

/// <summary>An image of an OCI layout that a client shows. Its layers are brought here; no name is given to it.</summary>
internal static class LayoutImage
{
    /// <exception cref="EngineException">There is no such image, or it is damaged.</exception>
    public static async Task<BaseImage> ReadAsync(LayoutContext context, IClientStores? stores, Platform platform, IImageIngest ingest, CancellationToken cancellationToken)
    {
        IBlobStore blobs = stores?.Find("oci:" + context.Store) ?? throw new EngineException(ErrorKind.InvalidParameter, "the client shows no OCI layouts");
        await using ClientCacheStore store = new(blobs, context.Digest);
        try
        {
            ImageDocument document = ImageDocument.Parse(await store.ManifestAsync(cancellationToken));
            if (document is ImageDocument.OfIndex { Value: var index })
            {
                Descriptor chosen = new PlatformPreference(platform).Choose(index.Manifests ?? [])
                    ?? throw new EngineException(ErrorKind.NotFound, $"no image of {context.Digest} is for {platform}");
                document = ImageDocument.Parse(await store.ReadAsync(chosen, cancellationToken));
            }

            if (document is not ImageDocument.OfManifest { Value: { } manifest }
                || JsonSerializer.Deserialize(await store.ReadAsync(manifest.Config, cancellationToken), OciJson.Default.ImageConfig) is not { } config
                || config.DiffIds.Count != (manifest.Layers?.Count ?? 0))
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"{context.Digest} is no image");
            }

            List<BuiltLayer> layers = [];
            foreach ((Descriptor blob, Digest diffId) in (manifest.Layers ?? []).Zip(config.DiffIds))
            {
                Digest parent = layers.Count == 0 ? default : layers[^1].ChainId;
                Layer layer = await StorageErrors.OfAsync(() => ingest.AddLayerAsync(
                    parent, diffId, blob, async end => await store.OpenAsync(blob, end), progress: null, cancellationToken));
                layers.Add(new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size));
            }

            return new BaseImage(manifest.Config.Digest, config, layers);
        }
        catch (Exception error) when (error is OciException or JsonException or IOException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"the image in the OCI layout cannot be read: {error.Message}", error);
        }
    }
}
