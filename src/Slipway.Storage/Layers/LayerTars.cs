using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;

namespace Slipway.Storage.Layers;

/// <summary>The tars of layers that are in the store.</summary>
internal sealed class LayerTars(LayerStore layers, ContentStore content)
{
    /// <summary>The exact uncompressed tar.</summary>
    /// <param name="blob">The blob the layer came in; used where it was kept.</param>
    /// <exception cref="StorageException">NotFound.</exception>
    public Stream Open(Digest chainId, Digest blob)
    {
        _ = layers;
        _ = chainId;
        return Decompression.Open(content.OpenRead(blob), limits: null);
    }
}
