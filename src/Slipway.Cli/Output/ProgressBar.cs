namespace Slipway.Cli.Output;

/// <summary>A bar with amounts, as docker draws it.</summary>
internal static class ProgressBar
{
    private const int Widest = 50;

    /// <summary>Room for the brackets and <c>  123.4MB/123.4MB</c>.</summary>
    private const int Numbers = 22;

    /// <param name="total">0 where it is not known.</param>
    /// <param name="columns">Characters there are; without room for a bar there are numbers alone.</param>
    public static string Text(long current, long total, int columns)
    {
        string done = HumanText.Size(current).PadLeft(8);
        if (total <= 0)
        {
            return done;
        }

        string amounts = current <= total ? $"{done}/{HumanText.Size(total)}" : done;
        int width = Math.Min(Widest, columns - Numbers);
        if (width < 10)
        {
            return amounts;
        }

        int filled = (int)Math.Min(width, (double)current / total * width);
        return $"[{new string('=', filled)}>{new string(' ', width - filled)}] {amounts}";
    }
}
