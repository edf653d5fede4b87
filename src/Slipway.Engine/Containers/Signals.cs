using System.Globalization;

namespace Slipway.Engine.Containers;

/// <summary>Signals by name and number (signal(7); the numbers are equal on x86-64 and arm64).</summary>
internal static class Signals
{
    public const int Kill = 9;
    public const int Terminate = 15;

    private const int Last = 64;
    private const int RealTimeFirst = 34;

    private static readonly Dictionary<string, int> Numbers = new(StringComparer.OrdinalIgnoreCase)
    {
        ["HUP"] = 1, ["INT"] = 2, ["QUIT"] = 3, ["ILL"] = 4, ["TRAP"] = 5, ["ABRT"] = 6, ["IOT"] = 6, ["BUS"] = 7, ["FPE"] = 8,
        ["KILL"] = Kill, ["USR1"] = 10, ["SEGV"] = 11, ["USR2"] = 12, ["PIPE"] = 13, ["ALRM"] = 14, ["TERM"] = Terminate,
        ["STKFLT"] = 16, ["CHLD"] = 17, ["CLD"] = 17, ["CONT"] = 18, ["STOP"] = 19, ["TSTP"] = 20, ["TTIN"] = 21, ["TTOU"] = 22,
        ["URG"] = 23, ["XCPU"] = 24, ["XFSZ"] = 25, ["VTALRM"] = 26, ["PROF"] = 27, ["WINCH"] = 28, ["IO"] = 29, ["POLL"] = 29,
        ["PWR"] = 30, ["SYS"] = 31, ["RTMIN"] = RealTimeFirst, ["RTMAX"] = Last,
    };

    /// <summary>Reads <c>TERM</c>, <c>SIGTERM</c>, <c>15</c>, <c>RTMIN+3</c>.</summary>
    /// <exception cref="EngineException">InvalidParameter: <c>invalid signal: X</c>.</exception>
    public static int Parse(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return number is > 0 and <= Last ? number
                : throw (number == 0 ? Invalid(text) : ContainerErrors.Invalid($"the linux daemon does not support signal {number}"));
        }

        string name = text.StartsWith("SIG", StringComparison.OrdinalIgnoreCase) ? text[3..] : text;
        if (Numbers.TryGetValue(name, out int found))
        {
            return found;
        }

        int sign = name.IndexOfAny(['+', '-']);
        if (sign > 0
            && Numbers.TryGetValue(name[..sign], out int anchor)
            && anchor >= RealTimeFirst
            && int.TryParse(name[sign..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int offset)
            && anchor + offset is >= RealTimeFirst and <= Last)
        {
            return anchor + offset;
        }

        throw Invalid(text);
    }

    private static EngineException Invalid(string text) => ContainerErrors.Invalid($"invalid signal: {text}");
}
