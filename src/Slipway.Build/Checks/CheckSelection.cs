namespace Slipway.Build.Checks;

/// <summary>
/// Which rules are looked at, and whether what they find ends a build: <c># check=skip=A,B;error=true;experimental=C</c>, or the build argument of the same form
/// (BUILDKIT_DOCKERFILE_CHECK), which goes before.
/// </summary>
/// <param name="Skipped">Names of rules, or <c>all</c>.</param>
/// <param name="Experimental">As <paramref name="Skipped"/>.</param>
public sealed record CheckSelection(IReadOnlyList<string> Skipped, IReadOnlyList<string> Experimental, bool IsError)
{
    /// <summary>The build argument that goes before the directive.</summary>
    public const string Argument = "BUILDKIT_DOCKERFILE_CHECK";

    private const string Every = "all";

    public static CheckSelection Default { get; } = new([], [], IsError: false);

    /// <exception cref="FormatException">An option is unknown, or has no value.</exception>
    public static CheckSelection Parse(string? text)
    {
        CheckSelection selection = Default;
        foreach (string part in (text ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.Split('=', 2, StringSplitOptions.TrimEntries) is not [var name, { Length: > 0 } value])
            {
                throw new FormatException($"invalid check option \"{part}\": must be of the form name=value");
            }

            selection = name switch
            {
                "skip" => selection with { Skipped = Names(value) },
                "experimental" => selection with { Experimental = Names(value) },
                "error" => selection with { IsError = Truth(value) },
                _ => throw new FormatException($"invalid check option \"{name}\""),
            };
        }

        return selection;
    }

    public bool Includes(CheckRule rule) => !Names(Skipped, rule) && (!rule.IsExperimental || Names(Experimental, rule));

    private static bool Names(IReadOnlyList<string> names, CheckRule rule) => names.Contains(Every) || names.Contains(rule.Name, StringComparer.OrdinalIgnoreCase);

    private static string[] Names(string value) => value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static bool Truth(string value) => value.ToLowerInvariant() switch
    {
        "1" or "t" or "true" => true,
        "0" or "f" or "false" => false,
        _ => throw new FormatException($"invalid value \"{value}\" of the check option error"),
    };
}
