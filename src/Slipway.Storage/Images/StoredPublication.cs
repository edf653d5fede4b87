using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <inheritdoc cref="ImagePublication"/>
/// <param name="held">What keeps layers and blobs in the store, and files that exist for this publication alone.</param>
internal sealed class StoredPublication(IReadOnlyList<ImageContent> documents, IReadOnlyList<PublishedBlob> blobs, IReadOnlyList<IDisposable> held) : ImagePublication
{
    public override IReadOnlyList<ImageContent> Documents { get; } = documents;

    public override IReadOnlyList<PublishedBlob> Blobs { get; } = blobs;

    public override ValueTask DisposeAsync()
    {
        foreach (var item in held)
        {
            item.Dispose();
        }

        return ValueTask.CompletedTask;
    }
}

/// <summary>A blob with a way to get its bytes, or none.</summary>
internal sealed class StoredBlob(Descriptor descriptor, Digest diffId, IReadOnlyList<Reference> sources, Func<Stream>? open) : PublishedBlob
{
    public override Descriptor Descriptor { get; } = descriptor;

    public override Digest DiffId { get; } = diffId;

    public override IReadOnlyList<Reference> Sources { get; } = sources;

    public override bool IsLocal => open is not null;

    public override ValueTask<Stream> OpenAsync(CancellationToken cancellationToken) => open is null
        ? throw new StorageException(StorageErrorKind.NotFound, $"content {Descriptor.Digest} not found")
        : ValueTask.FromResult(open());
}
