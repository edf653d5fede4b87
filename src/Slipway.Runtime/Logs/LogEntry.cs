using System.Text.Json;

namespace Slipway.Runtime.Logs;

/// <summary>One record of a log.</summary>
/// <param name="Text">As the process wrote it, with its newline; without one where the record is part of a line of more than 16 KiB.</param>
public sealed record LogEntry(LogStream Stream, DateTimeOffset Time, ReadOnlyMemory<byte> Text)
{
    /// <summary>Reads a line of a json-file log; null where it is none (torn by a crash).</summary>
    internal static LogEntry? Parse(ReadOnlySpan<byte> line)
    {
        byte[]? text = null;
        DateTimeOffset? time = null;
        LogStream stream = LogStream.Stdout;
        try
        {
            var reader = new Utf8JsonReader(line);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("log"u8) && reader.Read())
                {
                    text = Unescape(ref reader);
                }
                else if (reader.ValueTextEquals("stream"u8) && reader.Read())
                {
                    stream = reader.ValueTextEquals("stderr"u8) ? LogStream.Stderr : LogStream.Stdout;
                }
                else if (reader.ValueTextEquals("time"u8) && reader.Read())
                {
                    time = reader.GetDateTimeOffset();
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException)
        {
            return null;
        }

        return text is null || time is null ? null : new LogEntry(stream, time.Value, text);
    }

    private static byte[] Unescape(ref Utf8JsonReader reader)
    {
        byte[] buffer = new byte[reader.ValueSpan.Length];
        int length = reader.CopyString(buffer);
        return length == buffer.Length ? buffer : buffer[..length];
    }
}

/// <summary>Which records of a log are wanted.</summary>
public sealed record LogReadOptions
{
    /// <summary>Go on until the log has ended.</summary>
    public bool Follow { get; init; }

    /// <summary>Nobody watches: a follower that waits may look more seldom.</summary>
    public bool IsPatient { get; init; }

    /// <summary>Only so many of the last records, counted before the other conditions, as Docker does it; null for all.</summary>
    public int? Tail { get; init; }

    /// <summary>Records of this time and later.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Records of this time and earlier; reading ends with the first later one.</summary>
    public DateTimeOffset? Until { get; init; }

    public bool Stdout { get; init; } = true;

    public bool Stderr { get; init; } = true;

    internal bool Wants(LogEntry entry) =>
        (entry.Stream == LogStream.Stdout ? Stdout : Stderr) && !(entry.Time < Since);
}
