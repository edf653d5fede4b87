using Google.Protobuf;
using Slipway.Api.Streams;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Sessions;

/// <summary>A call that carries bytes, as a stream.</summary>
/// <param name="calls">Messages are written and read on it; it is disposed with the stream.</param>
/// <param name="isDelivery">Closing it waits until the other end has taken everything, and throws where it could not.</param>
public sealed class ByteStream(GrpcStream<Bytes> calls, bool isDelivery) : AsyncStream
{
    /// <summary>Bytes of one message; peers take up to <see cref="MessageFrames.DefaultLimit"/>.</summary>
    private const int MaxChunk = 256 * 1024;

    private ReadOnlyMemory<byte> _rest;
    private bool _closed;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_rest.IsEmpty)
        {
            Bytes? message = await Translate(calls.ReadAsync().WaitAsync(cancellationToken));
            if (message is null)
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

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (; !buffer.IsEmpty; buffer = buffer[Math.Min(buffer.Length, MaxChunk)..])
        {
            Bytes message = new() { Data = UnsafeByteOperations.UnsafeWrap(buffer[..Math.Min(buffer.Length, MaxChunk)]) };
            await Translate(calls.WriteAsync(message).WaitAsync(cancellationToken));
        }
    }

    /// <summary>No more will be written; the other end may still send.</summary>
    public Task CompleteWritingAsync() => calls.CompleteAsync();

    public override async ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            try
            {
                if (isDelivery)
                {
                    await calls.CompleteAsync();
                    while (await Translate(calls.ReadAsync()) is not null)
                    {
                    }
                }
            }
            finally
            {
                await calls.DisposeAsync();
            }
        }

        await base.DisposeAsync();
    }

    private static async Task<T> Translate<T>(Task<T> call)
    {
        try
        {
            return await call;
        }
        catch (GrpcException error)
        {
            throw new IOException(error.Message, error);
        }
    }

    private static async Task Translate(Task call)
    {
        try
        {
            await call;
        }
        catch (GrpcException error)
        {
            throw new IOException(error.Message, error);
        }
    }
}
