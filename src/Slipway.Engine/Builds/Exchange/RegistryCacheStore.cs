using Slipway.Engine.Images.Registries;
using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>A cache in a registry, under a name of its own or within an image.</summary>
internal sealed class RegistryCacheStore(IRemoteRepository repository, string tagOrDigest) : CacheStore
{
    public override async Task<byte[]> ManifestAsync(CancellationToken cancellationToken) =>
        await RegistryErrors.OfAsync(async () => (await repository.GetManifestAsync(tagOrDigest, cancellationToken)).Content.ToArray());

    public override Task<Stream> OpenAsync(Descriptor blob, CancellationToken cancellationToken) =>
        RegistryErrors.OfAsync(() => repository.OpenBlobAsync(blob, 0, cancellationToken));

    public override Task WriteAsync(Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, CancellationToken cancellationToken) =>
        RegistryErrors.OfAsync(() => repository.PushBlobAsync(blob, [], open, sent: null, cancellationToken));

    public override Task FinishAsync(Descriptor manifest, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => RegistryErrors.OfAsync(async () =>
    {
        await repository.PushManifestAsync(tagOrDigest, new RemoteManifest(manifest, content), cancellationToken);
        return true;
    });

    public override ValueTask DisposeAsync() => repository.DisposeAsync();
}
