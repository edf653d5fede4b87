using System.Buffers;
using System.Text;

namespace Slipway.Grpc.Http2;

internal readonly record struct HeaderField(string Name, string Value);

/// <summary>
/// Lists of headers as they travel (RFC 7541). Neither side keeps a dynamic table: we offer one of no size, and index nothing, so each block can be
/// read by itself.
/// </summary>
internal static class HeaderBlock
{
    /// <summary>Bytes of names and values of one block, and 32 for each field (RFC 9113, 6.5.2).</summary>
    public const int MaxListSize = 64 * 1024;

    private const int FieldOverhead = 32;

    // RFC 7541, appendix A.
    private static readonly HeaderField[] s_static =
    [
        new(":authority", ""), new(":method", "GET"), new(":method", "POST"), new(":path", "/"), new(":path", "/index.html"), new(":scheme", "http"),
        new(":scheme", "https"), new(":status", "200"), new(":status", "204"), new(":status", "206"), new(":status", "304"), new(":status", "400"),
        new(":status", "404"), new(":status", "500"), new("accept-charset", ""), new("accept-encoding", "gzip, deflate"), new("accept-language", ""),
        new("accept-ranges", ""), new("accept", ""), new("access-control-allow-origin", ""), new("age", ""), new("allow", ""), new("authorization", ""),
        new("cache-control", ""), new("content-disposition", ""), new("content-encoding", ""), new("content-language", ""), new("content-length", ""),
        new("content-location", ""), new("content-range", ""), new("content-type", ""), new("cookie", ""), new("date", ""), new("etag", ""),
        new("expect", ""), new("expires", ""), new("from", ""), new("host", ""), new("if-match", ""), new("if-modified-since", ""),
        new("if-none-match", ""), new("if-range", ""), new("if-unmodified-since", ""), new("last-modified", ""), new("link", ""), new("location", ""),
        new("max-forwards", ""), new("proxy-authenticate", ""), new("proxy-authorization", ""), new("range", ""), new("referer", ""), new("refresh", ""),
        new("retry-after", ""), new("server", ""), new("set-cookie", ""), new("strict-transport-security", ""), new("transfer-encoding", ""),
        new("user-agent", ""), new("vary", ""), new("via", ""), new("www-authenticate", ""),
    ];

    /// <summary>Each field as a literal that is not indexed (6.2.2): a name may stand there several times.</summary>
    public static byte[] Encode(IEnumerable<HeaderField> fields)
    {
        ArrayBufferWriter<byte> block = new();
        foreach (HeaderField field in fields)
        {
            Put(block, 0);
            WriteString(block, field.Name);
            WriteString(block, field.Value);
        }

        return block.WrittenSpan.ToArray();
    }

    /// <exception cref="Http2Exception">The block is malformed, larger than allowed, or counts on a dynamic table.</exception>
    public static IReadOnlyList<HeaderField> Decode(ReadOnlySpan<byte> block)
    {
        List<HeaderField> fields = [];
        int size = 0;
        while (!block.IsEmpty)
        {
            byte first = block[0];
            HeaderField? field = null;
            if ((first & 0x80) != 0)
            {
                field = Static(ReadInteger(ref block, 7));
            }
            else if ((first & 0xe0) == 0x20)
            {
                if (ReadInteger(ref block, 5) != 0)
                {
                    throw Malformed("uses a table that was not offered");
                }
            }
            else
            {
                // 01 with, 0000 without, 0001 never to be indexed: without a table it is all the same.
                int index = ReadInteger(ref block, (first & 0xc0) == 0x40 ? 6 : 4);
                string name = index == 0 ? ReadString(ref block) : Static(index).Name;
                field = new HeaderField(name, ReadString(ref block));
            }

            if (field is { } read)
            {
                fields.Add(read);
                size += read.Name.Length + read.Value.Length + FieldOverhead;
                if (size > MaxListSize)
                {
                    throw Malformed($"has more than {MaxListSize} bytes");
                }
            }
        }

        return fields;
    }

    private static HeaderField Static(int index) => index >= 1 && index <= s_static.Length ? s_static[index - 1] : throw Malformed("refers to no entry of the table");

    private static void WriteString(ArrayBufferWriter<byte> block, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        WriteInteger(block, bytes.Length, 7);
        block.Write(bytes);
    }

    private static void WriteInteger(ArrayBufferWriter<byte> block, int value, int prefix)
    {
        int max = (1 << prefix) - 1;
        if (value < max)
        {
            Put(block, (byte)value);
            return;
        }

        Put(block, (byte)max);
        for (value -= max; value >= 0x80; value >>= 7)
        {
            Put(block, (byte)((value & 0x7f) | 0x80));
        }

        Put(block, (byte)value);
    }

    private static void Put(ArrayBufferWriter<byte> block, byte octet)
    {
        block.GetSpan(1)[0] = octet;
        block.Advance(1);
    }

    private static int ReadInteger(ref ReadOnlySpan<byte> block, int prefix)
    {
        int max = (1 << prefix) - 1;
        int value = Next(ref block) & max;
        if (value < max)
        {
            return value;
        }

        for (int shift = 0; shift <= 21; shift += 7)
        {
            byte octet = Next(ref block);
            value += (octet & 0x7f) << shift;
            if ((octet & 0x80) == 0)
            {
                return value;
            }
        }

        throw Malformed("has a number out of range");
    }

    private static string ReadString(ref ReadOnlySpan<byte> block)
    {
        bool compressed = !block.IsEmpty && (block[0] & 0x80) != 0;
        int length = ReadInteger(ref block, 7);
        if (length > block.Length)
        {
            throw Malformed("ends within a string");
        }

        ReadOnlySpan<byte> bytes = block[..length];
        block = block[length..];
        if (!compressed)
        {
            return Encoding.UTF8.GetString(bytes);
        }

        ArrayBufferWriter<byte> text = new(Math.Max(2 * length, 1));
        HuffmanCode.Decode(bytes, text);
        return Encoding.UTF8.GetString(text.WrittenSpan);
    }

    private static byte Next(ref ReadOnlySpan<byte> block)
    {
        if (block.IsEmpty)
        {
            throw Malformed("ends within a number");
        }

        byte octet = block[0];
        block = block[1..];
        return octet;
    }

    private static Http2Exception Malformed(string what) => new(Http2Error.Compression, $"a list of headers {what}");
}
