using System.Buffers;
using System.Globalization;

namespace Slipway.Engine;

/// <summary>Points in time as users write them in filters: <c>10m</c> (ago), <c>2026-01-02T15:04:05</c>, or seconds since 1970.</summary>
internal static class TimeText
{
    private static readonly SearchValues<char> s_digitsAndDot = SearchValues.Create("0123456789.");

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static DateTimeOffset Parse(string text, TimeProvider time)
    {
        if (TryParseDuration(text, out TimeSpan ago))
        {
            return time.GetUtcNow() - ago;
        }

        if (double.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out double seconds)
            && Math.Abs(seconds) < DateTimeOffset.MaxValue.ToUnixTimeSeconds() / 2)
        {
            return DateTimeOffset.UnixEpoch.AddSeconds(seconds);
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date) ? date
            : throw new EngineException(ErrorKind.InvalidParameter, $"failed to parse value as time or duration: \"{text}\"");
    }

    /// <summary>A duration as Go prints it: <c>1h0m5s</c>, <c>1.5s</c>, <c>20ms</c>.</summary>
    public static string Format(TimeSpan duration)
    {
        if (duration < TimeSpan.FromSeconds(1))
        {
            return duration == TimeSpan.Zero ? "0s" : string.Create(CultureInfo.InvariantCulture, $"{duration.TotalMilliseconds:0.####}ms");
        }

        long hours = (long)duration.TotalHours;
        string head = hours > 0 ? string.Create(CultureInfo.InvariantCulture, $"{hours}h{duration.Minutes}m") : duration.Minutes > 0 ? string.Create(CultureInfo.InvariantCulture, $"{duration.Minutes}m") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{head}{duration.Ticks % TimeSpan.TicksPerMinute / (double)TimeSpan.TicksPerSecond:0.#######}s");
    }

    /// <summary>Go's durations: numbers with units, <c>1h30m</c>, <c>1.5s</c>.</summary>
    public static bool TryParseDuration(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        ReadOnlySpan<char> rest = text;
        if (rest.IsEmpty)
        {
            return false;
        }

        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExcept(s_digitsAndDot);
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value))
            {
                return false;
            }

            rest = rest[digits..];
            (int length, double unit) = rest switch
            {
                ['n', 's', ..] => (2, 1e-9),
                ['u' or 'µ', 's', ..] => (2, 1e-6),
                ['m', 's', ..] => (2, 1e-3),
                ['h', ..] => (1, 3600),
                ['m', ..] => (1, 60),
                ['s', ..] => (1, 1.0),
                _ => (0, 0),
            };
            if (length == 0 || value * unit > TimeSpan.MaxValue.TotalSeconds / 1000)
            {
                return false;
            }

            duration += TimeSpan.FromSeconds(value * unit);
            rest = rest[length..];
        }

        return true;
    }
}
