using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;

namespace Slipway.Networking;

/// <summary>Types of records (RFC 1035 section 3.2.2, RFC 3596, RFC 6891).</summary>
internal enum DnsType : ushort
{
    A = 1,
    Ptr = 12,
    Aaaa = 28,
    Opt = 41,
    Any = 255,
}

/// <summary>Codes of answers (RFC 1035 section 4.1.1).</summary>
internal enum DnsCode : byte
{
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
}

/// <summary>What a query asks, and what of it an answer repeats. All bytes come from containers: nothing in them is trusted.</summary>
/// <param name="Id">Chosen by the client.</param>
/// <param name="Name">Without the last dot, lower and upper case as they came.</param>
/// <param name="Section">The question section as it came, for the answer.</param>
/// <param name="PayloadSize">Bytes the client takes by UDP (EDNS, RFC 6891 section 6.2.3), or null for a client without EDNS.</param>
internal sealed record DnsQuestion(ushort Id, bool RecursionDesired, string Name, DnsType Type, ReadOnlyMemory<byte> Section, int? PayloadSize)
{
    public const int HeaderLength = 12;

    /// <summary>Of a message by UDP without EDNS (RFC 1035 section 4.2.1).</summary>
    public const int PlainPayload = 512;

    private const int MaxLabel = 63;
    private const int MaxName = 255;
    private const ushort Internet = 1;
    private const string ReverseSuffix = ".in-addr.arpa";
    private const string ReverseSuffix6 = ".ip6.arpa";

    /// <summary>Reads a query with one question.</summary>
    /// <param name="code">Why it is none, for the answer; null for what gets no answer at all: too short, or itself an answer.</param>
    public static bool TryRead(ReadOnlyMemory<byte> message, [NotNullWhen(true)] out DnsQuestion? question, out DnsCode? code)
    {
        (question, code) = (null, null);
        ReadOnlySpan<byte> bytes = message.Span;
        if (bytes.Length < HeaderLength || (bytes[2] & 0x80) != 0)
        {
            return false;
        }

        if ((bytes[2] >> 3 & 0xF) != 0)
        {
            code = DnsCode.NotImplemented;
            return false;
        }

        code = DnsCode.FormatError;
        if (BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]) != 1 || !TryReadName(bytes, HeaderLength, out string? name, out int end) || end + 4 > bytes.Length)
        {
            return false;
        }

        if (BinaryPrimitives.ReadUInt16BigEndian(bytes[(end + 2)..]) is not (Internet or (ushort)DnsType.Any))
        {
            code = DnsCode.NotImplemented;
            return false;
        }

        question = new DnsQuestion(
            BinaryPrimitives.ReadUInt16BigEndian(bytes),
            (bytes[2] & 1) != 0,
            name,
            (DnsType)BinaryPrimitives.ReadUInt16BigEndian(bytes[end..]),
            message[HeaderLength..(end + 4)],
            ReadPayloadSize(bytes, end + 4));
        code = null;
        return true;
    }

    /// <summary>The address whose name is asked for, or null.</summary>
    public IPAddress? ReverseAddress() =>
        Type != DnsType.Ptr ? null
        : Name.EndsWith(ReverseSuffix, StringComparison.OrdinalIgnoreCase) ? ReverseIpv4()
        : Name.EndsWith(ReverseSuffix6, StringComparison.OrdinalIgnoreCase) ? ReverseIpv6()
        : null;

    /// <summary>Four numbers, the last first (RFC 1035 section 3.5).</summary>
    private IPAddress? ReverseIpv4()
    {
        string[] parts = Name[..^ReverseSuffix.Length].Split('.');
        byte[] address = new byte[4];
        for (int i = 0; i < 4; i++)
        {
            if (parts.Length != 4 || !byte.TryParse(parts[3 - i], System.Globalization.NumberStyles.None, null, out address[i]))
            {
                return null;
            }
        }

        return new IPAddress(address);
    }

    /// <summary>Thirty-two hexadecimal digits, the last first (RFC 3596 section 2.5).</summary>
    private IPAddress? ReverseIpv6()
    {
        const int Digits = 32;
        string[] parts = Name[..^ReverseSuffix6.Length].Split('.');
        if (parts.Length != Digits || !parts.All(part => part.Length == 1 && char.IsAsciiHexDigit(part[0])))
        {
            return null;
        }

        Array.Reverse(parts);
        return new IPAddress(Convert.FromHexString(string.Concat(parts)));
    }

    /// <summary>A name of a question: labels only, since there is nothing before it that a pointer could mean (RFC 1035 section 4.1.4).</summary>
    private static bool TryReadName(ReadOnlySpan<byte> bytes, int start, [NotNullWhen(true)] out string? name, out int end)
    {
        (name, end) = (null, start);
        StringBuilder text = new();
        while (end < bytes.Length)
        {
            int length = bytes[end++];
            if (length == 0)
            {
                name = text.ToString();
                return true;
            }

            if (length > MaxLabel || end + length > bytes.Length || end + length - start > MaxName)
            {
                return false;
            }

            if (text.Length > 0)
            {
                text.Append('.');
            }

            text.Append(Encoding.Latin1.GetString(bytes.Slice(end, length)));
            end += length;
        }

        return false;
    }

    /// <summary>Looks for the client's OPT record, which stubs send as the only one after the question; with others before it is passed over.</summary>
    private static int? ReadPayloadSize(ReadOnlySpan<byte> bytes, int offset)
    {
        const int RecordLength = 11;
        bool onlyAdditional = BinaryPrimitives.ReadUInt32BigEndian(bytes[6..]) == 0 && BinaryPrimitives.ReadUInt16BigEndian(bytes[10..]) > 0;
        return onlyAdditional && bytes.Length >= offset + RecordLength && bytes[offset] == 0
            && BinaryPrimitives.ReadUInt16BigEndian(bytes[(offset + 1)..]) == (ushort)DnsType.Opt
            ? Math.Max(PlainPayload, (int)BinaryPrimitives.ReadUInt16BigEndian(bytes[(offset + 3)..]))
            : null;
    }
}
