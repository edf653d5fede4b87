using Slipway.Oci;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server;

/// <summary>Where pulls are answered from: what the registry keeps, and for a cache of another registry, what that one has.</summary>
internal interface IContentSource
{
    /// <param name="reference">A tag or a digest.</param>
    /// <returns>Null where there is none.</returns>
    ValueTask<ManifestEntry?> FindManifestAsync(RepositoryName repository, string reference, CancellationToken cancellationToken);

    /// <returns>The size in bytes, or null.</returns>
    ValueTask<long?> FindBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken);

    ValueTask<BlobContent?> OpenBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken);
}

/// <summary>A registry of its own.</summary>
internal sealed class StoredContent(RegistryContent content) : IContentSource
{
    public ValueTask<ManifestEntry?> FindManifestAsync(RepositoryName repository, string reference, CancellationToken cancellationToken) =>
        content.FindManifestAsync(repository, reference, cancellationToken);

    public ValueTask<long?> FindBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken) =>
        content.Storage.FindBlobAsync(repository, digest, cancellationToken);

    public ValueTask<BlobContent?> OpenBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken) =>
        content.Storage.OpenBlobAsync(repository, digest, cancellationToken);
}
