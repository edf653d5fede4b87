using System.Globalization;

namespace Slipway.Build.Images;

/// <summary>Signals that STOPSIGNAL may name (signal(7)).</summary>
internal static class StopSignal
{
    private const int Last = 64;
    private const int RealTime = Last - RealTimeFirst;
    private const int RealTimeFirst = 34;

    private static readonly string[] s_names =
    [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
        "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "POLL", "PWR", "SYS", "RTMIN", "RTMAX",
    ];

    /// <returns>The text.</returns>
    /// <exception cref="FormatException">It is no signal.</exception>
    public static string Require(string text)
    {
        string upper = text.ToUpperInvariant();
        string name = upper.StartsWith("SIG", StringComparison.Ordinal) ? upper[3..] : upper;
        bool valid = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number is > 0 and <= Last
            : s_names.Contains(name) || IsRealTime(name, "RTMIN+") || IsRealTime(name, "RTMAX-");
        return valid ? text : throw new FormatException($"invalid signal: {text}");
    }

    private static bool IsRealTime(string name, string anchor) =>
        name.StartsWith(anchor, StringComparison.Ordinal) && int.TryParse(name.AsSpan(anchor.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int offset) && offset <= RealTime;
}
