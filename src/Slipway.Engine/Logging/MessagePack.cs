using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Slipway.Engine.Logging;

/// <summary>Writes the few types of MessagePack that Fluentd's forward protocol is made of (msgpack spec, "Formats").</summary>
internal sealed class MessagePack
{
    private readonly ArrayBufferWriter<byte> _output = new();

    public ReadOnlyMemory<byte> Written => _output.WrittenMemory;

    /// <param name="count">At most 15.</param>
    public void Array(int count) => Byte((byte)(0x90 | count));

    public void Map(int count)
    {
        if (count < 16)
        {
            Byte((byte)(0x80 | count));
            return;
        }

        Byte(0xDE);
        BinaryPrimitives.WriteUInt16BigEndian(_output.GetSpan(2), checked((ushort)count));
        _output.Advance(2);
    }

    public void Text(string value) => Text(Encoding.UTF8.GetBytes(value));

    public void Text(ReadOnlySpan<byte> value)
    {
        switch (value.Length)
        {
            case < 32:
                Byte((byte)(0xA0 | value.Length));
                break;
            case <= ushort.MaxValue:
                Byte(0xDA);
                BinaryPrimitives.WriteUInt16BigEndian(_output.GetSpan(2), (ushort)value.Length);
                _output.Advance(2);
                break;
            default:
                Byte(0xDB);
                BinaryPrimitives.WriteUInt32BigEndian(_output.GetSpan(4), (uint)value.Length);
                _output.Advance(4);
                break;
        }

        _output.Write(value);
    }

    public void Unsigned(uint value)
    {
        Byte(0xCE);
        BinaryPrimitives.WriteUInt32BigEndian(_output.GetSpan(4), value);
        _output.Advance(4);
    }

    /// <summary>Fluentd's EventTime: extension type 0 of eight bytes, seconds and nanoseconds.</summary>
    public void EventTime(DateTimeOffset time)
    {
        Byte(0xD7);
        Byte(0);
        Span<byte> value = _output.GetSpan(8);
        BinaryPrimitives.WriteUInt32BigEndian(value, (uint)time.ToUnixTimeSeconds());
        BinaryPrimitives.WriteUInt32BigEndian(value[4..], (uint)(time.Ticks % TimeSpan.TicksPerSecond * 100));
        _output.Advance(8);
    }

    private void Byte(byte value) => _output.Write([value]);
}
