using System.Net;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>Sends requests with bounded patience: a time-out for each answer, and back-off between attempts.</summary>
/// <param name="send">Sends a request and returns when the headers of its answer are there.</param>
internal sealed class RequestSender(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send, RetrySettings retry, TimeProvider clock)
{
    public RetrySettings Retry => retry;

    /// <summary>One attempt.</summary>
    /// <exception cref="ConnectionException">No answer.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage message, CancellationToken cancellationToken)
    {
        var timeout = message.Method == HttpMethod.Put || message.Method == HttpMethod.Patch ? retry.PushTimeout : retry.AnswerTimeout;
        BoundedBody.SetPatience(message, retry.IdleTimeout, clock);
        using var patience = new CancellationTokenSource(timeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        var upload = message.Content as StreamedContent;
        if (upload is not null)
        {
            upload.Progressed = () => patience.CancelAfter(timeout);
        }

        try
        {
            return await send(message, either.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (upload?.SourceError is { } source && error is not RegistryException)
        {
            throw new SourceException(source);
        }
        catch (Exception error) when (error is HttpRequestException or IOException || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw ConnectionException.From(error, message.RequestUri!);
        }
    }

    /// <summary>
    /// Repeats an attempt while it fails in a way that may pass: a connection that breaks, 429 and 5xx. The last answer or failure
    /// is the caller's.
    /// </summary>
    /// <param name="isKnown">Whether the host has answered before: then also a refused connection may pass.</param>
    public async Task<HttpResponseMessage> SendPersistentlyAsync(
        Func<CancellationToken, Task<HttpResponseMessage>> attempt, CancellationToken cancellationToken, Func<bool>? isKnown = null)
    {
        for (var failures = 1; ; failures++)
        {
            HttpResponseMessage? answer = null;
            try
            {
                answer = await attempt(cancellationToken).ConfigureAwait(false);
                if (!MayPass(answer.StatusCode) || failures >= retry.Attempts)
                {
                    return answer;
                }
            }
            catch (ConnectionException error) when (failures < retry.Attempts && (error.MayPass || (isKnown?.Invoke() ?? false)))
            {
                // The next attempt may have an answer.
            }

            var delay = Delay(failures, answer);
            if (delay > retry.LongestRetryAfter)
            {
                return answer!;
            }

            answer?.Dispose();
            await Task.Delay(delay, clock, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The wait after so many failures: what the registry asks for, else a random part of an exponentially growing time.</summary>
    public TimeSpan Delay(int failures, HttpResponseMessage? answer = null)
    {
        var asked = answer?.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - clock.GetUtcNow(),
            _ => TimeSpan.Zero,
        };
        if (asked > TimeSpan.Zero)
        {
            return asked;
        }

        var longest = Math.Min(retry.FirstDelay.TotalMilliseconds * Math.Pow(2, failures - 1), retry.LongestDelay.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(longest * (0.5 + (Random.Shared.NextDouble() / 2)));
    }

    public Task WaitAsync(int failures, CancellationToken cancellationToken) => Task.Delay(Delay(failures), clock, cancellationToken);

    public static bool MayPass(HttpStatusCode status) => status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests
        or HttpStatusCode.InternalServerError or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout;
}
