using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>An image as a registry gets it (a push) or an archive (a save). What it names stays in the store until it is disposed.</summary>
public abstract class ImagePublication : IAsyncDisposable
{
    /// <summary>Manifests and indexes, those that others name first; the last is what the tag points at.</summary>
    public abstract IReadOnlyList<ImageContent> Documents { get; }

    /// <summary>Configurations and layers, each once, in the order of the manifests.</summary>
    public abstract IReadOnlyList<PublishedBlob> Blobs { get; }

    public abstract ValueTask DisposeAsync();
}

/// <summary>A blob of an image.</summary>
public abstract class PublishedBlob
{
    public abstract Descriptor Descriptor { get; }

    /// <summary>The layer's uncompressed digest; none for a configuration.</summary>
    public abstract Digest DiffId { get; }

    /// <summary>Repositories, of any registry, where the blob is known to be.</summary>
    public abstract IReadOnlyList<Reference> Sources { get; }

    /// <summary>False where the bytes are not on this host and cannot be made here: fetch them from <see cref="Sources"/>.</summary>
    public abstract bool IsLocal { get; }

    /// <summary>The exact bytes: kept, or made again from the unpacked layer and verified while they are read.</summary>
    /// <exception cref="StorageException">NotFound: not local.</exception>
    public abstract ValueTask<Stream> OpenAsync(CancellationToken cancellationToken);
}
