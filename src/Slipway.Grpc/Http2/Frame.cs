using System.Buffers;
using System.Buffers.Binary;

namespace Slipway.Grpc.Http2;

/// <summary>Kinds of frames (RFC 9113, 6).</summary>
internal enum FrameKind : byte
{
    Data = 0,
    Headers = 1,
    ResetStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

[Flags]
internal enum FrameFlags : byte
{
    None = 0,

    /// <summary>Of DATA and HEADERS: the last of the stream. Of SETTINGS and PING: an acknowledgement.</summary>
    End = 1,

    EndHeaders = 4,
    Padded = 8,
    Priority = 0x20,
}

/// <summary>What stands before each frame's content: its length, kind, flags and stream (RFC 9113, 4.1).</summary>
internal readonly record struct FrameHeader(int Length, FrameKind Kind, FrameFlags Flags, int StreamId)
{
    public const int Size = 9;

    /// <summary>The largest content that may be sent unless the receiver says more; it is what we take.</summary>
    public const int MaxLength = 16384;

    public static FrameHeader Read(in ReadOnlySequence<byte> bytes)
    {
        Span<byte> header = stackalloc byte[Size];
        bytes.Slice(0, Size).CopyTo(header);
        return new FrameHeader(
            (header[0] << 16) | (header[1] << 8) | header[2], (FrameKind)header[3], (FrameFlags)header[4], BinaryPrimitives.ReadInt32BigEndian(header[5..]) & int.MaxValue);
    }

    public void Write(Span<byte> header)
    {
        header[0] = (byte)(Length >> 16);
        header[1] = (byte)(Length >> 8);
        header[2] = (byte)Length;
        header[3] = (byte)Kind;
        header[4] = (byte)Flags;
        BinaryPrimitives.WriteInt32BigEndian(header[5..], StreamId);
    }
}
