using System.Buffers.Binary;
using System.Text;

namespace Slipway.Runtime.Supervision.Protocol;

/// <summary>Reads fields one after the other.</summary>
/// <exception cref="InvalidDataException">From every method: the bytes end early.</exception>
internal ref struct MessageFields(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    public byte Byte() => Take(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public DateTimeOffset Time()
    {
        long ticks = Int64();
        return ticks >= 0 && ticks <= DateTime.MaxValue.Ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : throw new InvalidDataException("a time out of range");
    }

    public string Text() => Encoding.UTF8.GetString(Take(UInt16()));

    /// <summary>Null where the text is empty.</summary>
    public string? OptionalText() => Text() is { Length: > 0 } text ? text : null;

    private ReadOnlySpan<byte> Take(int length)
    {
        if (_rest.Length < length)
        {
            throw new InvalidDataException("a message of the supervisor protocol ends early");
        }

        ReadOnlySpan<byte> taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}

/// <summary>The header of a packet.</summary>
internal readonly record struct MessageHeader(MessageKind Kind, uint Call)
{
    /// <summary>Takes the header from the packet's fields.</summary>
    public static MessageHeader Read(ref MessageFields fields)
    {
        var kind = (MessageKind)fields.UInt16();
        _ = fields.UInt16();
        return new MessageHeader(kind, (uint)fields.Int32());
    }
}
