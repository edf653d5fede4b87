using Slipway.Api.Registries;
using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Images.Registries;

/// <summary>What a name stands for at its registry, and for which platforms.</summary>
internal sealed class DistributionInspection(IRemoteRepository repository)
{
    public async Task<DistributionInspect> RunAsync(Reference name, CancellationToken cancellationToken)
    {
        RemoteManifest document = await repository.GetManifestAsync(name.Digest.IsNone ? name.Tag! : name.Digest.ToString(), cancellationToken);
        IEnumerable<Platform> platforms = ImageDocument.Parse(document.Content.Span) switch
        {
            ImageDocument.OfIndex { Value: var index } => (index.Manifests ?? []).Select(manifest => manifest.Platform).OfType<Platform>(),
            ImageDocument.OfManifest { Value: var manifest } => await PlatformOfAsync(manifest, cancellationToken),
            _ => [],
        };
        return new DistributionInspect
        {
            Descriptor = new DistributionDescriptor
            {
                MediaType = document.Descriptor.MediaType,
                Digest = document.Descriptor.Digest.ToString(),
                Size = document.Descriptor.Size,
            },
            Platforms = [.. platforms.Select(Shape)],
        };
    }

    private static DistributionPlatform Shape(Platform platform) => new()
    {
        Architecture = platform.Architecture,
        Os = platform.Os,
        OsVersion = platform.OsVersion,
        OsFeatures = platform.OsFeatures?.ToList(),
        Variant = platform.Variant,
    };

    /// <summary>What an artifact is made for is not known.</summary>
    private async Task<IEnumerable<Platform>> PlatformOfAsync(Manifest manifest, CancellationToken cancellationToken) =>
        MediaTypes.IsConfig(manifest.Config.MediaType)
            ? [ImageConfig.Parse(await ConfigBlob.ReadAsync(repository, manifest.Config, cancellationToken)).Platform]
            : [];
}
