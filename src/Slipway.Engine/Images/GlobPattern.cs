namespace Slipway.Engine.Images;

/// <summary>Shell patterns in which <c>*</c> and <c>?</c> do not match a slash, and <c>[a-z]</c>, <c>[^a]</c> and <c>\</c> mean what they do in Go's path.Match.</summary>
internal static class GlobPattern
{
    /// <summary>A malformed pattern matches nothing. Linear but for the backtracking of the last star.</summary>
    public static bool IsMatch(ReadOnlySpan<char> pattern, ReadOnlySpan<char> text)
    {
        int p = 0;
        int t = 0;
        int star = -1;
        int starText = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                starText = t;
            }
            else if (MatchOne(pattern[p..], text[t], out int length))
            {
                p += length;
                t++;
            }
            else if (star >= 0 && text[starText] != '/')
            {
                p = star + 1;
                t = ++starText;
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].TrimStart('*').IsEmpty;
    }

    /// <param name="length">How much of the pattern stands for the character.</param>
    private static bool MatchOne(ReadOnlySpan<char> pattern, char c, out int length)
    {
        length = 1;
        switch (pattern)
        {
            case []:
                return false;
            case ['?', ..]:
                return c != '/';
            case ['\\', var escaped, ..]:
                length = 2;
                return c == escaped;
            case ['[', ..]:
                return MatchClass(pattern, c, out length);
            default:
                return pattern[0] == c;
        }
    }

    private static bool MatchClass(ReadOnlySpan<char> pattern, char c, out int length)
    {
        int i = 1;
        bool negated = i < pattern.Length && pattern[i] == '^';
        bool matched = false;
        i += negated ? 1 : 0;
        for (int first = i; i < pattern.Length && (pattern[i] != ']' || i == first); i++)
        {
            char low = Next(pattern, ref i);
            char high = low;
            if (i + 2 < pattern.Length && pattern[i + 1] == '-' && pattern[i + 2] != ']')
            {
                i += 2;
                high = Next(pattern, ref i);
            }

            matched |= c >= low && c <= high;
        }

        length = i + 1;
        return i < pattern.Length && matched != negated;
    }

    private static char Next(ReadOnlySpan<char> pattern, ref int i) => pattern[i] == '\\' && i + 1 < pattern.Length ? pattern[++i] : pattern[i];
}
