using System.Globalization;

namespace Slipway.Cli.Output;

/// <summary>Sizes, times and ids as docker shows them to people.</summary>
internal static class HumanText
{
    private static readonly string[] _decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB"];

    private static readonly string[] _binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>Powers of 1000 and three significant digits: <c>7.8MB</c>.</summary>
    public static string Size(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1000 && unit < _decimalUnits.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        int decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
        string text = Math.Round(value, decimals).ToString("0." + new string('#', decimals), CultureInfo.InvariantCulture);
        return text + _decimalUnits[unit];
    }

    /// <summary>Powers of 1024 and four significant digits: <c>1.535MiB</c>.</summary>
    public static string BinarySize(ulong bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1024 && unit < _binaryUnits.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        int decimals = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
        return Math.Round(value, decimals).ToString("0." + new string('#', decimals), CultureInfo.InvariantCulture) + _binaryUnits[unit];
    }

    /// <summary>A span in its largest fitting unit: <c>5 minutes</c>, <c>About an hour</c>.</summary>
    public static string Duration(TimeSpan span)
    {
        int seconds = (int)span.TotalSeconds;
        int hours = (int)Math.Round(span.TotalHours);
        return span.TotalSeconds switch
        {
            < 1 => "Less than a second",
            < 2 => "1 second",
            < 60 => Count(seconds, "seconds"),
            < 120 => "About a minute",
            < 3600 => Count((int)span.TotalMinutes, "minutes"),
            _ when hours == 1 => "About an hour",
            _ when hours < 48 => Count(hours, "hours"),
            _ when hours < 24 * 7 * 2 => Count(hours / 24, "days"),
            _ when hours < 24 * 30 * 2 => Count(hours / 24 / 7, "weeks"),
            _ when hours < 24 * 365 * 2 => Count(hours / 24 / 30, "months"),
            _ => Count((int)(span.TotalHours / 24 / 365), "years"),
        };

        static string Count(int count, string unit) => string.Create(CultureInfo.InvariantCulture, $"{count} {unit}");
    }

    /// <summary>How long ago a time in seconds since 1970 was.</summary>
    public static string Ago(long unixSeconds, TimeProvider clock) =>
        unixSeconds <= 0 ? "N/A" : Duration(clock.GetUtcNow() - DateTimeOffset.FromUnixTimeSeconds(unixSeconds)) + " ago";

    /// <summary>The first twelve digits of an id, without its algorithm.</summary>
    public static string ShortId(string id)
    {
        string hex = id.StartsWith("sha256:", StringComparison.Ordinal) ? id[7..] : id;
        return hex.Length > 12 ? hex[..12] : hex;
    }

    /// <summary>At most <paramref name="length"/> characters, the last an ellipsis where something is cut.</summary>
    public static string Ellipsis(string text, int length) => text.Length <= length ? text : text[..(length - 1)] + "…";
}
