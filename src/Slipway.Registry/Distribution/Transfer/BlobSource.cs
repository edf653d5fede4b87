using System.Net;
using System.Net.Http.Headers;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution.Transfer;

/// <summary>A place that blobs are read from.</summary>
internal interface IBlobSource
{
    /// <summary>For texts.</summary>
    string Name { get; }

    RequestSender Sender { get; }

    /// <summary>Asks for a blob from <paramref name="offset"/> on.</summary>
    /// <param name="entityTag">Of the answer before, where it had a strong one; the place must still have the same.</param>
    /// <exception cref="RegistryException">Not there, refused, or an answer that cannot be right.</exception>
    Task<BlobBody> OpenAsync(Descriptor blob, long offset, EntityTagHeaderValue? entityTag, CancellationToken cancellationToken);
}

/// <summary>An answer with (a part of) a blob.</summary>
/// <param name="Start">Position in the blob of the body's first byte: less than what was asked for where the place has no ranges.</param>
/// <param name="IsBounded">Whether the answer's length is known, and right.</param>
internal sealed record BlobBody(HttpResponseMessage Answer, Stream Content, long Start, bool IsBounded, EntityTagHeaderValue? EntityTag) : IAsyncDisposable
{
    public async ValueTask DisposeAsync()
    {
        await Content.DisposeAsync().ConfigureAwait(false);
        Answer.Dispose();
    }
}

/// <summary>The blobs of a repository at one endpoint. The URLs that a descriptor may carry are never looked at (CVE-2020-15157).</summary>
internal sealed class RegistryBlobSource(RegistryConnection connection, Reference name) : IBlobSource
{
    public string Name => connection.Address.Authority;

    public RequestSender Sender => connection.Sender;

    public async Task<BlobBody> OpenAsync(Descriptor blob, long offset, EntityTagHeaderValue? entityTag, CancellationToken cancellationToken)
    {
        var answer = await connection.SendAsync(
            new RegistryRequest(HttpMethod.Get, $"v2/{name.Path}/blobs/{blob.Digest}") { Headers = headers => AskForRange(headers, offset, entityTag) },
            cancellationToken).ConfigureAwait(false);
        return await BlobAnswer.ReadAsync(answer, blob, offset, cancellationToken).ConfigureAwait(false);
    }

    private static void AskForRange(HttpRequestHeaders headers, long offset, EntityTagHeaderValue? entityTag)
    {
        if (offset > 0)
        {
            headers.Range = new RangeHeaderValue(offset, null);
            headers.IfRange = entityTag is { IsWeak: false } ? new RangeConditionHeaderValue(entityTag) : null;
        }
    }
}

/// <summary>Judges the answer to a request for a blob by its status and headers.</summary>
internal static class BlobAnswer
{
    public static async Task<BlobBody> ReadAsync(HttpResponseMessage answer, Descriptor blob, long offset, CancellationToken cancellationToken)
    {
        try
        {
            var start = answer.StatusCode switch
            {
                HttpStatusCode.OK => 0,
                HttpStatusCode.PartialContent => CheckRange(answer.Content.Headers.ContentRange, blob, offset),
                _ => throw (await ErrorAnswer.ReadAsync(answer, cancellationToken, "BLOB_UNKNOWN").ConfigureAwait(false)).ToException(),
            };
            if (answer.Content.Headers.ContentLength is { } length && length != blob.Size - start)
            {
                throw new RegistryException(
                    RegistryErrorKind.Invalid, $"blob {blob.Digest} should have {blob.Size} bytes, but the registry sends {start + length}: refused");
            }

            var content = await answer.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            return new BlobBody(answer, content, start, answer.Content.Headers.ContentLength is not null, answer.Headers.ETag);
        }
        catch
        {
            answer.Dispose();
            throw;
        }
    }

    private static long CheckRange(ContentRangeHeaderValue? range, Descriptor blob, long offset) =>
        range is { Unit: "bytes", HasRange: true } && range.From == offset && (range.Length is null || range.Length == blob.Size)
            ? offset
            : throw new RegistryException(RegistryErrorKind.Invalid, $"blob {blob.Digest}: the registry sends another range than the one asked for");
}
