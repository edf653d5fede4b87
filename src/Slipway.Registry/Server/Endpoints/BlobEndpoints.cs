using System.Globalization;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Server.Http;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server.Endpoints;

/// <summary>Blobs (distribution-spec, "Pulling blobs", "Deleting Blobs").</summary>
internal sealed class BlobEndpoints(RegistryContent content, IContentSource source)
{
    public async Task HeadAsync(RegistryRequest request)
    {
        Digest digest = request.RequireDigest();
        long length = await source.FindBlobAsync(request.Repository, digest, request.Aborted) ?? throw RegistryError.BlobUnknown();
        Describe(request.Response, digest);
        request.Response.ContentLength = length;
    }

    public async Task GetAsync(RegistryRequest request)
    {
        Digest digest = request.RequireDigest();
        using BlobContent blob = await source.OpenBlobAsync(request.Repository, digest, request.Aborted) ?? throw RegistryError.BlobUnknown();
        HttpResponse response = request.Response;
        string etag = Describe(response, digest);
        if (ConditionalRequest.IsUnchanged(request.Request, etag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        ByteRange range = new(0, blob.Length);
        if (ConditionalRequest.Range(request.Request, response, etag, blob.Length) is { } part)
        {
            range = part;
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {part.Offset}-{part.Offset + part.Length - 1}/{blob.Length}");
        }

        response.ContentLength = range.Length;
        await FileAnswer.SendAsync(request.Context, blob, range, request.Aborted);
    }

    public async Task DeleteAsync(RegistryRequest request)
    {
        if (!await content.Storage.RemoveBlobAsync(request.Repository, request.RequireDigest(), unusedSince: null, request.Aborted))
        {
            throw RegistryError.BlobUnknown();
        }

        request.Response.StatusCode = StatusCodes.Status202Accepted;
    }

    private static string Describe(HttpResponse response, Digest digest)
    {
        string etag = $"\"{digest}\"";
        response.Headers["Docker-Content-Digest"] = digest.ToString();
        response.Headers.ETag = etag;
        response.Headers.AcceptRanges = "bytes";
        response.ContentType = "application/octet-stream";

        // What has this digest never changes, and who asks has been authorized for it.
        response.Headers.CacheControl = "max-age=31536000, private, immutable";
        return etag;
    }
}
