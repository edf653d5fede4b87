using System.Security.Cryptography;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary>A record that is a part of a longer line.</summary>
/// <param name="Id">The same for all parts of the line.</param>
/// <param name="Ordinal">From 1.</param>
internal sealed record PartialLine(string Id, int Ordinal, bool IsLast);

/// <summary>Tells the parts of lines longer than 16 KiB apart from whole ones, for each stream.</summary>
internal sealed class PartialLines
{
    // A line is cut at 16 KiB, or up to three bytes before, between two characters; a shorter record without a newline is the last of a stream.
    private const int CutBytes = (16 * 1024) - 3;

    private readonly Dictionary<LogStream, PartialLine> _open = [];

    /// <summary>Null for a whole line.</summary>
    public PartialLine? Of(LogEntry entry)
    {
        bool isLast = entry.Text.Length < CutBytes || entry.Text.Span[^1] == (byte)'\n';
        return _open.TryGetValue(entry.Stream, out PartialLine? before)
            ? before with { Ordinal = before.Ordinal + 1, IsLast = isLast }
            : isLast ? null : new PartialLine(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)), 1, IsLast: false);
    }

    /// <summary>The record has been sent: what follows it continues its line, or begins one.</summary>
    public void Delivered(LogEntry entry, PartialLine? part)
    {
        if (part is null or { IsLast: true })
        {
            _open.Remove(entry.Stream);
        }
        else
        {
            _open[entry.Stream] = part;
        }
    }
}
