using Slipway.Oci;
using Slipway.Storage.Content;

namespace Slipway.Storage.Images;

/// <summary>A layer that is unpacked and pinned, with the blob it came from.</summary>
internal sealed record StagedLayer(Layer Layer, Digest Blob);

/// <summary>An image whose layers are unpacked; its blobs are still temporary files.</summary>
internal sealed record StagedImage(
    BlobWriter ConfigBlob, ImageConfig Config, BlobWriter? Manifest, IReadOnlyList<StagedLayer> Layers, IReadOnlyList<BlobWriter> LayerBlobs, IReadOnlyList<Reference> Names)
{
    public IReadOnlyList<BlobRow> BlobRows() =>
    [
        new BlobRow(ConfigBlob.Digest, ConfigBlob.Length),
        .. Manifest is null ? [] : (BlobRow[])[new BlobRow(Manifest.Digest, Manifest.Length, ImageDocument.MediaTypeOf(ImageArchive.ReadDocument(Manifest)))],
        .. LayerBlobs.Select(blob => new BlobRow(blob.Digest, blob.Length)),
    ];
}

/// <summary>What an archive yielded. Disposing it lets go of layers and removes blobs that were not published.</summary>
internal sealed class StagedImages(ImageArchive archive) : IDisposable
{
    private readonly List<IDisposable> _pins = [];

    public ImageArchive Archive { get; } = archive;

    public List<StagedImage> Images { get; } = [];

    public void Keep(IDisposable pin) => _pins.Add(pin);

    public void Dispose()
    {
        _pins.ForEach(pin => pin.Dispose());
        Archive.Dispose();
    }
}
