using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Slipway.Runtime.Logs;

/// <summary>Which of a process' outputs; the numbers are those of Docker's stream frames.</summary>
public enum LogStream : byte
{
    Stdout = 1,
    Stderr = 2,
}

/// <summary>
/// One record of Docker's json-file log: <c>{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678Z"}</c> and a newline.
/// The text is escaped as dockerd does it: quotation mark, backslash, newline and return by a backslash; other control
/// characters, &lt;, &gt;, &amp;, U+2028 and U+2029 as \u00xx; every byte that is not UTF-8 as \ufffd.
/// </summary>
internal static class JsonLogFormat
{
    // An escaped byte takes six at most.
    private const int MaxEscape = 6;

    private static readonly SearchValues<byte> s_escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 256).Where(b => b < 0x20 || b >= 0x80 || "\"\\<>&".Contains((char)b, StringComparison.Ordinal)).Select(b => (byte)b)]);

    /// <param name="attributes">Between stream and time, as <see cref="LogAttributes.Encode"/> has made it; empty for none.</param>
    public static void WriteRecord(ByteBuffer output, LogStream stream, ReadOnlySpan<byte> text, bool newline, DateTimeOffset time, ReadOnlySpan<byte> attributes = default)
    {
        output.Append("{\"log\":\""u8);
        WriteEscaped(output, text);
        output.Append(newline ? "\\n\",\"stream\":\""u8 : "\",\"stream\":\""u8);
        output.Append(stream == LogStream.Stdout ? "stdout\","u8 : "stderr\","u8);
        output.Append(attributes);
        output.Append("\"time\":\""u8);
        WriteTime(output, time);
        output.Append("\"}\n"u8);
    }

    /// <summary>RFC3339Nano in UTC: as many digits of the fraction as are not zero.</summary>
    public static void WriteTime(ByteBuffer output, DateTimeOffset time)
    {
        DateTime utc = time.UtcDateTime;
        Span<byte> target = output.Reserve(32);
        _ = Utf8Formatter.TryFormat(utc, target, out int length, new StandardFormat('O'));

        // "O" writes seven digits and Z.
        length--;
        while (target[length - 1] == (byte)'0')
        {
            length--;
        }

        if (target[length - 1] == (byte)'.')
        {
            length--;
        }

        target[length++] = (byte)'Z';
        output.Advance(length);
    }

    internal static void WriteEscaped(ByteBuffer output, ReadOnlySpan<byte> text)
    {
        while (!text.IsEmpty)
        {
            int plain = text.IndexOfAny(s_escaped);
            if (plain < 0)
            {
                output.Append(text);
                return;
            }

            output.Append(text[..plain]);
            text = text[plain..];
            byte value = text[0];
            if (value < 0x80)
            {
                WriteEscape(output, value);
                text = text[1..];
                continue;
            }

            if (Rune.DecodeFromUtf8(text, out Rune rune, out int length) != OperationStatus.Done)
            {
                // One replacement for each byte, as Go's utf8.DecodeRune advances.
                output.Append("\\ufffd"u8);
                length = 1;
            }
            else if (rune.Value is 0x2028 or 0x2029)
            {
                output.Append(rune.Value == 0x2028 ? "\\u2028"u8 : "\\u2029"u8);
            }
            else
            {
                output.Append(text[..length]);
            }

            text = text[length..];
        }
    }

    private static void WriteEscape(ByteBuffer output, byte value)
    {
        ReadOnlySpan<byte> digits = "0123456789abcdef"u8;
        Span<byte> target = output.Reserve(MaxEscape);
        target[0] = (byte)'\\';
        if (value is (byte)'"' or (byte)'\\' or (byte)'\n' or (byte)'\r')
        {
            target[1] = value switch { (byte)'\n' => (byte)'n', (byte)'\r' => (byte)'r', _ => value };
            output.Advance(2);
            return;
        }

        "u00"u8.CopyTo(target[1..]);
        target[4] = digits[value >> 4];
        target[5] = digits[value & 15];
        output.Advance(MaxEscape);
    }
}
