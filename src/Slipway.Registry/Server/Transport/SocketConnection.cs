using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Slipway.Http;
using Slipway.Kernel.Streams;

namespace Slipway.Registry.Server.Transport;

/// <summary>A client's connection. The HTTP server reads from the socket when it wants to, and writes to it when it flushes.</summary>
internal sealed class SocketConnection : DefaultConnectionContext, IMemoryPoolFeature, IConnectionSocketFeature
{
    /// <summary>Uploads are read in pieces of this size; an idle connection waits with none.</summary>
    private const int ReadSize = 128 * 1024;

    /// <summary>
    /// Bytes on their way to a client of this host. The kernel would let the buffer grow to net.ipv4.tcp_wmem's maximum (tcp(7)), which pays
    /// where acknowledgements take long; between two processes of one host it only spreads what is on its way over more memory than the
    /// processor's cache has, and half as many bytes arrive (`bench/registry`).
    /// </summary>
    private const int LocalSendBuffer = 256 * 1024;

    /// <summary>
    /// After an answer that did not read the whole request: closing at once would reset the connection under the answer
    /// (RFC 9112, 9.6, "lingering close").
    /// </summary>
    private static readonly TimeSpan s_linger = TimeSpan.FromSeconds(1);

    private static long s_lastId;

    private readonly Socket _socket;
    private readonly CancellationTokenSource _closed = new();
    private bool _aborted;

    private SocketConnection(Socket socket) : base(Interlocked.Increment(ref s_lastId).ToString("x", CultureInfo.InvariantCulture))
    {
        _socket = socket;
        ConnectionClosed = _closed.Token;
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;

        // sendfile(2) must not wait for the client; .NET's own operations expect it either way.
        DescriptorIO.SetNonBlocking(socket.SafeHandle);
        if (IsLocal(socket.LocalEndPoint, socket.RemoteEndPoint))
        {
            socket.SendBufferSize = LocalSendBuffer;
        }

        SocketOutput output = new(socket, Close);
        PipeReader input = PipeReader.Create(
            new NetworkStream(socket, ownsSocket: false),
            new StreamPipeReaderOptions(BlockMemoryPool.Instance, bufferSize: ReadSize, minimumReadSize: 4096, leaveOpen: true, useZeroByteReads: true));
        Transport = new Duplex(input, output);
        Features.Set<IMemoryPoolFeature>(this);
        Features.Set<IConnectionSocketFeature>(this);
        Features.Set<IFileOutput>(output);
    }

    /// <summary>The transport whose connections these are.</summary>
    public static SocketTransport Over(ListeningSockets sockets) => new(sockets.ByEndPoint, (_, accepted) => new SocketConnection(accepted));

    /// <summary>Whether both ends are one host: a loopback address, or one of the host's own addresses talking to itself.</summary>
    private static bool IsLocal(EndPoint? local, EndPoint? remote) =>
        remote is IPEndPoint { Address: var from } && local is IPEndPoint { Address: var to } && (IPAddress.IsLoopback(from) || from.Equals(to));

    public MemoryPool<byte> MemoryPool => BlockMemoryPool.Instance;

    public Socket Socket => _socket;

    public override void Abort(ConnectionAbortedException abortReason)
    {
        _aborted = true;
        Close();
    }

    public override async ValueTask DisposeAsync()
    {
        await Transport.Input.CompleteAsync();
        await Transport.Output.CompleteAsync();
        if (!_aborted)
        {
            await LingerAsync();
        }

        _socket.Dispose();
        _closed.Dispose();
        await base.DisposeAsync();
    }

    private async ValueTask LingerAsync()
    {
        using CancellationTokenSource limit = new(s_linger);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadSize);
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
            while (await _socket.ReceiveAsync(buffer, limit.Token) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It is closed now, whatever the client still sends.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Ends what is under way: a request waits for the client in a read or a write of this socket.</summary>
    private void Close()
    {
        try
        {
            _closed.Cancel();
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // The connection is closed already.
        }
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
