using System.Buffers.Binary;

namespace Slipway.Client;

/// <summary>Docker's framing of stdout and stderr on one stream: stream number, three zero bytes, big-endian length, payload.</summary>
public static class MultiplexedFrames
{
    private const int HeaderLength = 8;

    /// <summary>Copies frames to two streams until the source ends.</summary>
    /// <param name="read">Reads some bytes; 0 at the end.</param>
    /// <param name="buffer">Scratch, at least 8 bytes.</param>
    /// <exception cref="IOException">The source ends within a frame, or a frame names an unknown stream.</exception>
    public static async Task CopyAsync(
        Func<Memory<byte>, CancellationToken, ValueTask<int>> read, Stream stdout, Stream stderr, byte[] buffer, CancellationToken cancellationToken)
    {
        byte[] header = new byte[HeaderLength];
        while (await FillAsync(read, header, cancellationToken).ConfigureAwait(false))
        {
            Stream target = header[0] switch
            {
                0 or 1 => stdout,
                2 => stderr,
                _ => throw new IOException($"Unrecognized stream: {header[0]}"),
            };
            uint left = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(4));
            while (left > 0)
            {
                int count = await read(buffer.AsMemory(0, (int)Math.Min((uint)buffer.Length, left)), cancellationToken).ConfigureAwait(false);
                if (count == 0)
                {
                    throw new EndOfStreamException("the engine closed the connection in the middle of output");
                }

                await target.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
                left -= (uint)count;
            }

            await target.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Fills the header; false where the source ended before its first byte.</summary>
    private static async ValueTask<bool> FillAsync(Func<Memory<byte>, CancellationToken, ValueTask<int>> read, Memory<byte> header, CancellationToken cancellationToken)
    {
        int length = 0;
        while (length < header.Length)
        {
            int count = await read(header[length..], cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                return length == 0 ? false : throw new EndOfStreamException("the engine closed the connection in the middle of output");
            }

            length += count;
        }

        return true;
    }
}
