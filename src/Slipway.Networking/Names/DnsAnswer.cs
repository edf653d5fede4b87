using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Slipway.Networking;

/// <summary>Answers made here (RFC 1035 section 4).</summary>
internal static class DnsAnswer
{
    /// <summary>Seconds. Short, because a container that is started again may have another address.</summary>
    private const uint TimeToLive = 10;

    /// <summary>What is offered to clients with EDNS: fits a packet on any path (DNS flag day 2020).</summary>
    private const ushort OwnPayloadSize = 1232;

    private const byte IsResponse = 0x80;
    private const byte Truncated = 0x02;
    private const byte RecursionAvailable = 0x80;
    private const ushort PointerToQuestion = 0xC000 | DnsQuestion.HeaderLength;

    /// <summary>Those addresses of a name that is known here which the question is about; where there is none, the answer says that the name exists, but not in this type.</summary>
    /// <param name="limit">Bytes; what does not fit is cut off, which the client is told.</param>
    public static byte[] Addresses(DnsQuestion question, IReadOnlyList<IPAddress> addresses, int limit)
    {
        byte[][] records =
        [
            .. from address in addresses
               let type = address.AddressFamily == AddressFamily.InterNetwork ? DnsType.A : DnsType.Aaaa
               where question.Type == type || question.Type == DnsType.Any
               select Record(type, address.GetAddressBytes()),
        ];
        return Compose(question, records, limit);
    }

    /// <summary>The name of an address.</summary>
    public static byte[] Name(DnsQuestion question, string name, int limit) => Compose(question, [Record(DnsType.Ptr, Encode(name))], limit);

    /// <summary>An answer without records.</summary>
    public static byte[] Failure(DnsQuestion question, DnsCode code)
    {
        byte[] answer = Compose(question, [], int.MaxValue);
        answer[3] |= (byte)code;
        return answer;
    }

    /// <summary>An answer to what could not be read: the header alone.</summary>
    public static byte[] Failure(ReadOnlySpan<byte> query, DnsCode code)
    {
        byte[] answer = new byte[DnsQuestion.HeaderLength];
        query[..2].CopyTo(answer);
        answer[2] = (byte)(IsResponse | (query[2] & 0x79)); // the operation, and whether recursion was wanted
        answer[3] = (byte)(RecursionAvailable | (byte)code);
        return answer;
    }

    private static byte[] Compose(DnsQuestion question, byte[][] records, int limit)
    {
        byte[] options = question.PayloadSize is null ? [] : Options();
        int length = DnsQuestion.HeaderLength + question.Section.Length + options.Length;
        int fitting = 0;
        while (fitting < records.Length && length + records[fitting].Length <= limit)
        {
            length += records[fitting++].Length;
        }

        byte[] answer = new byte[length];
        Span<byte> rest = answer;
        BinaryPrimitives.WriteUInt16BigEndian(rest, question.Id);
        rest[2] = (byte)(IsResponse | (fitting < records.Length ? Truncated : 0) | (question.RecursionDesired ? 1 : 0));
        rest[3] = RecursionAvailable;
        BinaryPrimitives.WriteUInt16BigEndian(rest[4..], 1);
        BinaryPrimitives.WriteUInt16BigEndian(rest[6..], (ushort)fitting);
        BinaryPrimitives.WriteUInt16BigEndian(rest[10..], (ushort)(options.Length > 0 ? 1 : 0));
        rest = rest[DnsQuestion.HeaderLength..];
        question.Section.Span.CopyTo(rest);
        rest = rest[question.Section.Length..];
        foreach (byte[] record in records.Take(fitting))
        {
            record.CopyTo(rest);
            rest = rest[record.Length..];
        }

        options.CopyTo(rest);
        return answer;
    }

    private static byte[] Record(DnsType type, byte[] data)
    {
        byte[] record = new byte[12 + data.Length];
        BinaryPrimitives.WriteUInt16BigEndian(record, PointerToQuestion);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(2), (ushort)type);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(4), 1);
        BinaryPrimitives.WriteUInt32BigEndian(record.AsSpan(6), TimeToLive);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(10), (ushort)data.Length);
        data.CopyTo(record, 12);
        return record;
    }

    /// <summary>An OPT record (RFC 6891 section 6.1.2): the root's name, the type, our payload size, no flags, no options.</summary>
    private static byte[] Options()
    {
        byte[] record = new byte[11];
        record[2] = (byte)DnsType.Opt;
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(3), OwnPayloadSize);
        return record;
    }

    private static byte[] Encode(string name)
    {
        using MemoryStream encoded = new();
        foreach (string label in name.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            byte[] bytes = Encoding.Latin1.GetBytes(label);
            int length = Math.Min(bytes.Length, 63);
            encoded.WriteByte((byte)length);
            encoded.Write(bytes, 0, length);
        }

        encoded.WriteByte(0);
        return encoded.ToArray();
    }
}
