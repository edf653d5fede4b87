using System.Text;

namespace Slipway.Storage.Images;

/// <summary>
/// Variables in instructions (Dockerfile reference, "Environment replacement"): <c>$name</c>, <c>${name}</c>, <c>${name:-word}</c>,
/// <c>${name:+word}</c>; not within single quotes, not after a backslash.
/// </summary>
internal static class VariableExpansion
{
    /// <summary>Values come escaped, so that splitting the result into words leaves each of them in one piece.</summary>
    /// <param name="environment"><c>NAME=value</c>; of a name that is not there the value is empty.</param>
    /// <exception cref="StorageException">InvalidParameter: a brace without its end, or an unknown modifier.</exception>
    public static string Expand(string text, IReadOnlyList<string> environment)
    {
        var result = new StringBuilder(text.Length);
        var singleQuoted = false;
        for (var i = 0; i < text.Length;)
        {
            var c = text[i];
            singleQuoted ^= c == '\'';
            if (c == '\\' && !singleQuoted && i + 1 < text.Length)
            {
                // Left for the splitting into words, which takes the next character as it is.
                result.Append(c).Append(text[i + 1]);
                i += 2;
            }
            else if (c == '$' && !singleQuoted)
            {
                i = ExpandOne(text, i + 1, environment, result);
            }
            else
            {
                result.Append(c);
                i++;
            }
        }

        return result.ToString();
    }

    /// <param name="start">After the dollar.</param>
    /// <returns>Where the text goes on.</returns>
    private static int ExpandOne(string text, int start, IReadOnlyList<string> environment, StringBuilder result)
    {
        if (start < text.Length && text[start] == '{')
        {
            var close = text.IndexOf('}', start);
            if (close < 0)
            {
                throw ChangeInstructions.Invalid("syntax error: missing '}'");
            }

            var inside = text[(start + 1)..close];
            var end = NameEnd(inside, 0);
            var value = Find(environment, inside[..end]);
            var modifier = inside[end..];
            Append(result, modifier switch
            {
                "" => value ?? "",
                [':', '-', .. var word] => string.IsNullOrEmpty(value) ? Expand(word, environment) : value,
                [':', '+', .. var word] => string.IsNullOrEmpty(value) ? "" : Expand(word, environment),
                _ => throw ChangeInstructions.Invalid($"unsupported modifier ({modifier[..Math.Min(2, modifier.Length)]}) in substitution"),
            });
            return close + 1;
        }

        var length = NameEnd(text, start);
        if (length == start)
        {
            result.Append('$');
            return start;
        }

        Append(result, Find(environment, text[start..length]) ?? "");
        return length;
    }

    private static int NameEnd(string text, int start)
    {
        var end = start;
        while (end < text.Length && (char.IsAsciiLetter(text[end]) || text[end] == '_' || (end > start && char.IsAsciiDigit(text[end]))))
        {
            end++;
        }

        return end;
    }

    private static string? Find(IReadOnlyList<string> environment, string name) =>
        environment.LastOrDefault(entry => entry.Length > name.Length && entry[name.Length] == '=' && entry.StartsWith(name, StringComparison.Ordinal))?[(name.Length + 1)..];

    private static void Append(StringBuilder result, string value)
    {
        foreach (var c in value)
        {
            if (c is '\\' or '"' or '\'' or '$' || char.IsWhiteSpace(c))
            {
                result.Append('\\');
            }

            result.Append(c);
        }
    }
}
