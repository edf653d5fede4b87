using System.Globalization;

namespace Slipway.Registry.Server;

/// <summary>Times as people write them: <c>90s</c>, <c>30m</c>, <c>24h</c>, <c>7d</c>; <c>0</c>.</summary>
internal static class Duration
{
    /// <exception cref="RegistryConfigurationException">No such text.</exception>
    public static TimeSpan Parse(string text, string name)
    {
        if (text == "0")
        {
            return TimeSpan.Zero;
        }

        if (text.Length > 1 && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
        {
            double? seconds = text[^1] switch
            {
                's' => number,
                'm' => number * 60,
                'h' => number * 3600,
                'd' => number * 86400,
                _ => null,
            };
            if (seconds is { } known && known < TimeSpan.MaxValue.TotalSeconds)
            {
                return TimeSpan.FromSeconds(known);
            }
        }

        throw new RegistryConfigurationException($"{name}: \"{text}\" is no duration; write 90s, 30m, 24h or 7d");
    }
}
