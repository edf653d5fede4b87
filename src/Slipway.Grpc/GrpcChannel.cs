using Google.Protobuf;
using Slipway.Grpc.Http2;

namespace Slipway.Grpc;

/// <summary>Calls to the other end of one connection, over which we are the HTTP/2 client. When the connection is gone, so is the channel.</summary>
public sealed class GrpcChannel : IAsyncDisposable
{
    private readonly Http2Connection _connection;

    /// <param name="connection">Both ways; it is disposed with the channel.</param>
    public GrpcChannel(Stream connection) => _connection = new Http2Connection(connection);

    /// <summary>Begins the connection; otherwise the first call does.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => _connection.StartAsync(cancellationToken);

    /// <summary>One message there, one back.</summary>
    /// <exception cref="GrpcException">The other end's error, or Unavailable.</exception>
    public async Task<TResponse> CallAsync<TResponse>(
        string path, IMessage request, MessageParser<TResponse> parser, CancellationToken cancellationToken) where TResponse : class, IMessage<TResponse>
    {
        await using GrpcStream<TResponse> stream = await OpenAsync(path, parser, [], cancellationToken);
        await stream.WriteLastAsync(request);
        TResponse? response = await stream.ReadAsync();
        if (response is null || await stream.ReadAsync() is not null)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"{path} was not answered by one message");
        }

        return response;
    }

    /// <summary>Messages both ways.</summary>
    /// <param name="metadata">Headers, names in lower case; a name may stand there more than once.</param>
    /// <param name="cancellationToken">Ends the stream at any time.</param>
    /// <exception cref="GrpcException">Unavailable.</exception>
    public async Task<GrpcStream<TResponse>> OpenAsync<TResponse>(
        string path, MessageParser<TResponse> parser, IEnumerable<KeyValuePair<string, string>> metadata, CancellationToken cancellationToken) where TResponse : class, IMessage<TResponse>
    {
        HeaderField[] headers =
        [
            new(":method", "POST"), new(":scheme", "http"), new(":path", path), new(":authority", "localhost"),
            new("content-type", GrpcHeaders.ContentType), new("te", "trailers"),
            .. metadata.Select(field => new HeaderField(field.Key, field.Value)),
        ];
        try
        {
            return new GrpcStream<TResponse>(path, parser, await _connection.OpenAsync(headers, cancellationToken), cancellationToken);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            throw new GrpcException(GrpcStatusCode.Unavailable, $"{path}: {e.Message}", inner: e);
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
