using System.Buffers.Binary;
using System.Text;

namespace Slipway.Runtime.Supervision.Protocol;

/// <summary>Writes one packet into memory of the caller.</summary>
internal ref struct MessageWriter
{
    public const int HeaderBytes = 8;

    private readonly Span<byte> _packet;
    private int _length;

    public MessageWriter(Span<byte> packet, MessageKind kind, uint call)
    {
        _packet = packet;
        BinaryPrimitives.WriteUInt16LittleEndian(packet, (ushort)kind);
        BinaryPrimitives.WriteUInt16LittleEndian(packet[2..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(packet[4..], call);
        _length = HeaderBytes;
    }

    public readonly ReadOnlySpan<byte> Packet => _packet[.._length];

    public void Byte(byte value) => _packet[_length++] = value;

    public void UInt16(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_packet[_length..], value);
        _length += 2;
    }

    public void Int32(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_packet[_length..], value);
        _length += 4;
    }

    public void Int64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_packet[_length..], value);
        _length += 8;
    }

    public void Time(DateTimeOffset value) => Int64(value.UtcTicks);

    /// <exception cref="ArgumentException">The packet would be too long.</exception>
    public void Text(string? value)
    {
        if (!Encoding.UTF8.TryGetBytes(value ?? "", _packet[(_length + 2)..], out int length))
        {
            throw new ArgumentException("a message to the supervisor is too long");
        }

        UInt16((ushort)length);
        _length += length;
    }
}
