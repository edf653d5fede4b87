using System.Globalization;
using System.Text.RegularExpressions;

namespace Slipway.Build.Syntax;

/// <summary>Durations in Go's notation (pkg.go.dev/time#ParseDuration): <c>1m30s</c>, <c>1.5h</c>, <c>500ms</c>, <c>0</c>.</summary>
public static partial class GoDuration
{
    /// <exception cref="FormatException">In Go's words: it is none, or longer than can be told.</exception>
    public static TimeSpan Parse(string text)
    {
        string unsigned = text.TrimStart('+', '-');
        if (unsigned == "0")
        {
            return TimeSpan.Zero;
        }

        if (Form().Match(text) is not { Success: true } match)
        {
            throw new FormatException($"time: invalid duration \"{text}\"");
        }

        double nanoseconds = 0;
        for (int i = 0; i < match.Groups["number"].Captures.Count; i++)
        {
            double unit = match.Groups["unit"].Captures[i].Value switch
            {
                "ns" => 1,
                "us" or "µs" or "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                "" => throw new FormatException($"time: missing unit in duration \"{text}\""),
                var unknown => throw new FormatException($"time: unknown unit \"{unknown}\" in duration \"{text}\""),
            };
            nanoseconds += unit * double.Parse(match.Groups["number"].Captures[i].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
        }

        return nanoseconds <= long.MaxValue
            ? TimeSpan.FromTicks((long)(nanoseconds / TimeSpan.NanosecondsPerTick) * (text[0] == '-' ? -1 : 1))
            : throw new FormatException($"time: invalid duration \"{text}\"");
    }

    /// <summary>As Go's Duration.String writes it: <c>1m30s</c>, <c>500ms</c>, <c>0s</c>.</summary>
    public static string Format(TimeSpan duration)
    {
        string sign = duration < TimeSpan.Zero ? "-" : "";
        TimeSpan time = duration.Duration();
        if (time < TimeSpan.FromSeconds(1))
        {
            return time == TimeSpan.Zero ? "0s"
                : time.TotalMilliseconds >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{sign}{time.TotalMilliseconds:0.######}ms")
                : string.Create(CultureInfo.InvariantCulture, $"{sign}{time.TotalMicroseconds:0.###}µs");
        }

        decimal seconds = time.Seconds + ((decimal)(time.Ticks % TimeSpan.TicksPerSecond) / TimeSpan.TicksPerSecond);
        string hours = time.TotalHours >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours}h") : "";
        string minutes = time.TotalMinutes >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{time.Minutes}m") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{sign}{hours}{minutes}{seconds:0.#######}s");
    }

    [GeneratedRegex(@"^[+-]?(?>(?<number>\d+\.?\d*|\.\d+)(?<unit>[^0-9.]*))+$", RegexOptions.ExplicitCapture)]
    private static partial Regex Form();
}
