using Slipway.Engine.Images.Registries;
using Slipway.Kernel.Mounts;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Pull;

/// <summary>What has to be known before an image's layers can be fetched.</summary>
/// <param name="Index">The index through which the manifest was found, or null.</param>
internal sealed record PulledDocuments(ImageContent Manifest, ImageContent? Index, ReadOnlyMemory<byte> Config, IReadOnlyList<Descriptor> Layers);

/// <summary>Reads manifest and configuration of the image that a name stands for, and refuses what is no image this host could hold.</summary>
internal sealed class ManifestReader(IRemoteRepository repository, PlatformPreference platform)
{
    internal const int MaxLayers = OverlayMount.MaximumLayers;

    /// <param name="document">A manifest or index.</param>
    /// <exception cref="EngineException">NotFound: none of the index's images is for the platform. InvalidParameter: no image.</exception>
    public async Task<PulledDocuments> ReadAsync(RemoteManifest document, CancellationToken cancellationToken)
    {
        ImageContent? index = null;
        if (ImageDocument.Parse(document.Content.Span) is ImageDocument.OfIndex { Value: var images })
        {
            index = new ImageContent(document.Descriptor, document.Content);
            Descriptor chosen = platform.Choose(images.Manifests ?? [])
                ?? throw new EngineException(ErrorKind.NotFound, $"no matching manifest for {platform} in the manifest list entries: not found");
            document = await repository.GetManifestAsync(chosen.Digest.ToString(), cancellationToken);
        }

        if (ImageDocument.Parse(document.Content.Span) is not ImageDocument.OfManifest { Value: var manifest })
        {
            throw new EngineException(ErrorKind.InvalidParameter, "invalid manifest: an index names an index as an image");
        }

        IReadOnlyList<Descriptor> layers = manifest.Layers ?? [];
        CheckIsImage(manifest.Config, layers);
        byte[] config = await ConfigBlob.ReadAsync(repository, manifest.Config, cancellationToken);
        CheckFits(ImageConfig.Parse(config));
        return new PulledDocuments(new ImageContent(document.Descriptor, document.Content), index, config, layers);
    }

    private static void CheckIsImage(Descriptor config, IReadOnlyList<Descriptor> layers)
    {
        // Early builders of schema 2 called the configuration a stream of bytes.
        if (!MediaTypes.IsConfig(config.MediaType) && config.MediaType != "application/octet-stream")
        {
            string kind = config.MediaType == "application/vnd.docker.plugin.v1+json" ? "plugin" : "unknown";
            throw new EngineException(ErrorKind.InvalidParameter, $"Encountered remote \"{config.MediaType}\"({kind}) when fetching");
        }

        if (layers.FirstOrDefault(layer => !MediaTypes.IsLayer(layer.MediaType)) is { } strange)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"unsupported media type {strange.MediaType}");
        }

        if (layers.Count > MaxLayers)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"max depth exceeded: the image has {layers.Count} layers, a host holds at most {MaxLayers}");
        }
    }

    private static void CheckFits(ImageConfig config)
    {
        // Old images do not say.
        if (config.Os.Length > 0 && config.Os != Platform.Host.Os)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"operating system \"{config.Os}\" is not supported");
        }
    }
}
