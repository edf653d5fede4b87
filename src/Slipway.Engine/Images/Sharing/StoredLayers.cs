using Slipway.Oci;
using Slipway.Registry.Peers;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Sharing;

/// <summary>The layers of this engine's images, for other engines.</summary>
internal sealed class StoredLayers(IImageStore store) : ISharedLayers
{
    public ValueTask<SharedLayer?> FindAsync(Digest diffId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<SharedLayer?>(store.FindLayer(diffId) is { } tar ? new StoredLayer(tar) : null);

    private sealed class StoredLayer(LayerTar tar) : SharedLayer
    {
        public override long Length => tar.Length;

        public override ValueTask<Stream> OpenAsync(CancellationToken cancellationToken) => ValueTask.FromResult(tar.OpenRead());

        public override ValueTask DisposeAsync()
        {
            tar.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
