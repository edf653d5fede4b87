using System.Globalization;

namespace Slipway.Api;

/// <summary>Times as Docker writes them: RFC 3339 in UTC with up to nine decimals and no trailing zeros (Go's time.RFC3339Nano).</summary>
public static class Rfc3339
{
    /// <summary>What Docker shows for a time that never was.</summary>
    public const string Zero = "0001-01-01T00:00:00Z";

    public static string Format(DateTimeOffset time)
    {
        DateTime utc = time.UtcDateTime;
        return utc.ToString(utc.Ticks % TimeSpan.TicksPerSecond == 0 ? "yyyy-MM-dd'T'HH:mm:ss'Z'" : "yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);
    }

    public static string Format(DateTimeOffset? time) => time is { } value ? Format(value) : Zero;

    /// <summary>With nine decimals always, as log lines have it.</summary>
    public static string FormatFixed(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'00Z'", CultureInfo.InvariantCulture);

    /// <summary>Nanoseconds since 1970.</summary>
    public static long UnixNanoseconds(DateTimeOffset time) => (time.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) * 100;
}
