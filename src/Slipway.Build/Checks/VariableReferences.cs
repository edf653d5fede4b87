namespace Slipway.Build.Checks;

/// <summary>Which variables a word takes its content from.</summary>
internal static class VariableReferences
{
    /// <summary>Names of variables that are replaced by nothing where they are not set. One with a default of its own (<c>${x:-y}</c>) may well be unset.</summary>
    public static IEnumerable<string> Needed(string text, char escape)
    {
        bool isSingleQuoted = false;
        bool isDoubleQuoted = false;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (isSingleQuoted || (c == '\'' && !isDoubleQuoted))
            {
                isSingleQuoted = c != '\'' ? isSingleQuoted : !isSingleQuoted;
            }
            else if (c == escape)
            {
                i++;
            }
            else if (c == '"')
            {
                isDoubleQuoted = !isDoubleQuoted;
            }
            else if (c == '$' && i + 1 < text.Length)
            {
                bool isBraced = text[i + 1] == '{';
                int start = i + (isBraced ? 2 : 1);
                int end = start;
                while (end < text.Length && (char.IsAsciiLetter(text[end]) || text[end] == '_' || (end > start && char.IsAsciiDigit(text[end]))))
                {
                    end++;
                }

                if (end > start && !(isBraced && HasDefault(text.AsSpan(end))))
                {
                    yield return text[start..end];
                }

                i = end - 1;
            }
        }
    }

    private static bool HasDefault(ReadOnlySpan<char> modifier)
    {
        if (modifier is [':', .. var rest])
        {
            modifier = rest;
        }

        return modifier is ['-' or '+' or '?', ..];
    }
}
