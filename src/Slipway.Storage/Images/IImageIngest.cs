using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>
/// An image on its way into the store, layer by layer (a pull, a commit, a build). Nothing is visible before
/// <see cref="CommitAsync"/>; disposing an ingest lets go of what it held. Layers that were completed stay for some time after an
/// interrupted ingest, so that the next one need not fetch them again.
/// </summary>
public interface IImageIngest : IAsyncDisposable
{
    /// <summary>
    /// Whether the documents of an image belong together and are within the limits, before anything is fetched for it; returns
    /// the configuration.
    /// </summary>
    /// <exception cref="StorageException">InvalidParameter.</exception>
    ImageConfig Check(IngestedImage image);

    /// <summary>Whether a layer is in the store; if so it stays there until the ingest is disposed.</summary>
    bool TryHold(Digest chainId);

    /// <summary>
    /// Adds a layer in one pass: digest and size of the blob, decompression, digest of the tar, and unpacking happen while it is
    /// read, side by side with other layers. Callers that add the same layer at the same time share one reading.
    /// </summary>
    /// <param name="parent">Chain id of the layer below, or none; it must be held, or be added by this ingest.</param>
    /// <param name="open">Opens the blob; called only where the layer is not here.</param>
    /// <param name="progress">Told to every caller that shares the reading.</param>
    /// <exception cref="StorageException">InvalidParameter: blob or tar is not what its digest says; System: disk full.</exception>
    Task<Layer> AddLayerAsync(
        Digest parent, Digest diffId, Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, IProgress<LayerProgress>? progress, CancellationToken cancellationToken);

    /// <summary>Adds a layer whose digest is not known beforehand: a tar, plain or compressed, of a commit or a build. The caller disposes the stream.</summary>
    /// <exception cref="StorageException">InvalidParameter: no valid tar; System: disk full.</exception>
    Task<Layer> AddTarAsync(Digest parent, Stream tar, CancellationToken cancellationToken);

    /// <summary>As <see cref="AddTarAsync(Digest, Stream, CancellationToken)"/>, for a tar that is written as it is read.</summary>
    /// <param name="write">Called on a thread of its own; what it throws is what the call throws.</param>
    Task<Layer> AddTarAsync(Digest parent, Action<Stream, CancellationToken> write, CancellationToken cancellationToken);

    /// <summary>Makes the image visible, durably, with all its documents byte for byte.</summary>
    Task<Image> CommitAsync(IngestedImage image, CancellationToken cancellationToken);
}

/// <summary>The documents of an image.</summary>
public sealed record IngestedImage
{
    public required ReadOnlyMemory<byte> Config { get; init; }

    /// <summary>The manifest that names config and layers; null for an image that was made here, which gets one when it is published.</summary>
    public required ImageContent? Manifest { get; init; }

    /// <summary>The index through which the manifest was found, or null.</summary>
    public ImageContent? Index { get; init; }

    /// <summary>Names to give: tags, and <c>name@digest</c> of manifest or index.</summary>
    public required IReadOnlyList<Reference> Names { get; init; }

    /// <summary>What is told of the image in the index.</summary>
    public IReadOnlyList<IngestedReferrer> Referrers { get; init; } = [];

    /// <summary>The repository whose registry has the blobs, or null; remembered so that blobs can be mounted or fetched again.</summary>
    public Reference? Source { get; init; }
}

/// <summary>Something about an image that its index lists: an attestation.</summary>
/// <param name="Manifest">With the descriptor of the index.</param>
/// <param name="Blobs">What the manifest names.</param>
public sealed record IngestedReferrer(ImageContent Manifest, IReadOnlyList<ImageContent> Blobs);

/// <summary>A small document with its descriptor, byte for byte.</summary>
public sealed record ImageContent(Descriptor Descriptor, ReadOnlyMemory<byte> Content);

/// <summary>How far a layer is. <see cref="Current"/> and <see cref="Total"/> count bytes of the blob.</summary>
public sealed record LayerProgress(LayerPhase Phase, long Current, long Total);

public enum LayerPhase
{
    /// <summary>The layer waits for its turn.</summary>
    Waiting,
    Downloading,
    Verifying,
    Downloaded,
    Extracting,
    Complete,
}
