using System.Buffers;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Endpoints;

/// <summary>Manifests and tags (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting tags", "Deleting Manifests").</summary>
internal sealed class ManifestEndpoints(RegistryContent content, IContentSource source)
{
    /// <summary>So many tags are set by one push; more make the address too long.</summary>
    private const int MaximumTags = 32;

    public async Task GetAsync(RegistryRequest request)
    {
        ManifestEntry entry = await source.FindManifestAsync(request.Repository, request.Reference, request.Aborted)
            ?? throw RegistryError.ManifestUnknown(request.Reference);
        HttpResponse response = request.Response;
        response.Headers["Docker-Content-Digest"] = entry.DigestText;
        response.Headers.ETag = entry.ETag;
        if (ConditionalRequest.IsUnchanged(request.Request, entry.ETag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentType = entry.MediaType;
        response.ContentLength = entry.Content.Length;
        if (!request.IsHead)
        {
            // Once begun, what is written goes into the connection's own buffer and nowhere before.
            await response.StartAsync(request.Aborted);
            response.BodyWriter.Write(entry.Content);
        }
    }

    public async Task PutAsync(RegistryRequest request)
    {
        Digest? digest = Digest.TryParse(request.Reference, out Digest parsed) ? parsed : null;
        List<string> tags = [];
        if (digest is null)
        {
            tags.Add(request.Reference);
        }
        else
        {
            tags.AddRange(request.Request.Query["tag"].OfType<string>());
        }

        if (!tags.TrueForAll(Reference.IsTag))
        {
            throw request.Reference.Contains(':', StringComparison.Ordinal) && digest is null
                ? RegistryError.DigestInvalid("invalid digest, or of an unsupported algorithm") : RegistryError.TagInvalid();
        }

        if (tags.Count > MaximumTags)
        {
            throw new RegistryError(StatusCodes.Status414UriTooLong, "TAG_INVALID", $"at most {MaximumTags} tags are set at once");
        }

        (ManifestEntry entry, Digest? subject) = await content.PutManifestAsync(
            request.Repository, await ReadBodyAsync(request), ContentType(request.Request), digest, tags, request.Aborted);
        request.Response.StatusCode = StatusCodes.Status201Created;
        request.Response.Headers.Location = $"/v2/{request.Repository}/manifests/{entry.Digest}";
        request.Response.Headers["Docker-Content-Digest"] = entry.DigestText;
        if (subject is { } named)
        {
            request.Response.Headers["OCI-Subject"] = named.ToString();
        }

        if (digest is not null && tags.Count > 0)
        {
            request.Response.Headers["OCI-Tag"] = string.Join(", ", tags);
        }
    }

    public async Task DeleteAsync(RegistryRequest request)
    {
        bool removed = Digest.TryParse(request.Reference, out Digest digest)
            ? await content.RemoveManifestAsync(request.Repository, digest, unusedSince: null, request.Aborted)
            : Reference.IsTag(request.Reference) ? await content.RemoveTagAsync(request.Repository, request.Reference, request.Aborted)
            : throw RegistryError.TagInvalid();
        if (!removed)
        {
            throw await content.Storage.HasRepositoryAsync(request.Repository, request.Aborted)
                ? RegistryError.ManifestUnknown(request.Reference) : RegistryError.NameUnknown(request.Repository);
        }

        request.Response.StatusCode = StatusCodes.Status202Accepted;
    }

    /// <summary>Without parameters, which the specification wants ignored.</summary>
    private static string ContentType(HttpRequest request) => (request.ContentType ?? "").Split(';', 2)[0].Trim();

    private static async Task<byte[]> ReadBodyAsync(RegistryRequest request)
    {
        if (request.Request.ContentLength > ManifestDocument.MaximumSize)
        {
            throw RegistryError.ManifestTooLarge(ManifestDocument.MaximumSize);
        }

        using MemoryStream body = new((int)(request.Request.ContentLength ?? 0));
        byte[] buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            for (int count; (count = await request.Request.Body.ReadAsync(buffer, request.Aborted)) > 0;)
            {
                if (body.Length + count > ManifestDocument.MaximumSize)
                {
                    throw RegistryError.ManifestTooLarge(ManifestDocument.MaximumSize);
                }

                body.Write(buffer, 0, count);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return body.ToArray();
    }
}
