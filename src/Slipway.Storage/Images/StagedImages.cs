using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>A layer that is unpacked and pinned, with the blob it came in.</summary>
internal sealed record StoredLayer(Layer Layer, Digest Blob);

/// <summary>An image whose layers are unpacked; its documents, and blobs that have to be kept, are still temporary files.</summary>
internal sealed record StagedImage(ArchivedImage Image, IReadOnlyList<StoredLayer> Layers)
{
    public Digest Id => Image.ConfigFile.Digest;

    /// <summary>
    /// What is kept as it came: the documents, and the blobs of layers that were compressed, for their bytes can be had nowhere else.
    /// </summary>
    public IEnumerable<ArchiveFile> Kept =>
        [Image.ConfigFile, .. Documents, .. Image.Layers.Where((file, i) => file.Blob is not null && file.Digest != Layers[i].Layer.DiffId),
         .. Image.Referrers.SelectMany(referrer => referrer.Files)];

    public IReadOnlyList<BlobRow> BlobRows() =>
        [.. Kept.Select(file => new BlobRow(file.Digest, file.Length, Documents.Contains(file) ? ImageDocument.MediaTypeOf(ImageArchive.ReadDocument(file)) : ""))];

    private IEnumerable<ArchiveFile> Documents => new[] { Image.Manifest, Image.Index }.OfType<ArchiveFile>();
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
