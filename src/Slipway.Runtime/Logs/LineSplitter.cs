namespace Slipway.Runtime.Logs;

/// <summary>
/// Cuts one output stream into log lines. A line longer than 16 KiB becomes several records, of which only the last ends with a
/// newline, as dockerd does it; but never inside a UTF-8 sequence, whose halves would be logged as U+FFFD.
/// </summary>
internal sealed class LineSplitter(LogStream stream)
{
    public const int MaxLine = 16 * 1024;

    private readonly ByteBuffer _partial = new();

    public delegate void Sink(LogStream stream, ReadOnlySpan<byte> text, bool newline);

    public void Split(ReadOnlySpan<byte> data, Sink sink)
    {
        while (!data.IsEmpty)
        {
            int newline = data.IndexOf((byte)'\n');
            ReadOnlySpan<byte> segment = newline < 0 ? data : data[..newline];
            data = newline < 0 ? [] : data[(newline + 1)..];
            if (_partial.Length > 0)
            {
                _partial.Append(segment);
                segment = _partial.Written;
            }

            int taken = 0;
            while (segment.Length - taken > MaxLine || (segment.Length - taken == MaxLine && newline >= 0))
            {
                int length = Boundary(segment[taken..]);
                sink(stream, segment.Slice(taken, length), newline: false);
                taken += length;
            }

            if (newline >= 0)
            {
                sink(stream, segment[taken..], newline: true);
                _partial.Clear();
                _partial.TrimIfEmpty();
            }
            else if (_partial.Length > 0)
            {
                _partial.Consume(taken);
            }
            else
            {
                _partial.Append(segment[taken..]);
            }
        }
    }

    /// <summary>Hands over what has no newline at the end of the stream.</summary>
    public void Finish(Sink sink)
    {
        if (_partial.Length > 0)
        {
            sink(stream, _partial.Written, newline: false);
            _partial.Clear();
            _partial.TrimIfEmpty();
        }
    }

    private static int Boundary(ReadOnlySpan<byte> segment)
    {
        for (int length = MaxLine; length > MaxLine - 4 && length < segment.Length; length--)
        {
            if ((segment[length] & 0xC0) != 0x80)
            {
                return length;
            }
        }

        return MaxLine;
    }
}
