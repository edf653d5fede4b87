using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// Writes netlink messages one after the other into one buffer: header, a fixed structure, attributes (type, length, value,
/// padded to four bytes), nested ones included. Lengths are filled in when a message or nest ends.
/// </summary>
public sealed class NetlinkWriter
{
    private const int HeaderLength = 16;
    private const ushort Nested = 0x8000;
    private const int MaxAttributeLength = ushort.MaxValue;

    private readonly List<(uint Sequence, string Operation)> _messages = [];
    private byte[] _buffer = new byte[1024];
    private int _length;
    private int _messageStart = -1;
    private uint _sequence;

    /// <summary>The finished messages. Valid until the next write.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>Sequence numbers of the messages that ask for an acknowledgement, each with what it does.</summary>
    internal IReadOnlyList<(uint Sequence, string Operation)> Acknowledged => _messages;

    /// <summary>Number of messages that will be acknowledged.</summary>
    public int Count => _messages.Count;

    /// <summary>Forgets everything written; sequence numbers go on.</summary>
    public void Reset()
    {
        _length = 0;
        _messageStart = -1;
        _messages.Clear();
        FirstSequence = _sequence + 1;
    }

    /// <summary>Overwrites what was written, which holds a secret, and forgets it.</summary>
    internal void Erase()
    {
        CryptographicOperations.ZeroMemory(_buffer.AsSpan(0, _length));
        Reset();
    }

    /// <summary>Starts a message; it ends at <see cref="Message.Dispose"/>.</summary>
    /// <param name="type">nlmsg_type.</param>
    /// <param name="flags">NLM_F_*; NLM_F_REQUEST is added.</param>
    /// <param name="operation">What the message asks for, as an error shows it: <c>add route 0.0.0.0/0 via 172.17.0.1</c>.</param>
    public Message Begin(ushort type, NetlinkFlags flags, string operation)
    {
        if (_messageStart >= 0)
        {
            throw new InvalidOperationException("the previous netlink message has not ended");
        }

        _messageStart = _length;
        Span<byte> header = Reserve(HeaderLength);
        header.Clear();
        uint sequence = ++_sequence;
        MemoryMarshal.Write(header[4..], type);
        MemoryMarshal.Write(header[6..], (ushort)(flags | NetlinkFlags.Request));
        MemoryMarshal.Write(header[8..], sequence);
        if ((flags & NetlinkFlags.Ack) != 0)
        {
            _messages.Add((sequence, operation));
        }

        return new Message(this);
    }

    /// <summary>The sequence number of the first message since <see cref="Reset"/>.</summary>
    internal uint FirstSequence { get; private set; } = 1;

    /// <summary>The sequence number of the message begun last.</summary>
    internal uint LastSequence => _sequence;

    /// <summary>The structure that follows the message header (ifinfomsg, nfgenmsg, …), or an attribute's raw value.</summary>
    public void Fixed<T>(in T value) where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));
        bytes.CopyTo(ReservePadded(bytes.Length));
    }

    public void Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        int length = 4 + value.Length;
        if (length > MaxAttributeLength)
        {
            throw new ArgumentException($"netlink attribute {type} of {value.Length} bytes", nameof(value));
        }

        Span<byte> span = ReservePadded(length);
        MemoryMarshal.Write(span, (ushort)length);
        MemoryMarshal.Write(span[2..], type);
        value.CopyTo(span[4..]);
    }

    /// <summary>An attribute without a value, whose presence says all.</summary>
    public void Flag(ushort type) => Attribute(type, []);

    public void UInt8(ushort type, byte value) => Attribute(type, [value]);

    /// <summary>In the byte order of the host, as rtnetlink wants it.</summary>
    public void UInt16(ushort type, ushort value) => Attribute(type, MemoryMarshal.AsBytes(new ReadOnlySpan<ushort>(in value)));

    /// <summary>In the byte order of the host, as rtnetlink wants it.</summary>
    public void UInt32(ushort type, uint value) => Attribute(type, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in value)));

    /// <summary>In network byte order, as nf_tables wants it.</summary>
    public void BigEndian32(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Attribute(type, bytes);
    }

    /// <summary>In network byte order, as nf_tables wants it.</summary>
    public void BigEndian64(ushort type, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        Attribute(type, bytes);
    }

    /// <summary>UTF-8 with a terminating NUL.</summary>
    public void Text(ushort type, string value)
    {
        if (value.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("a string for the kernel contains a NUL", nameof(value));
        }

        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(value) + 1];
        Encoding.UTF8.GetBytes(value, bytes);
        Attribute(type, bytes);
    }

    /// <summary>Starts an attribute that holds attributes; it ends at <see cref="Nest.Dispose"/>.</summary>
    public Nest Begin(ushort type)
    {
        int start = _length;
        MemoryMarshal.Write(Reserve(4)[2..], (ushort)(type | Nested));
        return new Nest(this, start);
    }

    private void EndMessage()
    {
        MemoryMarshal.Write(_buffer.AsSpan(_messageStart), (uint)(_length - _messageStart));
        _messageStart = -1;
    }

    private void EndNest(int start)
    {
        int length = _length - start;
        if (length > MaxAttributeLength)
        {
            throw new InvalidOperationException($"nested netlink attribute of {length} bytes");
        }

        MemoryMarshal.Write(_buffer.AsSpan(start), (ushort)length);
    }

    private Span<byte> ReservePadded(int length)
    {
        Span<byte> span = Reserve((length + 3) & ~3);
        span[length..].Clear();
        return span;
    }

    private Span<byte> Reserve(int length)
    {
        if (_length + length > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + length));
        }

        Span<byte> span = _buffer.AsSpan(_length, length);
        _length += length;
        return span;
    }

    /// <summary>A message being written.</summary>
    public readonly ref struct Message(NetlinkWriter writer)
    {
        public void Dispose() => writer.EndMessage();
    }

    /// <summary>A nested attribute being written.</summary>
    public readonly ref struct Nest(NetlinkWriter writer, int start)
    {
        public void Dispose() => writer.EndNest(start);
    }
}

/// <summary>nlmsg_flags (linux/netlink.h).</summary>
[Flags]
public enum NetlinkFlags : ushort
{
    None = 0,
    Request = 0x1,
    Multi = 0x2,
    Ack = 0x4,

    /// <summary>NLM_F_DUMP_INTR: the dump is inconsistent, because something changed meanwhile.</summary>
    DumpInterrupted = 0x10,

    /// <summary>Of a get request: all objects.</summary>
    Dump = 0x300,

    /// <summary>Of a new request: change an existing object.</summary>
    Replace = 0x100,

    /// <summary>Of a new request: fail with EEXIST if it exists. Of an error message: 0x200 is NLM_F_ACK_TLVS.</summary>
    Exclusive = 0x200,

    /// <summary>Of a new request: create it if it does not exist.</summary>
    Create = 0x400,

    /// <summary>Of a new request: add at the end of the list.</summary>
    Append = 0x800,
}
