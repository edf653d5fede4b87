using Microsoft.Win32.SafeHandles;
using Slipway.Oci;

namespace Slipway.Registry.Server.Storage;

/// <summary>
/// What a registry keeps. Content is shared between repositories, access to it is not: every question names the repository, and what another one
/// holds is not there (CVE-2026-35172). Changes are durable when their task is complete.
/// </summary>
internal interface IRegistryStorage : IBlobStorage, IManifestStorage, IDisposable
{
    /// <summary>Repositories with a manifest, by name.</summary>
    ValueTask<IReadOnlyList<RepositoryName>> ListRepositoriesAsync(CancellationToken cancellationToken);

    /// <summary>All repositories, also those that hold nothing but blobs yet, in any order.</summary>
    IEnumerable<RepositoryName> EnumerateRepositories();
}

internal interface IBlobStorage
{
    /// <summary>The size of a blob in bytes; null where the repository has none of this digest. Counts as use: see <see cref="RemoveBlobAsync"/>.</summary>
    ValueTask<long?> FindBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken);

    /// <returns>Null where the repository has no such blob.</returns>
    ValueTask<BlobContent?> OpenBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken);

    /// <summary>Gives a repository a blob that another one has; counts as use.</summary>
    /// <returns>False where <paramref name="source"/> has no such blob.</returns>
    Task<bool> MountBlobAsync(RepositoryName source, RepositoryName target, Digest digest, CancellationToken cancellationToken);

    /// <summary>Takes a blob away from a repository.</summary>
    /// <param name="unusedSince">Only if it was not used since; null: in any case.</param>
    /// <returns>False where there was none, or it was used.</returns>
    Task<bool> RemoveBlobAsync(RepositoryName repository, Digest digest, DateTimeOffset? unusedSince, CancellationToken cancellationToken);

    IEnumerable<Digest> EnumerateBlobs(RepositoryName repository);

    /// <summary>Begins an upload. It is there until it is committed, cancelled or expired, also over restarts.</summary>
    ValueTask<IBlobUpload> BeginUploadAsync(RepositoryName repository, CancellationToken cancellationToken);

    /// <returns>Null where the repository has no such upload.</returns>
    /// <exception cref="UploadBusyException">Another request works on it.</exception>
    ValueTask<IBlobUpload?> OpenUploadAsync(RepositoryName repository, string id, CancellationToken cancellationToken);

    /// <summary>Removes uploads that nobody has worked on since.</summary>
    /// <returns>How many.</returns>
    Task<int> ExpireUploadsAsync(DateTimeOffset unusedSince, CancellationToken cancellationToken);

    /// <summary>Frees the content that no repository has any more.</summary>
    Task<SweptContent> SweepContentAsync(DateTimeOffset unusedSince, CancellationToken cancellationToken);
}

internal interface IManifestStorage
{
    /// <summary>Whether it has a manifest.</summary>
    ValueTask<bool> HasRepositoryAsync(RepositoryName repository, CancellationToken cancellationToken);

    /// <summary>The bytes of a manifest, or null.</summary>
    ValueTask<byte[]?> ReadManifestAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken);

    /// <summary>Counts as use: see <see cref="RemoveManifestAsync"/>.</summary>
    ValueTask<bool> HasManifestAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken);

    /// <summary>Keeps a manifest, then its tags, then its place in the list of its subject's referrers.</summary>
    Task WriteManifestAsync(
        RepositoryName repository, Digest digest, ReadOnlyMemory<byte> content, IReadOnlyList<string> tags, Digest? subject, CancellationToken cancellationToken);

    /// <summary>Removes a manifest, the tags that name it, and its place in the list of its subject's referrers.</summary>
    /// <param name="unusedSince">Only if it was neither written nor used since, and no tag names it; null: in any case.</param>
    /// <returns>The tags that were removed; null where there was no such manifest, or it was used.</returns>
    Task<IReadOnlyList<string>?> RemoveManifestAsync(
        RepositoryName repository, Digest digest, Digest? subject, DateTimeOffset? unusedSince, CancellationToken cancellationToken);

    IEnumerable<Digest> EnumerateManifests(RepositoryName repository);

    /// <returns>Null where there is no such tag.</returns>
    ValueTask<Digest?> ResolveTagAsync(RepositoryName repository, string tag, CancellationToken cancellationToken);

    /// <returns>False where there was no such tag.</returns>
    Task<bool> RemoveTagAsync(RepositoryName repository, string tag, CancellationToken cancellationToken);

    /// <summary>All tags in the order of their bytes.</summary>
    ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName repository, CancellationToken cancellationToken);

    /// <summary>Manifests whose subject this is, by digest.</summary>
    ValueTask<IReadOnlyList<Digest>> ListReferrersAsync(RepositoryName repository, Digest subject, CancellationToken cancellationToken);
}

/// <summary>A blob, open for reading.</summary>
/// <param name="file">Its content, in which bytes may still be missing: see <see cref="WaitAsync"/>.</param>
/// <param name="length">Bytes of the whole.</param>
internal class BlobContent(SafeFileHandle file, long length) : IDisposable
{
    public SafeFileHandle File { get; } = file;

    public long Length { get; } = length;

    /// <summary>Whether all of it is there.</summary>
    public virtual bool IsComplete => true;

    /// <summary>Waits until there is more than the first <paramref name="count"/> bytes.</summary>
    /// <returns>How many bytes from the beginning are there.</returns>
    public virtual ValueTask<long> WaitAsync(long count, CancellationToken cancellationToken) => ValueTask.FromResult(Length);

    public void Dispose() => File.Dispose();
}

/// <summary>An upload, held by one request until it is disposed. What was written stays.</summary>
internal interface IBlobUpload : IDisposable
{
    /// <summary>A UUID.</summary>
    string Id { get; }

    /// <summary>Bytes that are there.</summary>
    long Length { get; }

    /// <summary>A second descriptor of what was received and will be.</summary>
    SafeFileHandle OpenRead();

    /// <summary>Appends.</summary>
    void Write(ReadOnlySpan<byte> bytes);

    /// <summary>Makes it a blob of the repository, if it has this digest. The upload is gone then.</summary>
    /// <returns>False where the digest is another one; the upload is still there.</returns>
    Task<bool> CommitAsync(Digest digest, CancellationToken cancellationToken);

    void Cancel();
}

internal sealed class UploadBusyException() : Exception("another request works on this upload");

/// <param name="Count">Blobs removed.</param>
/// <param name="Bytes">What they held.</param>
internal readonly record struct SweptContent(int Count, long Bytes);
