using System.Buffers;
using System.Globalization;
using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary><c>HEALTHCHECK [--interval=… --timeout=… --start-period=… --start-interval=… --retries=N] CMD …</c>, or <c>HEALTHCHECK NONE</c>.</summary>
internal static class HealthcheckInstruction
{
    private const long Millisecond = 1_000_000;

    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    public static Healthcheck Parse(string text)
    {
        var check = new Healthcheck();
        var rest = text;
        while (rest.StartsWith("--", StringComparison.Ordinal))
        {
            var space = rest.AsSpan().IndexOfAny(' ', '\t');
            var flag = space < 0 ? rest : rest[..space];
            rest = space < 0 ? "" : rest[space..].TrimStart();
            check = flag.Split('=', 2) switch
            {
                ["--interval", var value] => check with { Interval = Duration(flag, value) },
                ["--timeout", var value] => check with { Timeout = Duration(flag, value) },
                ["--start-period", var value] => check with { StartPeriod = Duration(flag, value) },
                ["--start-interval", var value] => check with { StartInterval = Duration(flag, value) },
                ["--retries", var value] => check with { Retries = Retries(value) },
                _ => throw ChangeInstructions.Invalid($"unknown flag: {flag}"),
            };
        }

        var end = rest.AsSpan().IndexOfAny(' ', '\t');
        var kind = (end < 0 ? rest : rest[..end]).ToUpperInvariant();
        var command = end < 0 ? "" : rest[end..].Trim();
        return kind switch
        {
            "NONE" => command.Length == 0 ? check with { Test = ["NONE"] } : throw ChangeInstructions.Invalid("HEALTHCHECK NONE takes no arguments"),
            "CMD" => command.Length == 0 ? throw ChangeInstructions.Invalid("missing command after HEALTHCHECK CMD") : check with { Test = Test(command) },
            _ => throw ChangeInstructions.Invalid($"unknown type \"{kind}\" in HEALTHCHECK (try CMD)"),
        };
    }

    private static IReadOnlyList<string> Test(string command) =>
        ChangeInstructions.Command(command) is ["/bin/sh", "-c", var line] && line == command ? ["CMD-SHELL", command] : ["CMD", .. ChangeInstructions.Command(command)];

    /// <summary>Go's notation (<c>1m30s</c>, <c>1.5h</c>, <c>500ms</c>), in nanoseconds; at least one millisecond, as Docker demands.</summary>
    private static long Duration(string flag, string text)
    {
        var rest = text.AsSpan();
        double total = 0;
        while (!rest.IsEmpty)
        {
            var digits = rest.IndexOfAnyExcept(NumberCharacters);
            var number = digits <= 0 ? "" : rest[..digits];
            rest = digits < 0 ? "" : rest[digits..];
            var next = rest.IndexOfAny(NumberCharacters);
            var unit = next < 0 ? rest : rest[..next];
            double nanoseconds = unit switch
            {
                "ns" => 1,
                "us" or "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => double.NaN,
            };
            if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) || double.IsNaN(nanoseconds))
            {
                throw ChangeInstructions.Invalid($"invalid duration in {flag}");
            }

            total += value * nanoseconds;
            rest = next < 0 ? "" : rest[next..];
        }

        return total == 0 ? 0
            : total is < Millisecond or > long.MaxValue ? throw ChangeInstructions.Invalid($"the duration of {flag} cannot be less than 1ms")
            : (long)total;
    }

    private static int Retries(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var retries) ? retries : throw ChangeInstructions.Invalid($"--retries cannot be {text}");
}
