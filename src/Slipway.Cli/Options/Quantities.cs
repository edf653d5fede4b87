using System.Globalization;

namespace Slipway.Cli.Options;

/// <summary>Sizes, durations and CPU counts as docker's flags take them.</summary>
internal static class Quantities
{
    /// <summary>Bytes with an optional unit in powers of 1024: <c>64m</c>, <c>1.5g</c>, <c>512kb</c>.</summary>
    public static long Bytes(string text)
    {
        string value = text.Trim();
        int end = value.Length;
        while (end > 0 && !char.IsAsciiDigit(value[end - 1]))
        {
            end--;
        }

        double factor = value[end..].Trim().ToUpperInvariant() switch
        {
            "" or "B" => 1,
            "K" or "KB" or "KIB" => 1L << 10,
            "M" or "MB" or "MIB" => 1L << 20,
            "G" or "GB" or "GIB" => 1L << 30,
            "T" or "TB" or "TIB" => 1L << 40,
            _ => double.NaN,
        };
        return !double.IsNaN(factor) && double.TryParse(value.AsSpan(0, end), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            ? checked((long)(number * factor))
            : throw new CommandException($"invalid size: '{text}'");
    }

    /// <summary>Bytes, or -1 for no limit (<c>--memory-swap</c>).</summary>
    public static long BytesOrUnlimited(string text) => text == "-1" ? -1 : Bytes(text);

    /// <summary>Billionths of a CPU: <c>1.5</c>.</summary>
    public static long NanoCpus(string text) =>
        decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal cpus) && decimal.Round(cpus, 9) == cpus
            ? (long)(cpus * 1_000_000_000m)
            : throw new CommandException($"invalid argument \"{text}\" for \"--cpus\" flag: failed to parse {text} as a rational number");

    /// <summary>A sequence of numbers with units ns, us, ms, s, m, h: <c>1m30s</c>.</summary>
    public static TimeSpan Duration(string text)
    {
        double ticks = 0;
        int position = 0;
        while (position < text.Length)
        {
            int start = position;
            while (position < text.Length && (char.IsAsciiDigit(text[position]) || text[position] == '.'))
            {
                position++;
            }

            int unit = position;
            while (position < text.Length && char.IsAsciiLetter(text[position]))
            {
                position++;
            }

            double factor = text[unit..position] switch
            {
                "ns" => 0.01,
                "us" or "µs" => 10,
                "ms" => TimeSpan.TicksPerMillisecond,
                "s" => TimeSpan.TicksPerSecond,
                "m" => TimeSpan.TicksPerMinute,
                "h" => TimeSpan.TicksPerHour,
                _ => double.NaN,
            };
            if (double.IsNaN(factor) || !double.TryParse(text.AsSpan(start, unit - start), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
            {
                throw new CommandException($"time: invalid duration \"{text}\"");
            }

            ticks += number * factor;
        }

        return text.Length > 0 ? TimeSpan.FromTicks((long)ticks) : throw new CommandException($"time: invalid duration \"{text}\"");
    }

    /// <summary>A point in time for the API: seconds since 1970, RFC 3339, or a duration before now.</summary>
    public static string? Timestamp(string? text, TimeProvider clock)
    {
        if (text is null || text.Contains('T', StringComparison.Ordinal) || double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out _))
        {
            return text;
        }

        DateTimeOffset time = clock.GetUtcNow() - Duration(text);
        return string.Create(CultureInfo.InvariantCulture, $"{time.ToUnixTimeMilliseconds() / 1000.0:0.000}");
    }
}
