using System.Buffers.Binary;

namespace Slipway.Networking;

/// <summary>
/// How long an answer of another server may be kept. The bytes come from outside: names are passed over label by label and a pointer ends them, so that nothing in a
/// message makes reading it longer than the message.
/// </summary>
internal static class DnsLifetime
{
    private const int MaxLabel = 63;
    private const int PointerMark = 0xC0;
    private const int NonExistentDomain = 3;
    private const ushort Soa = 6;

    /// <summary>Of the fixed part of a record: type, class, time to live, length (RFC 1035 section 4.1.3).</summary>
    private const int RecordLength = 10;

    /// <summary>Reads the times to live of an answer.</summary>
    /// <param name="seconds">The least of all; for an answer that there is nothing, what its SOA says (RFC 2308 section 5). At least 1.</param>
    /// <param name="times">Where in the message the times are: they get less while it is kept.</param>
    /// <returns>False for what must not be kept: cut off, a failure, without a time, or no message.</returns>
    public static bool TryRead(ReadOnlySpan<byte> answer, out uint seconds, out IReadOnlyList<int> times)
    {
        List<int> found = [];
        (seconds, times) = (uint.MaxValue, found);
        if (answer.Length < DnsQuestion.HeaderLength || (answer[2] & 2) != 0 || (answer[3] & 0xF) is not (int)DnsCode.NoError and not NonExistentDomain || Count(answer, 4) != 1)
        {
            return false;
        }

        int position = DnsQuestion.HeaderLength;
        if (!TrySkipName(answer, ref position) || (position += 4) > answer.Length)
        {
            return false;
        }

        int answers = Count(answer, 6);
        bool isNegative = answers == 0 || (answer[3] & 0xF) == NonExistentDomain;
        bool hasSoa = false;
        for (int left = answers + Count(answer, 8) + Count(answer, 10); left > 0; left--)
        {
            if (!TrySkipName(answer, ref position) || position + RecordLength > answer.Length)
            {
                return false;
            }

            ushort type = BinaryPrimitives.ReadUInt16BigEndian(answer[position..]);
            uint time = BinaryPrimitives.ReadUInt32BigEndian(answer[(position + 4)..]);
            int end = position + RecordLength + BinaryPrimitives.ReadUInt16BigEndian(answer[(position + 8)..]);
            if (end > answer.Length)
            {
                return false;
            }

            // In an OPT record these are flags.
            if (type != (ushort)DnsType.Opt)
            {
                found.Add(position + 4);
                seconds = Math.Min(seconds, time);
            }

            // Of its seven fields the last is the time for which names do not exist.
            if (type == Soa && end - position >= RecordLength + sizeof(uint))
            {
                hasSoa = true;
                seconds = Math.Min(seconds, BinaryPrimitives.ReadUInt32BigEndian(answer[(end - sizeof(uint))..]));
            }

            position = end;
        }

        return found.Count > 0 && seconds > 0 && (!isNegative || hasSoa);
    }

    private static int Count(ReadOnlySpan<byte> message, int offset) => BinaryPrimitives.ReadUInt16BigEndian(message[offset..]);

    private static bool TrySkipName(ReadOnlySpan<byte> message, ref int position)
    {
        while (position < message.Length)
        {
            int length = message[position++];
            if (length == 0)
            {
                return true;
            }

            if ((length & PointerMark) == PointerMark)
            {
                return ++position <= message.Length;
            }

            if (length > MaxLabel)
            {
                return false;
            }

            position += length;
        }

        return false;
    }
}
