using System.Buffers;
using System.IO.Pipelines;

namespace Slipway.Grpc.Http2;

/// <summary>One request and its answer on a connection.</summary>
internal sealed class Http2Stream
{
    /// <summary>
    /// Bytes the other end may send ahead of who reads: twice the longest message, as what was read is only told of when half of it is, and a
    /// message is read as a whole.
    /// </summary>
    public const int Window = 2 * (MessageFrames.DefaultLimit + MessageFrames.HeaderLength);

    private readonly Http2Connection _connection;
    private readonly Pipe _received = new(new PipeOptions(pauseWriterThreshold: 0, useSynchronizationContext: false));
    private readonly TaskCompletionSource<IReadOnlyList<HeaderField>> _headers = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _credit = Window;
    private long _unread;
    private bool _sentAll;
    private int _ended;

    public Http2Stream(Http2Connection connection, int id, long sendWindow)
    {
        (_connection, Id, SendWindow) = (connection, id, sendWindow);

        // Whoever only writes never looks at the answer.
        _ = _headers.Task.ContinueWith(static failed => failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    public int Id { get; }

    /// <summary>Bytes that may be sent; guarded by the connection.</summary>
    public long SendWindow { get; set; }

    /// <summary>Headers of the answer.</summary>
    public Task<IReadOnlyList<HeaderField>> Headers => _headers.Task;

    /// <summary>What follows the answer's body; empty before it has ended.</summary>
    public IReadOnlyList<HeaderField> Trailers { get; private set; } = [];

    /// <summary>The answer's body.</summary>
    public PipeReader Body => _received.Reader;

    /// <summary>Why nothing more can be sent; null as long as something can.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Sends a part of the request's body, as the other end makes room.</summary>
    public Task WriteAsync(ReadOnlyMemory<byte> bytes, bool isLast, CancellationToken cancellationToken)
    {
        if (_sentAll || (isLast && _ended != 0))
        {
            return Task.CompletedTask;
        }

        _sentAll = isLast;
        return _connection.SendDataAsync(this, bytes, isLast, cancellationToken);
    }

    /// <summary>Tells of bytes that were taken out of <see cref="Body"/>.</summary>
    public Task ConsumedAsync(long count)
    {
        long unread = Interlocked.Add(ref _unread, count);
        if (unread < Window / 2 || _ended != 0)
        {
            return Task.CompletedTask;
        }

        Interlocked.Add(ref _unread, -unread);
        Interlocked.Add(ref _credit, unread);
        return _connection.SendWindowUpdateAsync(Id, (int)unread);
    }

    /// <summary>Ends the stream; the other end hears of it unless it has ended it itself.</summary>
    public async Task ResetAsync()
    {
        if (_connection.Forget(this) && Interlocked.Exchange(ref _ended, 1) == 0)
        {
            Fail(new OperationCanceledException());
            await _connection.SendResetAsync(Id);
        }

        await _received.Reader.CompleteAsync();
    }

    internal void Receive(IReadOnlyList<HeaderField> fields, bool isLast)
    {
        if (!_headers.TrySetResult(fields) || isLast)
        {
            Trailers = fields;
        }
    }

    /// <exception cref="Http2Exception">More than was allowed for.</exception>
    internal ValueTask<FlushResult> Receive(in ReadOnlySequence<byte> data)
    {
        if (Interlocked.Add(ref _credit, -data.Length) < 0)
        {
            throw new Http2Exception(Http2Error.FlowControl, "more was received than was asked for");
        }

        foreach (ReadOnlyMemory<byte> segment in data)
        {
            _received.Writer.Write(segment.Span);
        }

        // The pipe has no threshold: it is the window that bounds it.
        return _received.Writer.FlushAsync();
    }

    /// <summary>The other end sends no more.</summary>
    internal void End()
    {
        Failure ??= new IOException("the other end has ended the stream");
        Interlocked.Exchange(ref _ended, 1);
        _headers.TrySetResult([]);
        _received.Writer.Complete();
    }

    internal void Fail(Exception error)
    {
        Failure ??= error;
        Interlocked.Exchange(ref _ended, 1);
        _headers.TrySetException(error);
        _received.Writer.Complete(error);
    }
}
