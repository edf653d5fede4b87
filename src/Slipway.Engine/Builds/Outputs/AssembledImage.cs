using System.Text.Json;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Attestations;
using Slipway.Engine.Images;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Outputs;

/// <summary>One platform of a result.</summary>
/// <param name="Platform">As it was asked for.</param>
internal sealed record BuiltPlatform(Platform Platform, StageState State);

/// <summary>The documents of one platform's image.</summary>
/// <param name="Attestation">Null: nothing is told of it.</param>
internal sealed record AssembledPlatform(Platform Platform, ImageContent Config, ImageContent Manifest, ImageAttestation? Attestation = null)
{
    /// <summary>Those that others name first.</summary>
    public IEnumerable<ImageContent> Documents => Attestation is { } told ? [Config, Manifest, told.Config, .. told.Statements, told.Manifest] : [Config, Manifest];
}

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
        [.. Platforms.SelectMany(platform => platform.Documents).Append(Index).DistinctBy(document => document.Descriptor.Digest)];

    /// <param name="attestor">Null: nothing is told of the images.</param>
    public static async Task<AssembledImage> CreateAsync(IReadOnlyList<BuiltPlatform> built, IImageStore images, Attestor? attestor, CancellationToken cancellationToken)
    {
        ImagePublication layers = await StorageErrors.OfAsync(() => images.PublishLayersAsync(
            [.. built.SelectMany(platform => platform.State.Layers).DistinctBy(layer => layer.ChainId).Select(layer => new Layer(layer.ChainId, layer.DiffId, layer.Size))], cancellationToken));
        try
        {
            return await CreateAsync(built, layers, attestor, cancellationToken);
        }
        catch
        {
            await layers.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _layers.DisposeAsync();

    private static async Task<AssembledImage> CreateAsync(IReadOnlyList<BuiltPlatform> built, ImagePublication layers, Attestor? attestor, CancellationToken cancellationToken)
    {
        Dictionary<Digest, Descriptor> blobs = layers.Blobs.ToDictionary(blob => blob.DiffId, blob => blob.Descriptor with { MediaType = MediaTypes.OciLayerGzip });
        AssembledPlatform[] platforms = [.. built.Select(platform => Assemble(platform, blobs))];
        for (int i = 0; i < platforms.Length && attestor is not null; i++)
        {
            platforms[i] = platforms[i] with { Attestation = await attestor.AttestAsync(built[i], platforms[i].Manifest.Descriptor.Digest, cancellationToken) };
        }

        ImageIndex index = new()
        {
            MediaType = MediaTypes.OciIndex,
            Manifests =
            [
                .. platforms.Select(platform => platform.Manifest.Descriptor with { Platform = platform.Platform }),
                .. platforms.Select(platform => platform.Attestation?.Manifest.Descriptor).OfType<Descriptor>(),
            ],
        };
        return new AssembledImage(platforms, ImageContents.Of(MediaTypes.OciIndex, JsonSerializer.SerializeToUtf8Bytes(index, OciJson.Default.ImageIndex)), layers);
    }

    private static AssembledPlatform Assemble(BuiltPlatform platform, Dictionary<Digest, Descriptor> blobs)
    {
        ImageContent config = ImageContents.Of(MediaTypes.OciConfig, platform.State.Document());
        Manifest manifest = new()
        {
            MediaType = MediaTypes.OciManifest, Config = config.Descriptor, Layers = [.. platform.State.Layers.Select(layer => blobs[layer.DiffId])],
        };
        return new AssembledPlatform(platform.Platform, config, ImageContents.Of(MediaTypes.OciManifest, JsonSerializer.SerializeToUtf8Bytes(manifest, OciJson.Default.Manifest)));
    }
}
