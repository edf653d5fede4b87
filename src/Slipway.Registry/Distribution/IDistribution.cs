using Slipway.Oci;

namespace Slipway.Registry.Distribution;

/// <summary>The client side of registries (OCI distribution-spec 1.1, Docker Registry HTTP API v2).</summary>
public interface IDistribution
{
    /// <summary>
    /// Access to one repository. Nothing is sent before the first request. A pull asks the registry's mirrors first, each with
    /// credentials of its own only; a push goes to the registry itself.
    /// </summary>
    /// <param name="name">The repository; tag and digest are not looked at.</param>
    /// <param name="credentials">For the registry of <paramref name="name"/> and for no other host; null for anonymous.</param>
    IRemoteRepository Open(Reference name, RegistryAccess access, RegistryCredentials? credentials);

    /// <summary><c>docker login</c>: tries credentials at <see cref="RegistryCredentials.ServerAddress"/>.</summary>
    /// <returns>The identity token that the registry gave to use in place of the password, or null.</returns>
    /// <exception cref="RegistryException">Unauthorized: wrong user or password, with Docker's text.</exception>
    Task<string?> LoginAsync(RegistryCredentials credentials, CancellationToken cancellationToken);
}

public enum RegistryAccess
{
    Pull,
    Push,
}

/// <summary>What X-Registry-Auth carries (Engine API, "Authentication"). Never written to a log, an event or an answer.</summary>
public sealed record RegistryCredentials
{
    public string Username { get; init; } = "";

    public string Password { get; init; } = "";

    /// <summary>An OAuth2 refresh token, used in place of user and password.</summary>
    public string IdentityToken { get; init; } = "";

    /// <summary>A bearer token to be sent as it is.</summary>
    public string RegistryToken { get; init; } = "";

    public string ServerAddress { get; init; } = "";

    /// <summary>Without the secrets: a record's own text would show them.</summary>
    public override string ToString() => $"credentials for {ServerAddress}";
}

/// <summary>One repository of a registry. Every method throws <see cref="RegistryException"/>.</summary>
public interface IRemoteRepository : IAsyncDisposable
{
    /// <summary>The repository, without tag and digest.</summary>
    Reference Name { get; }

    /// <summary>Type, digest and size of a manifest or index, without its content (HEAD, or GET where the registry has no HEAD).</summary>
    /// <param name="tagOrDigest">A tag, or <c>sha256:…</c>.</param>
    /// <exception cref="RegistryException">NotFound: <c>manifest unknown</c>.</exception>
    Task<Descriptor> ResolveAsync(string tagOrDigest, CancellationToken cancellationToken);

    /// <summary>
    /// A manifest or index, of at most 4 MiB (distribution-spec, "Pushing Manifests"), its digest verified where it was asked for by digest or
    /// the registry named one. The type comes from the document, and a document that is both manifest and index, or whose type
    /// contradicts its Content-Type, is refused (CVE-2021-41190).
    /// </summary>
    Task<RemoteManifest> GetManifestAsync(string tagOrDigest, CancellationToken cancellationToken);

    /// <summary>
    /// The bytes of a blob from <paramref name="offset"/> on. A connection that breaks is resumed by a range request and retried with back-off
    /// without the reader's noticing; more bytes than <see cref="Descriptor.Size"/> are an error, and so are fewer. The digest is
    /// for the reader to check.
    /// </summary>
    Task<Stream> OpenBlobAsync(Descriptor blob, long offset, CancellationToken cancellationToken);

    Task<bool> HasBlobAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Puts a blob where it is not yet: found there, mounted from another repository of the registry, or uploaded.</summary>
    /// <param name="mountFrom">Repositories (<see cref="Reference.Path"/>) of the same registry that are thought to have it.</param>
    /// <param name="open">Opens the blob from its start; called again when an upload has to be begun anew.</param>
    /// <param name="sent">Bytes sent so far.</param>
    Task<BlobPush> PushBlobAsync(
        Descriptor blob, IReadOnlyList<string> mountFrom, Func<CancellationToken, ValueTask<Stream>> open, IProgress<long>? sent, CancellationToken cancellationToken);

    /// <summary>Puts a manifest or index; what it names must be there.</summary>
    Task PushManifestAsync(string tagOrDigest, RemoteManifest manifest, CancellationToken cancellationToken);

    /// <summary>All tags, page by page.</summary>
    IAsyncEnumerable<string> ListTagsAsync(CancellationToken cancellationToken);

    /// <summary>What refers to a manifest (distribution-spec, "Listing Referrers"), by the API or by the fallback tag.</summary>
    Task<IReadOnlyList<Descriptor>> ListReferrersAsync(Digest subject, string? artifactType, CancellationToken cancellationToken);
}

/// <summary>A manifest or an index, byte for byte.</summary>
public sealed record RemoteManifest(Descriptor Descriptor, ReadOnlyMemory<byte> Content);

/// <summary>How a blob came to be where it was pushed.</summary>
/// <param name="MountedFrom">The repository it was mounted from; null unless mounted.</param>
public sealed record BlobPush(BlobPushKind Kind, string? MountedFrom = null);

public enum BlobPushKind
{
    Uploaded,
    AlreadyThere,
    Mounted,
}
