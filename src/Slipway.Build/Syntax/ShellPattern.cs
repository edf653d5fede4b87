namespace Slipway.Build.Syntax;

/// <summary>A pattern of a variable's modifier: <c>*</c> stands for anything, <c>?</c> for one character, and an escape character takes their meaning.</summary>
internal sealed class ShellPattern
{
    private const char Any = '\uFDD0';   // noncharacters: no text has them
    private const char One = '\uFDD1';

    /// <summary>Characters of what a replacement may make: each of a long value may be replaced by a long text.</summary>
    private const int MaximumReplaced = 1 << 15;

    private readonly List<char> _pattern = [];

    public ShellPattern(string text, char escape)
    {
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            _pattern.Add(c == escape && i + 1 < text.Length ? text[++i] : c switch
            {
                '*' => Any,
                '?' => One,
                _ => c,
            });
        }
    }

    /// <summary>Without the shortest or longest beginning that matches.</summary>
    public string TrimStart(string value, bool longest) => Lengths(value, 0) is { Count: > 0 } lengths ? value[(longest ? lengths[^1] : lengths[0])..] : value;

    /// <summary>Without the shortest or longest end that matches.</summary>
    public string TrimEnd(string value, bool longest)
    {
        IEnumerable<int> starts = Enumerable.Range(0, value.Length + 1);
        foreach (int start in longest ? starts : starts.Reverse())
        {
            if (Lengths(value, start).Contains(value.Length - start))
            {
                return value[..start];
            }
        }

        return value;
    }

    /// <summary>With the first or all of the longest parts that match replaced.</summary>
    /// <exception cref="FormatException">The result is longer than any variable may be.</exception>
    public string Replace(string value, string replacement, bool all)
    {
        System.Text.StringBuilder result = new();
        for (int i = 0; i < value.Length;)
        {
            int length = Lengths(value, i) is { Count: > 0 } lengths ? lengths[^1] : 0;
            if (length == 0)
            {
                result.Append(value[i++]);
                continue;
            }

            result.Append(replacement);
            if (result.Length > MaximumReplaced)
            {
                throw new FormatException($"the replacement in a variable makes more than {MaximumReplaced} characters");
            }

            i += length;
            if (!all)
            {
                return result.Append(value, i, value.Length - i).ToString();
            }
        }

        return result.ToString();
    }

    /// <summary>How long the parts from <paramref name="start"/> on are that match, shortest first. Takes the product of both lengths at most.</summary>
    private List<int> Lengths(string value, int start)
    {
        bool[] states = Closed([true, .. new bool[_pattern.Count]]);
        List<int> lengths = [];
        for (int i = start; ; i++)
        {
            if (states[^1])
            {
                lengths.Add(i - start);
            }

            if (i == value.Length || !states.Contains(true))
            {
                return lengths;
            }

            bool[] next = new bool[states.Length];
            for (int s = 0; s < _pattern.Count; s++)
            {
                if (states[s])
                {
                    next[s] |= _pattern[s] == Any;
                    next[s + 1] |= _pattern[s] == One || (_pattern[s] != Any && _pattern[s] == value[i]);
                }
            }

            states = Closed(next);
        }
    }

    private bool[] Closed(bool[] states)
    {
        for (int s = 0; s < _pattern.Count; s++)
        {
            states[s + 1] |= states[s] && _pattern[s] == Any;
        }

        return states;
    }
}
