using Google.Protobuf;
using Slipway.Api.Streams;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Sessions;

/// <summary>A directory of a client that holds blobs by digest, over its session (containerd's content service).</summary>
/// <param name="id">By which the client knows the directory: <c>local:</c> and its path.</param>
public sealed class SessionContent(ClientSession session, string id)
{
    private const int Chunk = 256 << 10;
    private const string StoreHeader = "buildkit-attachable-store-id";

    private readonly KeyValuePair<string, string>[] _headers = [new(StoreHeader, id)];

    /// <exception cref="IOException">The client's error.</exception>
    public Task<bool> HasAsync(string digest, CancellationToken cancellationToken) => TranslatedAsync(async () =>
    {
        try
        {
            await using GrpcStream<ContentInfoResponse> stream = await session.Channel.OpenAsync(SessionMethods.ContentInfo, ContentInfoResponse.Parser, _headers, cancellationToken);
            await stream.WriteAsync(new ContentRequest { Digest = digest });
            await stream.CompleteAsync();
            return await stream.ReadAsync() is not null;
        }
        catch (GrpcException error) when (error.Code == GrpcStatusCode.NotFound)
        {
            return false;
        }
    });

    /// <exception cref="IOException">The client's error.</exception>
    public Task<Stream> OpenAsync(string digest, CancellationToken cancellationToken) => TranslatedAsync<Stream>(async () =>
    {
        GrpcStream<ReadContentResponse> stream = await session.Channel.OpenAsync(SessionMethods.ReadContent, ReadContentResponse.Parser, _headers, cancellationToken);
        await stream.WriteAsync(new ReadContentRequest { Digest = digest });
        await stream.CompleteAsync();
        return new ContentStream(stream);
    });

    /// <summary>Writes a blob that the client verifies.</summary>
    /// <exception cref="IOException">The client's error.</exception>
    public Task WriteAsync(string digest, long size, Stream content, CancellationToken cancellationToken) => TranslatedAsync(async () =>
    {
        await using GrpcStream<WriteContentResponse> stream = await session.Channel.OpenAsync(SessionMethods.WriteContent, WriteContentResponse.Parser, _headers, cancellationToken);
        byte[] buffer = new byte[Chunk];

        // A name of its own: what an interrupted export left is not gone on with.
        string reference = $"slipway-{Guid.NewGuid():N}";
        long offset = 0;
        for (int count; (count = await content.ReadAtLeastAsync(buffer, Chunk, throwOnEndOfStream: false, cancellationToken)) > 0; offset += count)
        {
            await SendAsync(WriteContentRequest.Types.Action.Write, ByteString.CopyFrom(buffer, 0, count));
        }

        await SendAsync(WriteContentRequest.Types.Action.Commit, ByteString.Empty);
        await stream.CompleteAsync();
        while (await stream.ReadAsync() is not null)
        {
        }

        return true;

        async Task SendAsync(WriteContentRequest.Types.Action action, ByteString data)
        {
            await stream.WriteAsync(new WriteContentRequest { Action = action, Ref = reference, Total = size, Expected = digest, Offset = offset, Data = data });
            if (await stream.ReadAsync() is null)
            {
                throw new GrpcException(GrpcStatusCode.Internal, $"the client took no more of {digest}");
            }
        }
    });

    private static async Task<T> TranslatedAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (GrpcException error)
        {
            throw new IOException(error.Message, error);
        }
    }

    /// <summary>What comes, one message after the other.</summary>
    private sealed class ContentStream(GrpcStream<ReadContentResponse> messages) : AsyncStream
    {
        private ReadOnlyMemory<byte> _rest;

        public override bool CanWrite => false;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (_rest.IsEmpty)
            {
                if (await TranslatedAsync(() => messages.ReadAsync().WaitAsync(cancellationToken)) is not { } message)
                {
                    return 0;
                }

                _rest = message.Data.Memory;
            }

            int count = Math.Min(buffer.Length, _rest.Length);
            _rest[..count].CopyTo(buffer);
            _rest = _rest[count..];
            return count;
        }

        public override async ValueTask DisposeAsync()
        {
            await messages.DisposeAsync();
            await base.DisposeAsync();
        }
    }
}
