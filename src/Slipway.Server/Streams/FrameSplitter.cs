using System.Buffers.Binary;

namespace Slipway.Server.Streams;

/// <summary>Takes the headers out of Docker's multiplexed stream (<see cref="LogFrames"/>), however it is cut into pieces.</summary>
internal sealed class FrameSplitter
{
    private readonly byte[] _header = new byte[LogFrames.HeaderLength];
    private int _headerLength;
    private uint _payloadLeft;

    /// <summary>Takes the next piece of content off the front of <paramref name="stream"/>; empty where there is none left.</summary>
    public ReadOnlyMemory<byte> Next(ref ReadOnlyMemory<byte> stream)
    {
        while (_payloadLeft == 0 && !stream.IsEmpty)
        {
            int count = Math.Min(_header.Length - _headerLength, stream.Length);
            stream.Span[..count].CopyTo(_header.AsSpan(_headerLength));
            stream = stream[count..];
            _headerLength += count;
            if (_headerLength == _header.Length)
            {
                _payloadLeft = BinaryPrimitives.ReadUInt32BigEndian(_header.AsSpan(4));
                _headerLength = 0;
            }
        }

        int length = (int)Math.Min(_payloadLeft, (uint)stream.Length);
        ReadOnlyMemory<byte> content = stream[..length];
        stream = stream[length..];
        _payloadLeft -= (uint)length;
        return content;
    }
}
