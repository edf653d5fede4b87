using System.Buffers;
using System.Globalization;

namespace Slipway.Engine.Logging;

/// <summary>Values of options as Go reads them, since Docker's are so written.</summary>
internal static class GoText
{
    private static readonly SearchValues<char> s_number = SearchValues.Create("0123456789.");

    /// <summary>strconv.ParseBool.</summary>
    /// <exception cref="FormatException">Not one of its words.</exception>
    public static bool Boolean(string text) => text switch
    {
        "1" or "t" or "T" or "true" or "TRUE" or "True" => true,
        "0" or "f" or "F" or "false" or "FALSE" or "False" => false,
        _ => throw new FormatException($"strconv.ParseBool: parsing \"{text}\": invalid syntax"),
    };

    /// <summary>time.ParseDuration: <c>1h2m3.5s</c>, <c>250ms</c>.</summary>
    /// <exception cref="FormatException">Malformed.</exception>
    public static TimeSpan Duration(string text) =>
        TryDuration(text, out TimeSpan duration) ? duration : throw new FormatException($"time: invalid duration \"{text}\"");

    public static bool TryDuration(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        bool negative = text.StartsWith('-');
        ReadOnlySpan<char> rest = text.AsSpan().TrimStart('-').TrimStart('+');
        if (rest is "0")
        {
            return true;
        }

        double ticks = 0;
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExcept(s_number);
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
            {
                return false;
            }

            rest = rest[digits..];
            int letters = rest.IndexOfAny(s_number);
            ReadOnlySpan<char> unit = letters < 0 ? rest : rest[..letters];
            double size = unit switch
            {
                "ns" => 0.01,
                "us" or "µs" => TimeSpan.TicksPerMicrosecond,
                "ms" => TimeSpan.TicksPerMillisecond,
                "s" => TimeSpan.TicksPerSecond,
                "m" => TimeSpan.TicksPerMinute,
                "h" => TimeSpan.TicksPerHour,
                _ => 0,
            };
            if (size == 0)
            {
                return false;
            }

            ticks += number * size;
            rest = rest[unit.Length..];
        }

        if (text.Length == 0 || ticks > long.MaxValue / 2)
        {
            return false;
        }

        duration = TimeSpan.FromTicks((long)(negative ? -ticks : ticks));
        return true;
    }

    /// <summary>A size with an optional unit, powers of 1024 (go-units RAMInBytes): <c>10m</c>, <c>1.5GiB</c>.</summary>
    /// <exception cref="FormatException">Malformed or not positive.</exception>
    public static long Size(string text)
    {
        string lower = text.Trim().ToLowerInvariant();
        int end = lower.AsSpan().LastIndexOfAnyInRange('0', '9') + 1;
        string unit = lower[end..].Trim();
        long factor = unit switch
        {
            "" or "b" => 1,
            "k" or "kb" or "kib" => 1L << 10,
            "m" or "mb" or "mib" => 1L << 20,
            "g" or "gb" or "gib" => 1L << 30,
            "t" or "tb" or "tib" => 1L << 40,
            _ => 0,
        };
        bool valid = decimal.TryParse(lower[..end], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
            && factor > 0 && number * factor is > 0 and < long.MaxValue;
        return valid ? (long)(number * factor) : throw new FormatException($"invalid size: '{text}'");
    }
}
