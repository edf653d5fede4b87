using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Google.Protobuf;

namespace Slipway.Grpc;

/// <summary>
/// Messages on an HTTP/2 stream: a byte that says whether the message is compressed, its length in four bytes, big endian, and the message
/// (grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"). Compression is not offered, so none may come.
/// </summary>
public static class MessageFrames
{
    public const int HeaderLength = 5;

    /// <summary>Bytes; what Go's implementation takes unless told otherwise.</summary>
    public const int DefaultLimit = 4 << 20;

    /// <summary>The next message, or null where the stream ends between two.</summary>
    /// <param name="limit">The longest message that is taken, in bytes.</param>
    /// <exception cref="GrpcException">ResourceExhausted, Unimplemented for a compressed one, Internal for one that is cut or malformed.</exception>
    public static async ValueTask<T?> ReadAsync<T>(PipeReader reader, MessageParser<T> parser, int limit, CancellationToken cancellationToken) where T : class, IMessage<T> =>
        (await ReadMeasuredAsync(reader, parser, limit, cancellationToken)).Message;

    /// <summary>As <see cref="ReadAsync"/>, with the bytes that the message took on the stream.</summary>
    internal static async ValueTask<(T? Message, long Length)> ReadMeasuredAsync<T>(PipeReader reader, MessageParser<T> parser, int limit, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        while (true)
        {
            ReadResult result = await reader.ReadAsync(cancellationToken);
            ReadOnlySequence<byte> buffer = result.Buffer;
            if (TryTake(ref buffer, limit, out ReadOnlySequence<byte> body))
            {
                T message = Parse(parser, body);

                // What has been given back to the pipe has no length any more.
                long length = HeaderLength + body.Length;
                reader.AdvanceTo(body.End);
                return (message, length);
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            if (result.IsCompleted)
            {
                return result.Buffer.IsEmpty ? default((T?, long)) : throw new GrpcException(GrpcStatusCode.Internal, "the stream ended within a message");
            }
        }
    }

    /// <summary>Writes a message with its header; the writer is not flushed.</summary>
    public static void Write(IBufferWriter<byte> writer, IMessage message)
    {
        int size = message.CalculateSize();
        Span<byte> header = writer.GetSpan(HeaderLength);
        header[0] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(header[1..], (uint)size);
        writer.Advance(HeaderLength);
        if (size > 0)
        {
            message.WriteTo(writer);
        }
    }

    /// <summary>Takes one whole message off the front.</summary>
    /// <returns>False where there is less than one.</returns>
    internal static bool TryTake(ref ReadOnlySequence<byte> buffer, int limit, out ReadOnlySequence<byte> body)
    {
        body = default;
        if (buffer.Length < HeaderLength)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        buffer.Slice(0, HeaderLength).CopyTo(header);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (header[0] != 0)
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "compressed messages are not supported");
        }

        if (length > limit)
        {
            throw new GrpcException(GrpcStatusCode.ResourceExhausted, $"received message larger than max ({length} vs. {limit})");
        }

        if (buffer.Length < HeaderLength + length)
        {
            return false;
        }

        body = buffer.Slice(HeaderLength, length);
        buffer = buffer.Slice(body.End);
        return true;
    }

    private static T Parse<T>(MessageParser<T> parser, in ReadOnlySequence<byte> body) where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(body);
        }
        catch (InvalidProtocolBufferException malformed)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"malformed message: {malformed.Message}", inner: malformed);
        }
    }
}
