using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Slipway.Http;
using Slipway.Kernel.Sockets;
using Slipway.Server.Authorization;

namespace Slipway.Server.Transport;

/// <summary>
/// A client's connection: one loop from the socket into a pipe, one from a pipe into the socket. The two directions end
/// independently; the socket is closed when the server is done with both. (Kestrel's own answers a client's half-close by closing both directions,
/// which loses the output of <c>echo x | docker run -i</c>.)
/// </summary>
internal sealed class SocketConnection : ConnectionContext, IRawConnection, IConnectionIdFeature, IConnectionTransportFeature, IConnectionItemsFeature, IConnectionLifetimeFeature, IMemoryPoolFeature
{
    private const int BufferSize = 32 * 1024;

    /// <summary>
    /// Bytes (socket(7): doubled for what the kernel keeps beside them, and only taken when they are sent). A client reads a list or an archive by 4 to 32 KB: with
    /// the usual 200 KB in between this process has to get its turn every few milliseconds, which on a busy machine it does not.
    /// </summary>
    private const int LocalSendBuffer = 1 << 20;

    /// <summary>How much one direction holds for a slow reader before the other end has to wait.</summary>
    private const long PauseThreshold = 128 * 1024;

    /// <summary>
    /// After an answer that did not read the whole request: closing at once would reset the connection under the answer
    /// (RFC 9112, 9.6, "lingering close").
    /// </summary>
    private static readonly TimeSpan s_linger = TimeSpan.FromSeconds(1);

    /// <summary>How often it is tried whether a client that half-closed is still there.</summary>
    private static readonly TimeSpan s_probe = TimeSpan.FromSeconds(1);

    private static long s_lastId;

    private readonly PolledSocket _socket;

    // A request is handled on the thread that received it: handing it to another costs a wake-up, and what blocks has threads of its own.
    private readonly Pipe _received = new(new PipeOptions(
        BlockMemoryPool.Instance, pauseWriterThreshold: PauseThreshold, resumeWriterThreshold: PauseThreshold / 2,
        readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, minimumSegmentSize: BufferSize, useSynchronizationContext: false));

    private readonly Pipe _toSend = new(new PipeOptions(
        BlockMemoryPool.Instance, pauseWriterThreshold: PauseThreshold, resumeWriterThreshold: PauseThreshold / 2,
        readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.ThreadPool, minimumSegmentSize: BufferSize, useSynchronizationContext: false));

    private readonly FeatureCollection _features = new();
    private readonly CancellationTokenSource _closed = new();
    private readonly CancellationTokenSource _inputEnded = new();
    private readonly CancellationTokenSource _receivingEnds = new();
    private readonly Lock _gate = new();
    private readonly LateEndReader _input;
    private readonly IDuplexPipe _own;
    private SocketLoan? _inputLoan;
    private SocketLoan? _outputLoan;
    private bool _inputOver;
    private bool _outputOver;
    private Task _receiving = Task.CompletedTask;
    private Task _sending = Task.CompletedTask;
    private volatile bool _hijacked;

    /// <param name="policy">Of the socket it was made to; null: all may be done.</param>
    public SocketConnection(Socket socket, SocketPolicy? policy)
    {
        _socket = new PolledSocket(socket);
        _input = new LateEndReader(_received.Reader);
        Transport = _own = new Duplex(_input, _toSend.Writer);
        ConnectionClosed = _closed.Token;
        InputEnded = _inputEnded.Token;
        ConnectionId = Interlocked.Increment(ref s_lastId).ToString(System.Globalization.CultureInfo.InvariantCulture);
        _features.Set<IRawConnection>(this);
        _features.Set<IConnectionIdFeature>(this);
        _features.Set<IConnectionTransportFeature>(this);
        _features.Set<IConnectionItemsFeature>(this);
        _features.Set<IConnectionLifetimeFeature>(this);
        _features.Set<IMemoryPoolFeature>(this);
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        bool unix = socket.AddressFamily == AddressFamily.Unix;
        Origin = new ClientOrigin(
            LocalEndPoint?.ToString() ?? "", unix ? StreamSocket.Peer(socket.SafeHandle) : null, unix ? null : RemoteEndPoint?.ToString(), policy);
    }

    public ClientOrigin Origin { get; }

    public override string ConnectionId { get; set; }

    public override IFeatureCollection Features => _features;

    public override IDictionary<object, object?> Items { get; set; } = new ConnectionItems();

    public override IDuplexPipe Transport { get; set; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    public MemoryPool<byte> MemoryPool => BlockMemoryPool.Instance;

    public CancellationToken InputEnded { get; }

    public CancellationToken Closed => _closed.Token;

    public bool IsPlain => ReferenceEquals(Transport, _own);

    public bool IsUnread => IsPlain && LocalEndPoint is UnixDomainSocketEndPoint && !StreamSocket.IsAllRead(_socket.Handle);

    public SafeHandle Handle => _socket.Handle;

    public void Fail() => Close();

    public async Task<(SocketLoan Loan, ReadOnlyMemory<byte> Received)?> TryBorrowInputAsync()
    {
        SocketLoan loan = new();
        lock (_gate)
        {
            if (!IsPlain || _inputOver)
            {
                return null;
            }

            _inputLoan = loan;
        }

        // The loop waits for the client, or for room in the pipe; what it has received by the time it stops is in the pipe.
        _socket.EndRead();
        ArrayBufferWriter<byte> received = new();
        Drain(received);
        await loan.Begun;
        Drain(received);
        return (loan, received.WrittenMemory);
    }

    public async Task<SocketLoan?> TryBorrowOutputAsync()
    {
        SocketLoan loan = new();
        lock (_gate)
        {
            if (!IsPlain || _outputOver)
            {
                return null;
            }

            _outputLoan = loan;
        }

        _toSend.Reader.CancelPendingRead();
        await loan.Begun;
        return _outputOver ? null : loan;
    }

    /// <summary>The connection of an accepted socket, which from now on is read.</summary>
    public static SocketConnection Begin(Socket accepted, SocketPolicy? policy)
    {
        if (accepted.AddressFamily == AddressFamily.Unix)
        {
            StreamSocket.SetSendBuffer(accepted.SafeHandle, LocalSendBuffer);
        }

        SocketConnection connection = new(accepted, policy);
        connection.Start();
        return connection;
    }

    public void Start()
    {
        _receivingEnds.Token.UnsafeRegister(static socket => ((PolledSocket)socket!).EndRead(), _socket);
        _closed.Token.UnsafeRegister(static socket => ((PolledSocket)socket!).EndWrite(), _socket);
        _receiving = ReceiveAsync();
        _sending = SendAsync();
    }

    public IDuplexPipe Hijack()
    {
        _hijacked = true;
        return Transport;
    }

    /// <summary>The HTTP server gives the connection up. One that was hijacked still sends what its new owner wrote.</summary>
    public override void Abort(ConnectionAbortedException abortReason)
    {
        if (!_hijacked)
        {
            Close();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _input.CompleteAsync();
        await _toSend.Writer.CompleteAsync();
        await _sending;
        _receivingEnds.CancelAfter(s_linger);
        await _receiving;
        _socket.Dispose();
        _closed.Dispose();
        _inputEnded.Dispose();
        _receivingEnds.Dispose();
        await base.DisposeAsync();
    }

    private async Task ReceiveAsync()
    {
        try
        {
            int count = 0;
            while (true)
            {
                count = await ReceiveSomeAsync(atOnce: count == BufferSize);
                if (count > 0)
                {
                    _received.Writer.Advance(count);
                    if ((await _received.Writer.FlushAsync()).IsCompleted)
                    {
                        await DiscardAsync();
                        break;
                    }
                }

                if (_inputLoan is not null)
                {
                    if (!await LendInputAsync())
                    {
                        await DiscardAsync();
                        break;
                    }
                }
                else if (count <= 0 && EndInput())
                {
                    break;
                }
            }

            await _received.Writer.CompleteAsync();
            await _inputEnded.CancelAsync();
            await ProbeAsync();
        }
        catch (Exception e) when (e is ConnectionResetException or ObjectDisposedException or OperationCanceledException)
        {
            // Nobody is told as an error that a client left.
            await _received.Writer.CompleteAsync(e as ConnectionResetException ?? new ConnectionResetException(e.Message, e));
            await _inputEnded.CancelAsync();
            Close();
        }
        finally
        {
            lock (_gate)
            {
                _inputOver = true;
                _inputLoan?.Begin();
            }
        }
    }

    /// <param name="atOnce">There is probably more: the last buffer was filled.</param>
    /// <returns>Bytes received into the pipe's memory; 0 at the client's end; -1 where somebody wants to borrow the socket.</returns>
    private async ValueTask<int> ReceiveSomeAsync(bool atOnce)
    {
        while (true)
        {
            // An idle connection holds no buffer.
            if (!atOnce && !await _socket.WaitToReadAsync())
            {
                _receivingEnds.Token.ThrowIfCancellationRequested();
                return -1;
            }

            if (_socket.TryReceive(_received.Writer.GetSpan(BufferSize)[..BufferSize]) is { } count)
            {
                return count;
            }

            atOnce = false;
        }
    }

    /// <summary>The client sends no more; false where somebody was just promised the socket.</summary>
    private bool EndInput()
    {
        lock (_gate)
        {
            _inputOver = _inputLoan is null;
            return _inputOver;
        }
    }

    /// <returns>False where nobody reads on.</returns>
    private async Task<bool> LendInputAsync()
    {
        SocketLoan loan = _inputLoan!;
        loan.Begin();
        (LoanEnd end, ReadOnlyMemory<byte> rest) = await loan.Ended;
        lock (_gate)
        {
            _inputLoan = null;
            _socket.ResumeRead();
        }

        if (_receivingEnds.IsCancellationRequested)
        {
            _socket.EndRead();
        }

        FlushResult flushed = await _received.Writer.WriteAsync(rest);
        return end == LoanEnd.Whole && !flushed.IsCompleted;
    }

    private void Drain(ArrayBufferWriter<byte> received)
    {
        if (_input.TryRead(out ReadResult result))
        {
            foreach (ReadOnlyMemory<byte> segment in result.Buffer)
            {
                received.Write(segment.Span);
            }

            _input.AdvanceTo(result.Buffer.End);
        }
    }

    /// <summary>Reads on for a while although nobody is interested, so that the client gets to read the answer.</summary>
    private async Task DiscardAsync()
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (await _socket.WaitToReadAsync() && _socket.TryReceive(buffer) is not 0)
            {
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>
    /// A client that half-closed may still read, or may be gone; reading cannot tell any more, but sending nothing does: the
    /// kernel looks at the state of the socket first (EPIPE). Ends with the connection.
    /// </summary>
    private async Task ProbeAsync()
    {
        while (await Task.WhenAny(_sending, Task.Delay(s_probe, _receivingEnds.Token)) != _sending)
        {
            _receivingEnds.Token.ThrowIfCancellationRequested();
            _socket.TrySend([]);
        }
    }

    private async Task SendAsync()
    {
        try
        {
            while (true)
            {
                ReadResult result = await _toSend.Reader.ReadAsync();
                foreach (ReadOnlyMemory<byte> segment in result.Buffer)
                {
                    await SendAllAsync(segment);
                }

                _toSend.Reader.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }

                if (result.IsCanceled && _outputLoan is { } loan)
                {
                    loan.Begin();
                    await loan.Ended;
                    _outputLoan = null;
                }
            }

            _socket.ShutdownSend();
        }
        catch (Exception e) when (e is ConnectionResetException or SocketException or ObjectDisposedException)
        {
            Close();
        }
        finally
        {
            lock (_gate)
            {
                _outputOver = true;
                _outputLoan?.Begin();
            }
        }

        await _toSend.Reader.CompleteAsync();
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_socket.TrySend(bytes.Span) is { } count)
            {
                bytes = bytes[count..];
            }
            else if (!await _socket.WaitToWriteAsync())
            {
                throw new ConnectionResetException("the connection was closed");
            }
        }
    }

    private void Close()
    {
        try
        {
            _closed.Cancel();
            _receivingEnds.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The connection was disposed in between: it is closed.
        }
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
