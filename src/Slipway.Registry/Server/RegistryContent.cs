using Slipway.Oci;
using Slipway.Registry.Server.Http;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server;

/// <summary>The rules of a registry over its storage: what a manifest must be and have to be accepted, what refers to what.</summary>
internal sealed class RegistryContent(IRegistryStorage storage, ManifestCache cache)
{
    public IRegistryStorage Storage { get; } = storage;

    /// <param name="reference">A tag or a digest.</param>
    /// <returns>Null where there is none.</returns>
    public async ValueTask<ManifestEntry?> FindManifestAsync(RepositoryName repository, string reference, CancellationToken cancellationToken)
    {
        if (cache.Find(repository, reference) is { } cached)
        {
            return cached;
        }

        long stamp = cache.Stamp(repository);
        Digest? digest = Digest.TryParse(reference, out Digest parsed) ? parsed
            : Reference.IsTag(reference) ? await Storage.ResolveTagAsync(repository, reference, cancellationToken)
            : throw RegistryError.TagInvalid();
        if (digest is not { } known || await Storage.ReadManifestAsync(repository, known, cancellationToken) is not { } content)
        {
            return null;
        }

        return cache.Add(repository, reference, new ManifestEntry(known, content, ManifestDocument.Parse(content).MediaType), stamp);
    }

    /// <summary>Keeps a manifest under its digest and the tags.</summary>
    /// <param name="expected">Of the digest the client gave; null where it gave a tag.</param>
    /// <param name="contentType">As sent; may be empty.</param>
    /// <exception cref="RegistryError">It is invalid, or the repository lacks something it needs.</exception>
    public async Task<(ManifestEntry Entry, Digest? Subject)> PutManifestAsync(
        RepositoryName repository, byte[] content, string contentType, Digest? expected, IReadOnlyList<string> tags, CancellationToken cancellationToken)
    {
        Digest digest = Compute(content, expected);
        if (expected is { } named && named != digest)
        {
            throw RegistryError.DigestInvalid($"the manifest's digest is {digest}");
        }

        ManifestDocument document;
        try
        {
            document = ManifestDocument.Parse(content, contentType);
        }
        catch (OciException e)
        {
            throw RegistryError.ManifestInvalid(e.Message);
        }

        await RequireAsync(repository, document, cancellationToken);
        await Storage.WriteManifestAsync(repository, digest, content, tags, document.Subject, cancellationToken);
        cache.Remove(repository, [digest.ToString(), .. tags]);
        return (new ManifestEntry(digest, content, document.MediaType), document.Subject);
    }

    /// <summary>Keeps a manifest of another registry, whose blobs and children are not here yet.</summary>
    /// <exception cref="OciException">It is no manifest, or not the one of this digest.</exception>
    public async Task<ManifestEntry> KeepManifestAsync(
        RepositoryName repository, byte[] content, Digest digest, IReadOnlyList<string> tags, CancellationToken cancellationToken)
    {
        if (Compute(content, digest) != digest)
        {
            throw new OciException($"a manifest was sent that is not {digest}");
        }

        ManifestDocument document = ManifestDocument.Parse(content);
        await Storage.WriteManifestAsync(repository, digest, content, tags, document.Subject, cancellationToken);
        cache.Remove(repository, [digest.ToString(), .. tags]);
        return new ManifestEntry(digest, content, document.MediaType);
    }

    /// <param name="unusedSince">See <see cref="IManifestStorage.RemoveManifestAsync"/>.</param>
    /// <returns>False where there was none, or it was used.</returns>
    public async Task<bool> RemoveManifestAsync(RepositoryName repository, Digest digest, DateTimeOffset? unusedSince, CancellationToken cancellationToken)
    {
        if (await Storage.ReadManifestAsync(repository, digest, cancellationToken) is not { } content)
        {
            return false;
        }

        IReadOnlyList<string>? tags = await Storage.RemoveManifestAsync(repository, digest, ManifestDocument.Parse(content).Subject, unusedSince, cancellationToken);
        cache.Remove(repository, [digest.ToString(), .. tags ?? []]);
        return tags is not null;
    }

    /// <returns>False where there was none.</returns>
    public async Task<bool> RemoveTagAsync(RepositoryName repository, string tag, CancellationToken cancellationToken)
    {
        bool removed = await Storage.RemoveTagAsync(repository, tag, cancellationToken);
        cache.Remove(repository, tag);
        return removed;
    }

    /// <summary>What refers to a manifest, with the type and the annotations of each (distribution-spec, "Listing Referrers").</summary>
    public async Task<IReadOnlyList<Descriptor>> ListReferrersAsync(RepositoryName repository, Digest subject, CancellationToken cancellationToken)
    {
        List<Descriptor> referrers = [];
        foreach (Digest digest in await Storage.ListReferrersAsync(repository, subject, cancellationToken))
        {
            if (await FindManifestAsync(repository, digest.ToString(), cancellationToken) is { } entry)
            {
                ManifestDocument document = ManifestDocument.Parse(entry.Content);
                referrers.Add(new Descriptor
                {
                    MediaType = document.MediaType,
                    Digest = digest,
                    Size = entry.Content.Length,
                    ArtifactType = document.ArtifactType,
                    Annotations = document.Annotations,
                });
            }
        }

        return referrers;
    }

    private static Digest Compute(byte[] content, Digest? like)
    {
        if (like is not { Algorithm: Digest.Sha512 } expected)
        {
            return Digest.Of(content);
        }

        using System.Security.Cryptography.IncrementalHash hash = expected.CreateHash();
        hash.AppendData(content);
        return Digest.FromHash(hash.GetHashAndReset());
    }

    /// <summary>
    /// What a manifest needs must be in its own repository. Looking for a blob counts as its use, so a collection that runs beside a push
    /// keeps what the push found here (<see cref="IBlobStorage.FindBlobAsync"/>).
    /// </summary>
    private async Task RequireAsync(RepositoryName repository, ManifestDocument document, CancellationToken cancellationToken)
    {
        foreach (Descriptor blob in document.Blobs)
        {
            if (MediaTypes.IsForeignLayer(blob.MediaType))
            {
                continue;
            }

            long size = await Storage.FindBlobAsync(repository, blob.Digest, cancellationToken) ?? throw MissingBlob(blob.Digest);
            if (size != blob.Size)
            {
                throw RegistryError.ManifestInvalid($"blob {blob.Digest} has {size} bytes, not {blob.Size}");
            }
        }

        foreach (Descriptor child in document.Children)
        {
            // An index may list what is no manifest (image-spec, image-index.md, "manifests"); that is a blob then.
            bool present = await Storage.HasManifestAsync(repository, child.Digest, cancellationToken)
                || (!MediaTypes.IsManifest(child.MediaType) && !MediaTypes.IsIndex(child.MediaType)
                    && await Storage.FindBlobAsync(repository, child.Digest, cancellationToken) is not null);
            if (!present)
            {
                throw MissingBlob(child.Digest);
            }
        }
    }

    private static RegistryError MissingBlob(Digest digest) =>
        new(Microsoft.AspNetCore.Http.StatusCodes.Status404NotFound, "MANIFEST_BLOB_UNKNOWN", $"manifest references a manifest or blob unknown to registry: {digest}");
}
