namespace Slipway.Registry.Distribution.Transport;

/// <summary>Bodies that are held in memory: a registry that sends more than the limit is refused, however long it says the body is.</summary>
internal static class BoundedBody
{
    /// <param name="what">For the text: "the manifest".</param>
    /// <exception cref="RegistryException">Invalid: more than <paramref name="limit"/> bytes.</exception>
    /// <exception cref="ConnectionException">The body broke off.</exception>
    public static async Task<byte[]> ReadAsync(HttpResponseMessage answer, int limit, string what, CancellationToken cancellationToken)
    {
        if (answer.Content.Headers.ContentLength > limit)
        {
            throw TooLarge(what, limit);
        }

        try
        {
            var stream = await answer.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using var _ = stream.ConfigureAwait(false);
            using var content = new MemoryStream();
            var buffer = new byte[16 << 10];
            int read;
            while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                if (content.Length + read > limit)
                {
                    throw TooLarge(what, limit);
                }

                content.Write(buffer, 0, read);
            }

            return content.ToArray();
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw ConnectionException.From(error, answer.RequestMessage!.RequestUri!);
        }
    }

    private static RegistryException TooLarge(string what, int limit) => new(RegistryErrorKind.Invalid, $"{what} has more than {limit} bytes: refused");
}
