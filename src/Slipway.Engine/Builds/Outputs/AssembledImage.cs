using System.Text.Json;
using Slipway.Build.Solving;
using Slipway.Engine.Images;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Outputs;

/// <summary>One platform of a result.</summary>
/// <param name="Platform">As it was asked for.</param>
internal sealed record BuiltPlatform(Platform Platform, StageState State);

/// <summary>The documents of one platform's image.</summary>
internal sealed record AssembledPlatform(Platform Platform, ImageContent Config, ImageContent Manifest);

/// <summary>
/// What a build made in the form that registries and layouts have: a manifest of compressed layers for each platform, and an index over them. The layers stay in the store until it is disposed.
/// </summary>
internal sealed class AssembledImage : IAsyncDisposable
{
    private readonly ImagePublication _layers;

    private AssembledImage(IReadOnlyList<AssembledPlatform> platforms, ImageContent index, ImagePublication layers) => (Platforms, Index, _layers) = (platforms, index, layers);

    public IReadOnlyList<AssembledPlatform> Platforms { get; }

    public ImageContent Index { get; }

    /// <summary>Of all platforms, each once.</summary>
    public IReadOnlyList<PublishedBlob> Layers => _layers.Blobs;

    /// <summary>All but the layers, those that others name first.</summary>
    public IReadOnlyList<ImageContent> Documents =>
        [.. Platforms.SelectMany(platform => (ImageContent[])[platform.Config, platform.Manifest]).Append(Index).DistinctBy(document => document.Descriptor.Digest)];

    public static async Task<AssembledImage> CreateAsync(IReadOnlyList<BuiltPlatform> built, IImageStore images, CancellationToken cancellationToken)
    {
        ImagePublication layers = await StorageErrors.OfAsync(() => images.PublishLayersAsync(
            [.. built.SelectMany(platform => platform.State.Layers).DistinctBy(layer => layer.ChainId).Select(layer => new Layer(layer.ChainId, layer.DiffId, layer.Size))], cancellationToken));
        Dictionary<Digest, Descriptor> blobs = layers.Blobs.ToDictionary(blob => blob.DiffId, blob => blob.Descriptor with { MediaType = MediaTypes.OciLayerGzip });
        AssembledPlatform[] platforms = [.. built.Select(platform => Assemble(platform, blobs))];
        ImageIndex index = new()
        {
            MediaType = MediaTypes.OciIndex,
            Manifests = [.. platforms.Select(platform => platform.Manifest.Descriptor with { Platform = platform.Platform })],
        };
        return new AssembledImage(platforms, Content(MediaTypes.OciIndex, JsonSerializer.SerializeToUtf8Bytes(index, OciJson.Default.ImageIndex)), layers);
    }

    public ValueTask DisposeAsync() => _layers.DisposeAsync();

    private static AssembledPlatform Assemble(BuiltPlatform platform, Dictionary<Digest, Descriptor> blobs)
    {
        ImageContent config = Content(MediaTypes.OciConfig, platform.State.Document());
        Manifest manifest = new()
        {
            MediaType = MediaTypes.OciManifest, Config = config.Descriptor, Layers = [.. platform.State.Layers.Select(layer => blobs[layer.DiffId])],
        };
        return new AssembledPlatform(platform.Platform, config, Content(MediaTypes.OciManifest, JsonSerializer.SerializeToUtf8Bytes(manifest, OciJson.Default.Manifest)));
    }

    private static ImageContent Content(string mediaType, byte[] document) =>
        new(new Descriptor { MediaType = mediaType, Digest = Digest.Of(document), Size = document.Length }, document);
}
