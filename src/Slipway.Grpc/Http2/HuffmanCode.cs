using System.Buffers;

namespace Slipway.Grpc.Http2;

/// <summary>
/// The code that strings in headers may be compressed with (RFC 7541, appendix B). It is canonical: the lengths of the codes, in the order of the
/// symbols, tell the codes themselves.
/// </summary>
internal static class HuffmanCode
{
    private const int EndOfString = 256;
    private const int MaxLength = 30;

    private static readonly byte[] s_lengths =
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ];

    /// <summary>Symbols by length and then by number: the order of their codes.</summary>
    private static readonly int[] s_symbols = [.. Enumerable.Range(0, s_lengths.Length).OrderBy(symbol => s_lengths[symbol]).ThenBy(symbol => symbol)];

    /// <summary>How many codes there are of each length.</summary>
    private static readonly int[] s_counts = [.. Enumerable.Range(0, MaxLength + 1).Select(length => s_lengths.Count(l => l == length))];

    /// <exception cref="Http2Exception">The text is not of this code, or is padded by more than the beginning of its last one.</exception>
    public static void Decode(ReadOnlySpan<byte> encoded, IBufferWriter<byte> text)
    {
        int code = 0, first = 0, index = 0, length = 0;
        bool onlyOnes = true;
        foreach (byte octet in encoded)
        {
            for (int bit = 7; bit >= 0; bit--)
            {
                int value = (octet >> bit) & 1;
                onlyOnes &= value == 1;
                code = (code << 1) | value;
                length++;
                if (length > MaxLength)
                {
                    throw new Http2Exception(Http2Error.Compression, "a header has an invalid Huffman code");
                }

                // Codes of one length are consecutive numbers; the next length begins where they end, shifted.
                first <<= 1;
                int offset = code - first;
                if (offset < s_counts[length])
                {
                    int symbol = s_symbols[index + offset];
                    if (symbol == EndOfString)
                    {
                        throw new Http2Exception(Http2Error.Compression, "a header has the end of a string within it");
                    }

                    text.GetSpan(1)[0] = (byte)symbol;
                    text.Advance(1);
                    code = first = index = length = 0;
                    onlyOnes = true;
                    continue;
                }

                index += s_counts[length];
                first += s_counts[length];
            }
        }

        if (length > 7 || !onlyOnes)
        {
            throw new Http2Exception(Http2Error.Compression, "a header has an invalid padding");
        }
    }
}
