using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// The messages of one datagram. Lengths come from outside and are never trusted: what is cut off or contradicts itself ends
/// the walk, it is not read past.
/// </summary>
public ref struct NetlinkReader(ReadOnlySpan<byte> datagram)
{
    private const int HeaderLength = 16;
    private ReadOnlySpan<byte> _rest = datagram;

    public bool TryRead(out NetlinkMessage message)
    {
        message = default;
        if (_rest.Length < HeaderLength)
        {
            return false;
        }

        uint length = MemoryMarshal.Read<uint>(_rest);
        if (length < HeaderLength || length > (uint)_rest.Length)
        {
            return false;
        }

        message = new NetlinkMessage(
            MemoryMarshal.Read<ushort>(_rest[4..]),
            (NetlinkFlags)MemoryMarshal.Read<ushort>(_rest[6..]),
            MemoryMarshal.Read<uint>(_rest[8..]),
            MemoryMarshal.Read<uint>(_rest[12..]),
            _rest[HeaderLength..(int)length]);
        _rest = _rest[Math.Min(((int)length + 3) & ~3, _rest.Length)..];
        return true;
    }
}

/// <summary>A received message.</summary>
/// <param name="port">Of the socket that asked for what the message tells.</param>
/// <param name="payload">What follows the header.</param>
public readonly ref struct NetlinkMessage(ushort type, NetlinkFlags flags, uint sequence, uint port, ReadOnlySpan<byte> payload)
{
    public const ushort Error = 2;
    public const ushort Done = 3;

    public ushort Type { get; } = type;

    public NetlinkFlags Flags { get; } = flags;

    public uint Sequence { get; } = sequence;

    public uint Port { get; } = port;

    public ReadOnlySpan<byte> Payload { get; } = payload;

    /// <summary>The structure at the start of the payload. False where the payload is too short for it.</summary>
    public bool TryFixed<T>(out T value, out AttributeReader attributes) where T : unmanaged
    {
        attributes = default;
        if (!MemoryMarshal.TryRead(Payload, out value))
        {
            return false;
        }

        int size = (MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).Length + 3) & ~3;
        attributes = new AttributeReader(Payload[Math.Min(size, Payload.Length)..]);
        return true;
    }

    /// <summary>Of a message of type <see cref="Error"/> or <see cref="Done"/>: errno (0: success) and the kernel's explanation, if any.</summary>
    public (int Errno, string? Explanation) Result()
    {
        if (!MemoryMarshal.TryRead(Payload, out int code))
        {
            return (Type == Done ? 0 : Kernel.Errno.EPROTO, null);
        }

        // nlmsgerr: the code, then the header of the request, then (flag NLM_F_CAPPED, which the sessions ask for) no request
        // body; then attributes if NLM_F_ACK_TLVS. A done message carries them right after the code.
        const NetlinkFlags AckAttributes = (NetlinkFlags)0x200;
        string? explanation = null;
        int offset = Type == Done ? 4 : 4 + 16;
        if ((Flags & AckAttributes) != 0 && Payload.Length >= offset)
        {
            const ushort NLMSGERR_ATTR_MSG = 1;
            explanation = new AttributeReader(Payload[offset..]).Find(NLMSGERR_ATTR_MSG, out ReadOnlySpan<byte> text) ? AttributeReader.TextOf(text) : null;
        }

        return (code == int.MinValue ? Kernel.Errno.EPROTO : Math.Abs(code), explanation);
    }
}

/// <summary>Walks attributes; a nested one is walked by a reader of its value.</summary>
public ref struct AttributeReader(ReadOnlySpan<byte> attributes)
{
    private const ushort TypeMask = 0x3fff;
    private ReadOnlySpan<byte> _rest = attributes;

    public bool TryRead(out ushort type, out ReadOnlySpan<byte> value)
    {
        type = 0;
        value = default;
        if (_rest.Length < 4)
        {
            return false;
        }

        ushort length = MemoryMarshal.Read<ushort>(_rest);
        if (length < 4 || length > _rest.Length)
        {
            return false;
        }

        type = (ushort)(MemoryMarshal.Read<ushort>(_rest[2..]) & TypeMask);
        value = _rest[4..length];
        _rest = _rest[Math.Min((length + 3) & ~3, _rest.Length)..];
        return true;
    }

    /// <summary>The first attribute of a type; the reader itself does not move.</summary>
    public readonly bool Find(ushort type, out ReadOnlySpan<byte> value)
    {
        AttributeReader walk = new(_rest);
        while (walk.TryRead(out ushort found, out value))
        {
            if (found == type)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A string attribute, without its terminating NUL; null where it is absent.</summary>
    public readonly string? Text(ushort type) => Find(type, out ReadOnlySpan<byte> value) ? TextOf(value) : null;

    /// <summary>A number in the host's byte order; null where it is absent or has another size.</summary>
    public readonly uint? UInt32(ushort type) =>
        Find(type, out ReadOnlySpan<byte> value) && value.Length == 4 ? MemoryMarshal.Read<uint>(value) : null;

    /// <summary>A number in network byte order; null where it is absent or has another size.</summary>
    public readonly uint? BigEndian32(ushort type) =>
        Find(type, out ReadOnlySpan<byte> value) && value.Length == 4 ? BinaryPrimitives.ReadUInt32BigEndian(value) : null;

    /// <summary>A number in network byte order; null where it is absent or has another size.</summary>
    public readonly ulong? BigEndian64(ushort type) =>
        Find(type, out ReadOnlySpan<byte> value) && value.Length == 8 ? BinaryPrimitives.ReadUInt64BigEndian(value) : null;

    /// <summary>A reader of a nested attribute; empty where it is absent.</summary>
    public readonly AttributeReader Nested(ushort type) => Find(type, out ReadOnlySpan<byte> value) ? new AttributeReader(value) : default;

    internal static string TextOf(ReadOnlySpan<byte> value)
    {
        int end = value.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? value : value[..end]);
    }
}
