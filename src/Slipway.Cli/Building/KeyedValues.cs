namespace Slipway.Cli.Building;

/// <summary>An option's value of the form <c>key=value,key=value</c>.</summary>
internal static class KeyedValues
{
    /// <param name="bare">The key of a value without one, where it stands alone; null: there is none.</param>
    /// <exception cref="CommandException">A part has no value.</exception>
    public static Dictionary<string, string> Parse(string text, string option, string? bare)
    {
        if (bare is not null && !text.Contains('=', StringComparison.Ordinal))
        {
            return new Dictionary<string, string> { [bare] = text };
        }

        Dictionary<string, string> values = new(StringComparer.Ordinal);
        foreach (string part in text.Split(','))
        {
            values[part.Split('=', 2)[0].Trim()] = part.Split('=', 2) is [_, var value] ? value : throw new CommandException($"invalid value \"{part}\" of --{option}: it must be key=value", 1);
        }

        return values;
    }
}
