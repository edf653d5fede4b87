using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Images;

namespace Slipway.Storage.Layers;

/// <summary>The tars of layers that are in the store.</summary>
internal sealed class LayerTars(LayerStore layers, ContentStore content)
{
    /// <summary>Bytes of the exact uncompressed tar; -1 where only reading it tells.</summary>
    public long LengthOf(Layer layer)
    {
        using var tar = layers.TryOpenTar(layer.ChainId, out var length);
        return length;
    }

    /// <summary>
    /// The exact uncompressed tar: made again from the recipe or, for a layer that an earlier version stored, decompressed from the blob. Its
    /// end comes only after its digest was found right.
    /// </summary>
    /// <param name="blob">The blob the layer came in.</param>
    /// <exception cref="StorageException">NotFound: there is neither.</exception>
    public Stream Open(Layer layer, Digest blob) =>
        new IntactStream(layers.TryOpenTar(layer.ChainId, out _) ?? Decompression.Open(content.OpenRead(blob), limits: null), layer);

    private sealed class IntactStream(Stream tar, Layer layer) : ReadOnlyStream
    {
        private readonly DigestStream _tar = new(tar);
        private bool _verified;

        public override int Read(Span<byte> buffer)
        {
            var count = _tar.Read(buffer);
            if (count == 0 && !buffer.IsEmpty && !_verified)
            {
                _verified = _tar.Finish(CancellationToken.None) == layer.DiffId
                    ? true
                    : throw new StorageException(StorageErrorKind.System, $"layer {layer.ChainId} is damaged: its files no longer yield {layer.DiffId}");
            }

            return count;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _tar.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
