using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Server.Access;

namespace Slipway.Registry.Server.Http;

/// <summary>A request that is let in: what it addresses, who asks, and how to answer.</summary>
internal sealed record RegistryRequest(HttpContext Context, RepositoryName Repository, string Reference, Caller Caller)
{
    public HttpRequest Request => Context.Request;

    public HttpResponse Response => Context.Response;

    public CancellationToken Aborted => Context.RequestAborted;

    public bool IsHead => HttpMethods.IsHead(Request.Method);

    /// <summary>The reference, where it must be a digest.</summary>
    public Digest RequireDigest() => RequireDigest(Reference);

    public static Digest RequireDigest(string? text) =>
        Digest.TryParse(text, out Digest digest) ? digest : throw RegistryError.DigestInvalid("invalid digest, or of an unsupported algorithm");

    /// <summary>A query parameter; null where it is missing, an empty string where it has no value.</summary>
    public string? Query(string name) => Request.Query.TryGetValue(name, out Microsoft.Extensions.Primitives.StringValues values) ? values[^1] : null;

    public string BlobLocation(Digest digest) => $"/v2/{Repository}/blobs/{digest}";

    public string UploadLocation(string id) => $"/v2/{Repository}/blobs/uploads/{id}";
}
