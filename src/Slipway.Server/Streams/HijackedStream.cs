using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Slipway.Engine.Containers;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Streams;

/// <summary>
/// The connection of a request, taken over for the streams of a process. It ends when the process' output does, when the client is
/// gone, or when it detaches; the end of the client's input alone ends nothing but stdin.
/// </summary>
internal sealed class HijackedStream
{
    public const string RawStream = "application/vnd.docker.raw-stream";
    public const string MultiplexedStream = "application/vnd.docker.multiplexed-stream";

    private const int BufferSize = 64 * 1024;

    /// <summary>How long output waits for a client that does not read.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(1);

    private readonly HttpContext _http;
    private readonly IRawConnection _connection;
    private readonly IDuplexPipe _pipe;
    private readonly CancellationToken _stopping;
    private readonly bool _terminal;

    private HijackedStream(ApiRequest request, bool terminal)
    {
        _http = request.Http;
        _connection = request.Connection;
        _pipe = _connection.Hijack();
        _stopping = request.Stopping;
        _terminal = terminal;
    }

    /// <summary>The media type of a process' output, for those who need to know whether to take it apart.</summary>
    public static string ContentType(bool terminal, ApiVersion version) => !terminal && version >= new ApiVersion(1, 42) ? MultiplexedStream : RawStream;

    /// <summary>
    /// Answers 101 to those who ask for an upgrade and 200 to others; from then on the connection carries the streams. Written by
    /// hand, since the HTTP server does not upgrade a request that has a body, as the start of an exec has.
    /// </summary>
    public static async Task<HijackedStream> OpenAsync(ApiRequest request, bool terminal)
    {
        // Some clients (dockerode) repeat the query as a body: it is not input for the process.
        if (request.Http.Request.ContentLength > 0)
        {
            await request.Http.Request.Body.CopyToAsync(Stream.Null, request.Stopping);
        }

        bool upgrade = request.Http.Request.Headers.ContainsKey("Upgrade");
        await request.AdmitStreamAsync(upgrade);
        HijackedStream stream = new(request, terminal);
        string head = upgrade
            ? $"HTTP/1.1 101 UPGRADED\r\nContent-Type: {ContentType(terminal, request.Version)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            : $"HTTP/1.1 200 OK\r\nContent-Type: {RawStream}\r\n\r\n";
        await stream._pipe.Output.WriteAsync(Encoding.ASCII.GetBytes(head));
        return stream;
    }

    /// <summary>Copies both ways until the end, and disposes the session.</summary>
    /// <param name="detachKeys">For terminals: what ends the connection when it is typed.</param>
    public async Task RunAsync(StreamSession session, DetachKeys? detachKeys)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(_connection.Closed, _stopping);
        Task input = CopyInputAsync(session, _terminal ? detachKeys : null, end);
        try
        {
            await CopyOutputAsync(session.Stream, end.Token);
        }
        finally
        {
            // Input that waits for the client or for a process that does not read ends here.
            await end.CancelAsync();
            await session.DisposeAsync();
            await input;
            await CloseAsync();
        }
    }

    /// <summary>Tells of an error where the client has been promised a stream: on its stdout.</summary>
    public async Task FailAsync(string message)
    {
        byte[] text = Encoding.UTF8.GetBytes(message + "\r\n");
        if (!_terminal)
        {
            LogFrames.WriteHeader(_pipe.Output, stderr: false, text.Length);
        }

        await UntilAnswerIsReadAsync(_connection.Closed);
        await _pipe.Output.WriteAsync(text);
        await CloseAsync();
    }

    /// <summary>
    /// Clients that read the answer through a buffer of their own and the streams from the bare socket (docker-py) lose what arrives in one piece with it, as it does where
    /// the machine has much to do.
    /// </summary>
    private async Task UntilAnswerIsReadAsync(CancellationToken cancellationToken)
    {
        long begin = Environment.TickCount64;
        while (_connection.IsUnread && !cancellationToken.IsCancellationRequested && Environment.TickCount64 - begin < s_patience.TotalMilliseconds)
        {
            await Task.Delay(s_pause, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task CopyOutputAsync(Stream output, CancellationToken cancellationToken)
    {
        try
        {
            for (bool first = true; ; first = false)
            {
                int count = await output.ReadAsync(_pipe.Output.GetMemory(BufferSize), cancellationToken);
                if (first)
                {
                    await UntilAnswerIsReadAsync(cancellationToken);
                }

                if (count == 0)
                {
                    return;
                }

                _pipe.Output.Advance(count);
                if ((await _pipe.Output.FlushAsync(cancellationToken)).IsCompleted)
                {
                    return;
                }
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // The client left or detached, the server stops, or the process' side was torn down: the stream ends.
        }
    }

    private async Task CopyInputAsync(StreamSession session, DetachKeys? detachKeys, CancellationTokenSource end)
    {
        byte[] filtered = detachKeys is null ? [] : new byte[BufferSize + detachKeys.MaxHeldBack];
        try
        {
            bool open = true;
            while (true)
            {
                ReadResult result = await _pipe.Input.ReadAsync(end.Token);
                if (open)
                {
                    open = await WriteAsync(session.Stream, result.Buffer, detachKeys, filtered, end.Token);
                }

                _pipe.Input.AdvanceTo(result.Buffer.End);
                if (detachKeys is { Found: true })
                {
                    await end.CancelAsync();
                    return;
                }

                if (result.IsCompleted)
                {
                    await session.CloseStdin();
                    return;
                }
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // As above: who waits for the output hears of it there.
        }
    }

    /// <returns>False when the process does not take any more; the rest of the client's input is then read and dropped.</returns>
    private static async ValueTask<bool> WriteAsync(Stream stdin, ReadOnlySequence<byte> bytes, DetachKeys? detachKeys, byte[] filtered, CancellationToken cancellationToken)
    {
        try
        {
            foreach (ReadOnlyMemory<byte> segment in bytes)
            {
                if (detachKeys is null)
                {
                    await stdin.WriteAsync(segment, cancellationToken);
                    continue;
                }

                for (ReadOnlyMemory<byte> rest = segment; !rest.IsEmpty; rest = rest[Math.Min(rest.Length, BufferSize)..])
                {
                    int count = detachKeys.Filter(rest.Span[..Math.Min(rest.Length, BufferSize)], filtered);
                    await stdin.WriteAsync(filtered.AsMemory(0, count), cancellationToken);
                }
            }

            await stdin.FlushAsync(cancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Sends what is left, half-closes, and tells the HTTP server that there is nothing to answer and no next request.</summary>
    private async Task CloseAsync()
    {
        await _pipe.Output.CompleteAsync();
        _http.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        _http.Abort();
    }

    private static bool IsEnd(Exception error) => error is OperationCanceledException or IOException or ObjectDisposedException;
}
