using System.Buffers;
using System.Buffers.Binary;

namespace Slipway.Server.Streams;

/// <summary>Docker's multiplexed stream: before each piece 8 bytes, the stream's number, three zeros, and the length in big-endian.</summary>
internal static class LogFrames
{
    public const int HeaderLength = 8;
    private const byte Stdout = 1;
    private const byte Stderr = 2;

    public static void WriteHeader(IBufferWriter<byte> output, bool stderr, int length)
    {
        Span<byte> header = output.GetSpan(HeaderLength)[..HeaderLength];
        header.Clear();
        header[0] = stderr ? Stderr : Stdout;
        BinaryPrimitives.WriteInt32BigEndian(header[4..], length);
        output.Advance(HeaderLength);
    }
}
