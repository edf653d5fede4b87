using System.Buffers;
using Google.Protobuf;
using Slipway.Grpc.Http2;

namespace Slipway.Grpc;

/// <summary>A call under way. Disposing it before its end resets the stream.</summary>
public sealed class GrpcStream<TResponse> : IAsyncDisposable where TResponse : class, IMessage<TResponse>
{
    private readonly string _path;
    private readonly MessageParser<TResponse> _parser;
    private readonly Http2Stream _stream;
    private readonly CancellationToken _cancellationToken;
    private readonly ArrayBufferWriter<byte> _outgoing = new();

    internal GrpcStream(string path, MessageParser<TResponse> parser, Http2Stream stream, CancellationToken cancellationToken)
    {
        _path = path;
        _parser = parser;
        _stream = stream;
        _cancellationToken = cancellationToken;
    }

    /// <summary>Sends a message; not to be called from two sides at once.</summary>
    /// <exception cref="GrpcException">The call has ended, or the connection is gone.</exception>
    public Task WriteAsync(IMessage message) => SendAsync(message, isLast: false);

    /// <summary>Sends the only message of a call, or its last: whoever answers at once may take nothing after it, not even that there is none.</summary>
    /// <exception cref="GrpcException">The call has ended, or the connection is gone.</exception>
    public Task WriteLastAsync(IMessage message) => SendAsync(message, isLast: true);

    /// <summary>No more will be sent.</summary>
    public async Task CompleteAsync()
    {
        try
        {
            await _stream.WriteAsync(default, isLast: true, _cancellationToken);
        }
        catch (IOException)
        {
            // The other end has answered without waiting for this, which is its right, or is gone: reading tells which.
        }
    }

    private async Task SendAsync(IMessage message, bool isLast)
    {
        _outgoing.ResetWrittenCount();
        MessageFrames.Write(_outgoing, message);
        try
        {
            await _stream.WriteAsync(_outgoing.WrittenMemory, isLast, _cancellationToken);
        }
        catch (IOException error)
        {
            throw await EndAsync(error);
        }
    }

    /// <summary>The next message; null when the call has ended well.</summary>
    /// <exception cref="GrpcException">The call has failed.</exception>
    public async Task<TResponse?> ReadAsync()
    {
        try
        {
            IReadOnlyList<HeaderField> headers = await _stream.Headers.WaitAsync(_cancellationToken);
            if (Value(headers, ":status") is not "200" and var status)
            {
                throw new GrpcException(GrpcStatusCode.Unavailable, $"{_path}: unexpected HTTP status {status}");
            }

            (TResponse? message, long length) = await MessageFrames.ReadMeasuredAsync(_stream.Body, _parser, MessageFrames.DefaultLimit, _cancellationToken);
            if (message is not null)
            {
                await _stream.ConsumedAsync(length);
                return message;
            }

            // A call that fails at once is told of by its headers alone ("Trailers-Only").
            IReadOnlyList<HeaderField> trailers = _stream.Trailers.Count > 0 ? _stream.Trailers : headers;
            GrpcException? error = GrpcHeaders.Error(Value(trailers, GrpcHeaders.Status), Value(trailers, GrpcHeaders.Message), Value(trailers, GrpcHeaders.Details));
            return error is null ? null : throw error;
        }
        catch (IOException error)
        {
            throw new GrpcException(GrpcStatusCode.Unavailable, $"{_path}: {error.Message}", inner: error);
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await _stream.ResetAsync();
        }
        catch (IOException)
        {
            // The connection is gone, and the stream with it.
        }
    }

    /// <summary>Why nothing can be written any more: it is in the answer, where there is one.</summary>
    private async Task<GrpcException> EndAsync(IOException cause)
    {
        try
        {
            while (await ReadAsync() is not null)
            {
            }

            return new GrpcException(GrpcStatusCode.Aborted, $"{_path}: the other end takes no more", inner: cause);
        }
        catch (GrpcException error)
        {
            return error;
        }
    }

    private static string? Value(IReadOnlyList<HeaderField> fields, string name) => fields.LastOrDefault(field => field.Name == name).Value;
}
