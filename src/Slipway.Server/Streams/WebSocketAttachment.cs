using System.IO.Pipelines;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Slipway.Engine.Containers;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Streams;

/// <summary>
/// The streams of a process over a websocket: what the client sends is stdin, in frames of any kind; output comes as it is, both streams
/// in one, since frames have no room to tell them apart. It ends when the output does, when the client closes it or leaves, or detaches.
/// </summary>
internal sealed class WebSocketAttachment
{
    private const int BufferSize = 64 * 1024;

    private readonly HttpContext _http;
    private readonly IRawConnection _connection;
    private readonly IDuplexPipe _pipe;
    private readonly WebSocket _socket;
    private readonly WebSocketMessageType _type;
    private readonly CancellationToken _stopping;

    private WebSocketAttachment(ApiRequest request)
    {
        _http = request.Http;
        _connection = request.Connection;
        _pipe = _connection.Hijack();
        _stopping = request.Stopping;

        // Text before 1.28, whatever the bytes; some clients of that time knew nothing else.
        _type = request.Version >= new ApiVersion(1, 28) ? WebSocketMessageType.Binary : WebSocketMessageType.Text;
        _socket = WebSocket.CreateFromStream(new DuplexStream(_pipe), new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = TimeSpan.Zero });
    }

    /// <param name="answer">Of the handshake.</param>
    public static async Task<WebSocketAttachment> OpenAsync(ApiRequest request, byte[] answer)
    {
        await request.AdmitStreamAsync(upgrade: true);
        WebSocketAttachment attachment = new(request);
        await attachment._pipe.Output.WriteAsync(answer);
        return attachment;
    }

    /// <summary>Copies both ways until the end, and disposes the session.</summary>
    /// <param name="detachKeys">For terminals: what ends the connection when it is typed.</param>
    public async Task RunAsync(StreamSession session, DetachKeys detachKeys)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(_connection.Closed, _stopping);
        Task input = CopyInputAsync(session, session.Terminal ? detachKeys : null, end);
        try
        {
            await CopyOutputAsync(session, end.Token);

            // The output has ended or the client detached: in either case it is told so.
            await CloseOutputAsync();
        }
        finally
        {
            await end.CancelAsync();
            await session.DisposeAsync();
            await input;
            _socket.Dispose();
            await _pipe.Output.CompleteAsync();
            _http.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
            _http.Abort();
        }
    }

    private async Task CopyOutputAsync(StreamSession session, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[BufferSize];
        FrameSplitter? frames = session.Terminal ? null : new FrameSplitter();
        try
        {
            for (int count = await session.Stream.ReadAsync(buffer, cancellationToken); count > 0; count = await session.Stream.ReadAsync(buffer, cancellationToken))
            {
                ReadOnlyMemory<byte> rest = buffer.AsMemory(0, count);
                while (!rest.IsEmpty)
                {
                    ReadOnlyMemory<byte> message = frames is null ? rest : frames.Next(ref rest);
                    rest = frames is null ? default : rest;
                    if (!message.IsEmpty)
                    {
                        await _socket.SendAsync(message, _type, endOfMessage: true, cancellationToken);
                    }
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
        byte[] buffer = new byte[BufferSize];
        byte[] filtered = detachKeys is null ? [] : new byte[BufferSize + detachKeys.MaxHeldBack];
        bool open = true;
        try
        {
            while (true)
            {
                ValueWebSocketReceiveResult received = await _socket.ReceiveAsync(buffer.AsMemory(), end.Token);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    return;
                }

                ReadOnlyMemory<byte> typed = detachKeys is null
                    ? buffer.AsMemory(0, received.Count)
                    : filtered.AsMemory(0, detachKeys.Filter(buffer.AsSpan(0, received.Count), filtered));
                open = open && await TryWriteAsync(session.Stream, typed, end.Token);
                if (detachKeys is { Found: true })
                {
                    return;
                }
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // The client left without a word, or does not keep to the protocol; or the output has ended.
        }
        finally
        {
            // Nothing more comes from the client, and a websocket has no half that could stay open.
            await end.CancelAsync();
        }
    }

    /// <returns>False when the process does not take any more; the rest of the client's input is then read and dropped.</returns>
    private static async ValueTask<bool> TryWriteAsync(Stream stdin, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await stdin.WriteAsync(bytes, cancellationToken);
            await stdin.FlushAsync(cancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task CloseOutputAsync()
    {
        if (_socket.State is not (WebSocketState.Open or WebSocketState.CloseReceived))
        {
            return;
        }

        try
        {
            await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, _stopping);
        }
        catch (Exception e) when (IsEnd(e))
        {
            // There is nobody to tell.
        }
    }

    private static bool IsEnd(Exception error) => error is OperationCanceledException or IOException or ObjectDisposedException or WebSocketException;
}
