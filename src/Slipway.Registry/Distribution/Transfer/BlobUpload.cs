using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution.Transfer;

/// <summary>
/// Uploads one blob (distribution-spec, "Pushing Blobs"): in one request as long as all goes well; after an interruption, from where the
/// registry says it is; in pieces where the registry asks for them.
/// </summary>
internal sealed class BlobUpload(
    RegistryConnection connection, Reference name, Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, IProgress<long>? progress)
{
    /// <summary>A piece, where a registry wants pieces and does not say how large.</summary>
    private const long Piece = 16 << 20;

    private long _sent;

    /// <param name="session">An upload that the registry has begun (a mount that it declined), or null.</param>
    public async Task RunAsync(UploadSession? session, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                session ??= await BeginAsync(cancellationToken).ConfigureAwait(false);
                await SendAsync(session, cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (UploadBrokenException broken) when (failures < connection.Sender.Retry.Attempts)
            {
                await connection.Sender.WaitAsync(failures, cancellationToken).ConfigureAwait(false);
                var resumed = broken.MayResume && session is not null ? await FindAsync(session, cancellationToken).ConfigureAwait(false) : null;
                failures = resumed is not null && session is not null && resumed.Offset > session.Offset ? 0 : failures;
                session = resumed;
            }
            catch (UploadBrokenException broken)
            {
                throw broken.Refusal;
            }
            catch (SourceException source)
            {
                throw new RegistryException(RegistryErrorKind.Invalid, $"blob {blob.Digest} cannot be read: {source.Message}", source);
            }
        }
    }

    /// <summary>Reads where an upload goes on. The address may be on another host; credentials do not follow it there.</summary>
    public static UploadSession SessionOf(HttpResponseMessage answer, long offset)
    {
        var smallest = answer.Headers.TryGetValues("OCI-Chunk-Min-Length", out var values) && long.TryParse(values.First(), CultureInfo.InvariantCulture, out var length) ? length : 0;
        return answer.Headers.Location is { } location
            && Uri.TryCreate(answer.RequestMessage!.RequestUri, location, out var address) && address.Scheme is "http" or "https" && address.UserInfo.Length == 0
            ? new UploadSession(address, offset, smallest)
            : throw new RegistryException(RegistryErrorKind.Invalid, "the registry names no address to upload to");
    }

    private async Task<UploadSession> BeginAsync(CancellationToken cancellationToken)
    {
        using var answer = await connection.SendAsync(new RegistryRequest(HttpMethod.Post, $"v2/{name.Path}/blobs/uploads/"), cancellationToken).ConfigureAwait(false);
        return answer.StatusCode == HttpStatusCode.Accepted
            ? SessionOf(answer, 0)
            : throw (await ErrorAnswer.ReadAsync(answer, cancellationToken).ConfigureAwait(false)).ToException();
    }

    /// <summary>Asks how far an upload is; null where it has to begin anew.</summary>
    private async Task<UploadSession?> FindAsync(UploadSession session, CancellationToken cancellationToken)
    {
        using var answer = await connection.SendAsync(new RegistryRequest(HttpMethod.Get, "") { Address = session.Address }, cancellationToken).ConfigureAwait(false);
        if (answer.StatusCode is not (HttpStatusCode.NoContent or HttpStatusCode.Accepted) || answer.Headers.Location is null)
        {
            return null;
        }

        // "0-0" is said of one byte and of none: begin anew.
        var last = EndOf(answer);
        return last is > 0 && last < blob.Size ? SessionOf(answer, last.Value + 1) : null;
    }

    private async Task SendAsync(UploadSession session, CancellationToken cancellationToken)
    {
        if (session.Offset > 0 || session.SmallestPiece > 0)
        {
            session = await SendPiecesAsync(session, cancellationToken).ConfigureAwait(false);
            await FinishAsync(session, null, cancellationToken).ConfigureAwait(false);
            return;
        }

        var source = await open(cancellationToken).ConfigureAwait(false);
        await using (source.ConfigureAwait(false))
        {
            await FinishAsync(session, source, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>PATCH by PATCH, up to the end of the blob.</summary>
    private async Task<UploadSession> SendPiecesAsync(UploadSession session, CancellationToken cancellationToken)
    {
        var source = await open(cancellationToken).ConfigureAwait(false);
        await using var _ = source.ConfigureAwait(false);
        await SkipAsync(source, session.Offset, cancellationToken).ConfigureAwait(false);
        while (session.Offset < blob.Size)
        {
            var length = session.SmallestPiece > 0 ? Math.Min(Math.Max(Piece, session.SmallestPiece), blob.Size - session.Offset) : blob.Size - session.Offset;
            var offset = session.Offset;
            using var answer = await OnceAsync(
                new RegistryRequest(HttpMethod.Patch, "") { Address = session.Address }, () => Content(source, offset, length, isPiece: true), cancellationToken).ConfigureAwait(false);
            if (answer.StatusCode != HttpStatusCode.Accepted)
            {
                throw await BrokenAsync(answer, cancellationToken).ConfigureAwait(false);
            }

            var end = EndOf(answer) ?? offset + length - 1;
            session = SessionOf(answer, end + 1) with { SmallestPiece = session.SmallestPiece };
            if (end != offset + length - 1)
            {
                throw new RegistryException(RegistryErrorKind.Invalid, $"blob {blob.Digest}: the registry has {end + 1} bytes of it where {offset + length} were sent");
            }
        }

        return session;
    }

    /// <summary>PUT with the digest: of the whole blob, or after its pieces.</summary>
    private async Task FinishAsync(UploadSession session, Stream? whole, CancellationToken cancellationToken)
    {
        var digest = "digest=" + Uri.EscapeDataString(blob.Digest.ToString());
        var query = session.Address.Query.TrimStart('?');
        var address = new UriBuilder(session.Address) { Query = query.Length == 0 ? digest : $"{query}&{digest}" }.Uri;
        using var answer = await OnceAsync(
            new RegistryRequest(HttpMethod.Put, "") { Address = address },
            () => whole is null ? new ByteArrayContent([]) : Content(whole, 0, blob.Size, isPiece: false),
            cancellationToken).ConfigureAwait(false);
        if (answer.StatusCode is not (HttpStatusCode.Created or HttpStatusCode.NoContent))
        {
            throw await BrokenAsync(answer, cancellationToken).ConfigureAwait(false);
        }

        if (ManifestAnswer.DigestOf(answer) is { IsNone: false } stored && stored != blob.Digest)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, $"blob {blob.Digest}: the registry stored it as {stored}");
        }
    }

    private StreamedContent Content(Stream source, long offset, long length, bool isPiece)
    {
        Report(offset);
        var content = new StreamedContent(source, length, count => Report(_sent + count));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        if (isPiece)
        {
            // Not the header of RFC 9110: the distribution-spec writes the range without unit and length.
            content.Headers.TryAddWithoutValidation("Content-Range", string.Create(CultureInfo.InvariantCulture, $"{offset}-{offset + length - 1}"));
        }

        return content;
    }

    private void Report(long sent) => progress?.Report(_sent = sent);

    /// <summary>One attempt. A body that is read once cannot be sent again: where a token ended meanwhile, the upload is resumed instead.</summary>
    private async Task<HttpResponseMessage> OnceAsync(RegistryRequest request, Func<HttpContent> content, CancellationToken cancellationToken)
    {
        var isSent = false;
        try
        {
            return await connection.SendAsync(request with { Persistent = false, Content = Once }, cancellationToken).ConfigureAwait(false);
        }
        catch (RegistryException error) when (error.Kind == RegistryErrorKind.Unavailable)
        {
            throw new UploadBrokenException(error, mayResume: true);
        }

        HttpContent Once()
        {
            if (isSent)
            {
                throw new UploadBrokenException(new RegistryException(RegistryErrorKind.Unauthorized, "unauthorized: authentication required"), mayResume: true);
            }

            isSent = true;
            return content();
        }
    }

    /// <summary>What a refused piece means: to try again where that can help, or the registry's refusal.</summary>
    private static async Task<Exception> BrokenAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        var refusal = await ErrorAnswer.ReadAsync(answer, cancellationToken).ConfigureAwait(false);
        return answer.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.RequestedRangeNotSatisfiable or HttpStatusCode.Unauthorized || RequestSender.MayPass(answer.StatusCode)
            ? new UploadBrokenException(refusal.ToException(), mayResume: answer.StatusCode != HttpStatusCode.NotFound)
            : refusal.ToException();
    }

    private static async Task SkipAsync(Stream source, long count, CancellationToken cancellationToken)
    {
        if (source.CanSeek)
        {
            source.Seek(count, SeekOrigin.Begin);
            return;
        }

        var buffer = new byte[64 << 10];
        while (count > 0)
        {
            var read = await source.ReadAsync(buffer.AsMemory(0, (int)Math.Min(count, buffer.Length)), cancellationToken).ConfigureAwait(false);
            count -= read > 0 ? read : throw new SourceException(new EndOfStreamException("the blob to push has fewer bytes than its descriptor says"));
        }
    }

    /// <summary>The last byte of <c>Range: 0-LAST</c>, or null.</summary>
    private static long? EndOf(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues("Range", out var values) && values.ToString() is var text
        && long.TryParse(text.AsSpan(text.IndexOf('-', StringComparison.Ordinal) + 1), CultureInfo.InvariantCulture, out var end) && end >= 0 ? end : null;

    /// <summary>An upload that broke off; another attempt may succeed.</summary>
    private sealed class UploadBrokenException(RegistryException refusal, bool mayResume) : Exception(refusal.Message, refusal)
    {
        public RegistryException Refusal => refusal;

        public bool MayResume => mayResume;
    }
}

/// <summary>Where an upload goes on.</summary>
/// <param name="Offset">Bytes the registry has.</param>
/// <param name="SmallestPiece">Bytes; above zero the registry wants pieces of at least so many.</param>
internal sealed record UploadSession(Uri Address, long Offset, long SmallestPiece);
