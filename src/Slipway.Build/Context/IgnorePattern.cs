namespace Slipway.Build.Context;

/// <summary>
/// A pattern of paths: Go's filepath.Match (<c>* ? [a-z] \</c>, none of which crosses a slash), and <c>**</c> for any number of directories. Takes the
/// product of both lengths at most, whatever the pattern.
/// </summary>
public sealed class IgnorePattern
{
    private readonly List<Token> _tokens = [];

    /// <exception cref="FormatException">A class has no end, or the pattern ends with an escape.</exception>
    public IgnorePattern(string pattern)
    {
        for (int i = 0; i < pattern.Length;)
        {
            char c = pattern[i++];
            switch (c)
            {
                case '*' when i < pattern.Length && pattern[i] == '*':
                    i++;
                    i += i < pattern.Length && pattern[i] == '/' ? 1 : 0;
                    _tokens.AddRange(i == pattern.Length ? [new Token(TokenKind.Rest)] : [new Token(TokenKind.Directories), new Token(TokenKind.WithinDirectories)]);
                    break;
                case '*':
                    _tokens.Add(new Token(TokenKind.Any));
                    break;
                case '?':
                    _tokens.Add(new Token(TokenKind.Class, Ranges: [], Negated: true));
                    break;
                case '[':
                    _tokens.Add(Class(pattern, ref i));
                    break;
                case '\\':
                    _tokens.Add(new Token(TokenKind.Literal, i < pattern.Length ? pattern[i++] : throw Malformed(pattern)));
                    break;
                default:
                    _tokens.Add(new Token(TokenKind.Literal, c));
                    break;
            }
        }
    }

    private enum TokenKind
    {
        Literal,

        /// <summary>One character of some, never a slash.</summary>
        Class,

        /// <summary>Any number of characters, none of them a slash.</summary>
        Any,

        /// <summary>Nothing, or anything that ends with a slash; then <see cref="WithinDirectories"/> follows.</summary>
        Directories,

        /// <summary>What is left of it after a character.</summary>
        WithinDirectories,

        /// <summary>Anything.</summary>
        Rest,
    }

    /// <summary>Whether the path matches, or one of the directories it is in.</summary>
    /// <param name="path">With slashes, and without one at its beginning.</param>
    public bool MatchesOrContains(string path)
    {
        bool[] states = Closed([true, .. new bool[_tokens.Count]]);
        foreach (char c in path)
        {
            if (c == '/' && states[^1])
            {
                return true;
            }

            bool[] next = new bool[states.Length];
            for (int s = 0; s < _tokens.Count; s++)
            {
                if (states[s])
                {
                    Step(s, c, next);
                }
            }

            states = Closed(next);
        }

        return states[^1];
    }

    private void Step(int state, char c, bool[] next)
    {
        Token token = _tokens[state];
        switch (token.Kind)
        {
            case TokenKind.Literal:
                next[state + 1] |= c == token.Character;
                break;
            case TokenKind.Class:
                next[state + 1] |= c != '/' && token.Ranges!.Exists(range => range.First <= c && c <= range.Last) != token.Negated;
                break;
            case TokenKind.Any:
                next[state] |= c != '/';
                break;
            case TokenKind.Directories:
                next[state + 1] = true;
                next[state + 2] |= c == '/';
                break;
            case TokenKind.WithinDirectories:
                next[state] = true;
                next[state + 1] |= c == '/';
                break;
            case TokenKind.Rest:
                next[state] = true;
                break;
        }
    }

    /// <summary>With the states that are reached without a character.</summary>
    private bool[] Closed(bool[] states)
    {
        for (int s = 0; s < _tokens.Count; s++)
        {
            states[s + 1] |= states[s] && _tokens[s].Kind is TokenKind.Any or TokenKind.Rest;
            if (_tokens[s].Kind == TokenKind.Directories)
            {
                states[s + 2] |= states[s];
            }
        }

        return states;
    }

    /// <summary>After the bracket.</summary>
    private static Token Class(string pattern, ref int i)
    {
        bool negated = i < pattern.Length && pattern[i] == '^';
        i += negated ? 1 : 0;
        List<(char, char)> ranges = [];
        while (i < pattern.Length && (pattern[i] != ']' || ranges.Count == 0))
        {
            char first = Next(pattern, ref i);
            char last = first;
            if (i < pattern.Length && pattern[i] == '-')
            {
                i++;
                last = Next(pattern, ref i);
            }

            ranges.Add((first, last));
        }

        return i++ < pattern.Length ? new Token(TokenKind.Class, Ranges: ranges, Negated: negated) : throw Malformed(pattern);
    }

    /// <summary>A character of a class, escaped where it would mean something.</summary>
    private static char Next(string pattern, ref int i)
    {
        bool escaped = i < pattern.Length && pattern[i] == '\\';
        i += escaped ? 1 : 0;
        return i < pattern.Length && (escaped || pattern[i] is not ('-' or ']')) ? pattern[i++] : throw Malformed(pattern);
    }

    private static FormatException Malformed(string pattern) => new($"syntax error in pattern: {pattern}");

    private sealed record Token(TokenKind Kind, char Character = '\0', List<(char First, char Last)>? Ranges = null, bool Negated = false);
}
