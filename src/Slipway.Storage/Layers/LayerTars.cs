using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Images;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Layers;

/// <summary>The tars of layers that are in the store.</summary>
internal sealed class LayerTars(LayerStore layers, ContentStore content)
{
    private const int BufferSize = 256 << 10;

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

    /// <summary>Keeps a layer for who reads its tar; null where it is gone, or where the tar's length is not known beforehand.</summary>
    public LayerTar? TryHold(Layer layer, Digest blob)
    {
        if (layers.TryPin(layer.ChainId) is not { } pin)
        {
            return null;
        }

        var length = LengthOf(layer);
        if (length >= 0)
        {
            return new LayerTar(length, () => Produce(layer, blob), pin);
        }

        pin.Dispose();
        return null;
    }

    /// <summary>As <see cref="Open"/>, for an asynchronous reader; a thread makes the tar ahead of it.</summary>
    private ProducedStream Produce(Layer layer, Digest blob) => new ProducedStream("layer-tar", (output, cancellationToken) =>
    {
        using var tar = Open(layer, blob);
        var buffer = new byte[BufferSize];
        for (var count = tar.Read(buffer); count > 0; count = tar.Read(buffer))
        {
            cancellationToken.ThrowIfCancellationRequested();
            output.Write(buffer, 0, count);
        }
    });

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
