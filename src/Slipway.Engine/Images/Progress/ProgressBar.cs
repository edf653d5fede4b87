using System.Globalization;
using System.Text;

namespace Slipway.Engine.Images.Progress;

/// <summary>The text of a progress line for clients that draw none of their own, as Docker's engine writes it.</summary>
internal static class ProgressBar
{
    private const int Width = 50;

    private static readonly string[] s_units = ["B", "kB", "MB", "GB", "TB", "PB"];

    /// <param name="total">0 or less where it is not known.</param>
    public static string Text(long current, long total)
    {
        string done = Size(current).PadLeft(8);
        if (total <= 0)
        {
            return done;
        }

        int filled = (int)Math.Min(Width, (double)current / total * Width);
        StringBuilder text = new("[", Width + 32);
        text.Append('=', filled).Append('>').Append(' ', Width - filled).Append("] ").Append(done);

        // A layer that turned out larger than announced has no meaningful total.
        return (current <= total ? text.Append('/').Append(Size(total)) : text).ToString();
    }

    /// <summary>Four significant digits and a unit of powers of 1000: <c>1.154MB</c>.</summary>
    internal static string Size(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1000 && unit < s_units.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        return value.ToString("G4", CultureInfo.InvariantCulture) + s_units[unit];
    }
}
