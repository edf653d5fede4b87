using System.Buffers.Binary;

namespace Slipway.Engine.Containers.Streams;

/// <summary>A frame of the multiplexed stream (API, "Stream format"): stream number, three zeros, length, bytes.</summary>
internal static class StreamFrame
{
    private const int HeaderLength = 8;

    public static byte[] Encode(bool stderr, ReadOnlySpan<byte> bytes)
    {
        byte[] frame = new byte[HeaderLength + bytes.Length];
        frame[0] = stderr ? (byte)2 : (byte)1;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(4), (uint)bytes.Length);
        bytes.CopyTo(frame.AsSpan(HeaderLength));
        return frame;
    }
}
