namespace Slipway.Registry.Distribution.Transport;

/// <summary>Bodies that are held in memory: a registry that sends more than the limit is refused, however long it says the body is.</summary>
internal static class BoundedBody
{
    private static readonly HttpRequestOptionsKey<(TimeSpan Timeout, TimeProvider Clock)> s_patience = new("slipway.patience");

    /// <summary>Says with a request how long its answer's body may take as a whole.</summary>
    public static void SetPatience(HttpRequestMessage message, TimeSpan timeout, TimeProvider clock) => message.Options.Set(s_patience, (timeout, clock));

    /// <param name="what">For the text: "the manifest".</param>
    /// <exception cref="RegistryException">Invalid: more than <paramref name="limit"/> bytes.</exception>
    /// <exception cref="ConnectionException">The body broke off, or took too long.</exception>
    public static async Task<byte[]> ReadAsync(HttpResponseMessage answer, int limit, string what, CancellationToken cancellationToken)
    {
        if (answer.Content.Headers.ContentLength > limit)
        {
            throw TooLarge(what, limit);
        }

        var (timeout, clock) = answer.RequestMessage!.Options.TryGetValue(s_patience, out var set) ? set : (Timeout.InfiniteTimeSpan, TimeProvider.System);
        using var patience = new CancellationTokenSource(timeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            var stream = await answer.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using var _ = stream.ConfigureAwait(false);
            using var content = new MemoryStream();
            var buffer = new byte[16 << 10];
            int read;
            while ((read = await stream.ReadAsync(buffer, either.Token).ConfigureAwait(false)) > 0)
            {
                if (content.Length + read > limit)
                {
                    throw TooLarge(what, limit);
                }

                content.Write(buffer, 0, read);
            }

            return content.ToArray();
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ConnectionException("net/http: timeout awaiting response body", mayPass: true, error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw ConnectionException.From(error, answer.RequestMessage!.RequestUri!);
        }
    }

    private static RegistryException TooLarge(string what, int limit) => new(RegistryErrorKind.Invalid, $"{what} has more than {limit} bytes: refused");
}
