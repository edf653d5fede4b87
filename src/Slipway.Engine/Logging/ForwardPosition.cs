using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Engine.Logging;

/// <summary>
/// How far a log has been delivered, kept in a file beside it: the time of the last record, and how many of that very time. An engine that was
/// killed between a delivery and its note delivers one record twice; none is left out.
/// </summary>
internal sealed class ForwardPosition : IDisposable
{
    // Two numbers of 20 digits and the separators: always the same length, so that one write replaces it.
    private const int Length = 42;

    private readonly SafeFileHandle _file;
    private int _count;

    private ForwardPosition(SafeFileHandle file)
    {
        _file = file;
        byte[] text = new byte[Length];
        int read = RandomAccess.Read(file, text, 0);
        string[] fields = Encoding.ASCII.GetString(text, 0, read).Split(' ', '\n');
        if (read == Length && long.TryParse(fields[0], CultureInfo.InvariantCulture, out long ticks) && int.TryParse(fields[1], CultureInfo.InvariantCulture, out int count)
            && ticks > 0 && ticks <= DateTimeOffset.MaxValue.Ticks)
        {
            Time = new DateTimeOffset(ticks, TimeSpan.Zero);
            _count = count;
        }
    }

    /// <summary>Of the last record that was delivered; null where none was.</summary>
    public DateTimeOffset? Time { get; private set; }

    public static ForwardPosition Open(string directory) =>
        new(File.OpenHandle($"{directory}/log-position", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite));

    /// <summary>How many records of <see cref="Time"/> are to be passed over when the log is read from that time on.</summary>
    public int Delivered => _count;

    public void Advance(DateTimeOffset time)
    {
        _count = time == Time ? _count + 1 : 1;
        Time = time;
        RandomAccess.Write(_file, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{time.UtcTicks:D20} {_count:D20}\n")), 0);
    }

    public void Dispose() => _file.Dispose();
}
