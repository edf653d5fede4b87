using System.Text;

namespace Slipway.Build.Syntax;

/// <summary>
/// Quotes and variables of words (Dockerfile reference, "Environment replacement"): <c>$name</c>, <c>${name}</c>, the modifiers <c>- + ?</c> with and without a colon,
/// <c># ## % %%</c> and <c>/ //</c> with patterns.
/// </summary>
public sealed class ShellWord
{
    /// <summary>Words within words; a build argument is given by anybody.</summary>
    private const int MaximumDepth = 64;

    /// <summary>Characters of a word that an error shows.</summary>
    private const int LongestShown = 200;

    private readonly string _text;
    private readonly char _escape;
    private readonly Func<string, string?> _value;
    private readonly int _depth;
    private readonly StringBuilder _result = new();
    private readonly List<string> _words = [];
    private bool _inWord;
    private int _at;

    private ShellWord(string text, char escape, Func<string, string?> value, int depth) => (_text, _escape, _value, _depth) = (text, escape, value, depth);

    /// <summary>The text with its variables replaced and without its quotes.</summary>
    /// <param name="value">Of a variable; null: it is not set.</param>
    /// <exception cref="FormatException">A quote or a brace has no end, a modifier is unknown, or a variable that must be set is not.</exception>
    public static string Expand(string text, char escape, Func<string, string?> value)
    {
        ShellWord word = new(text, escape, value, 0);
        word.ProcessAll();
        return word._result.ToString();
    }

    /// <summary>As <see cref="Expand"/>, and split at white space that is neither quoted nor escaped nor from a quoted variable.</summary>
    public static IReadOnlyList<string> ExpandWords(string text, char escape, Func<string, string?> value)
    {
        ShellWord word = new(text, escape, value, 0) { _splits = true };
        word.ProcessAll();
        word.EndWord();
        return word._words;
    }

    /// <summary>As <see cref="Expand"/> for a here-document: quotes are characters like others.</summary>
    /// <exception cref="FormatException">A brace has no end, a modifier is unknown, or a variable that must be set is not.</exception>
    public static string ExpandDocument(string text, char escape, Func<string, string?> value)
    {
        ShellWord word = new(text, escape, value, 0) { _keepsQuotes = true };
        word.ProcessAll();
        return word._result.ToString();
    }

    private bool _splits;
    private bool _keepsQuotes;

    /// <summary>An error names the word, as BuildKit's do.</summary>
    private void ProcessAll()
    {
        try
        {
            Process();
        }
        catch (FormatException error)
        {
            throw new FormatException($"failed to process {GoQuote.Of(_text.Length > LongestShown ? _text[..LongestShown] + "…" : _text)}: {error.Message}", error);
        }
    }

    private void Process()
    {
        while (_at < _text.Length)
        {
            char c = _text[_at++];
            if (_keepsQuotes && (c is '\'' or '"'))
            {
                Append(c);
            }
            else if (c == '\'')
            {
                Single();
            }
            else if (c == '"')
            {
                Double();
            }
            else if (c == '$')
            {
                AppendUnquoted(Variable());
            }
            else if (c == _escape)
            {
                // In a document only what would mean something else is escaped.
                Append(_at < _text.Length && (!_keepsQuotes || _text[_at] == '$' || _text[_at] == _escape) ? _text[_at++] : c);
            }
            else if (_splits && char.IsWhiteSpace(c))
            {
                EndWord();
            }
            else
            {
                Append(c);
            }
        }
    }

    private void Single()
    {
        int end = _text.IndexOf('\'', _at);
        if (end < 0)
        {
            throw new FormatException("unexpected end of statement while looking for matching single-quote");
        }

        _inWord = true;
        _result.Append(_text, _at, end - _at);
        _at = end + 1;
    }

    private void Double()
    {
        _inWord = true;
        while (_at < _text.Length)
        {
            char c = _text[_at++];
            if (c == '"')
            {
                return;
            }

            if (c == '$')
            {
                _result.Append(Variable());
            }
            else if (c == _escape && _at < _text.Length && (_text[_at] is '"' or '$' || _text[_at] == _escape))
            {
                _result.Append(_text[_at++]);
            }
            else
            {
                _result.Append(c);
            }
        }

        throw new FormatException("unexpected end of statement while looking for matching double-quote");
    }

    /// <summary>After a dollar: what stands for it and its name.</summary>
    private string Variable()
    {
        if (_at < _text.Length && _text[_at] == '{')
        {
            _at++;
            return Braced();
        }

        string name = Name();
        return name.Length == 0 ? "$" : _value(name) ?? "";
    }

    private string Braced()
    {
        string name = Name();
        if (_at == _text.Length)
        {
            throw new FormatException("syntax error: missing '}'");
        }

        if (name.Length == 0)
        {
            throw new FormatException("syntax error: bad substitution");
        }

        string? value = _value(name);
        char c = _text[_at++];
        switch (c)
        {
            case '}':
                return value ?? "";
            case ':':
                char modifier = _at < _text.Length ? _text[_at++] : throw new FormatException("syntax error: missing '}'");
                return modifier is '-' or '+' or '?'
                    ? Default(name, value, modifier, emptyCounts: true)
                    : throw new FormatException($"unsupported modifier (:{modifier}) in substitution");
            case '-' or '+' or '?':
                return Default(name, value, c, emptyCounts: false);
            case '#' or '%':
                bool longest = _at < _text.Length && _text[_at] == c;
                _at += longest ? 1 : 0;
                ShellPattern pattern = new(Raw('}'), _escape);
                return value is null ? "" : c == '#' ? pattern.TrimStart(value, longest) : pattern.TrimEnd(value, longest);
            case '/':
                bool all = _at < _text.Length && _text[_at] == '/';
                _at += all ? 1 : 0;
                ShellPattern wanted = new(Raw('/'), _escape);
                string replacement = Nested(Raw('}'));
                return value is null ? "" : wanted.Replace(value, replacement, all);
            default:
                throw new FormatException($"unsupported modifier ({c}) in substitution");
        }
    }

    /// <param name="emptyCounts">An empty variable is as one that is not set.</param>
    private string Default(string name, string? value, char modifier, bool emptyCounts)
    {
        string word = Nested(Raw('}'));
        bool isSet = emptyCounts ? !string.IsNullOrEmpty(value) : value is not null;
        return modifier switch
        {
            '-' => isSet ? value! : word,
            '+' => isSet ? word : "",
            _ => isSet ? value! : throw new FormatException($"{name}: {(word.Length > 0 ? word : value is null ? "is not allowed to be unset" : "is not allowed to be empty")}"),
        };
    }

    private string Nested(string text)
    {
        if (_depth == MaximumDepth)
        {
            throw new FormatException("variables are nested too deeply");
        }

        ShellWord word = new(text, _escape, _value, _depth + 1);
        word.Process();
        return word._result.ToString();
    }

    /// <summary>What stands before a character that is neither escaped, nor quoted, nor within braces of its own.</summary>
    private string Raw(char end)
    {
        int start = _at;
        int braces = 0;
        char quote = '\0';
        for (; _at < _text.Length; _at++)
        {
            char c = _text[_at];
            if (c == _escape && quote != '\'')
            {
                _at++;
            }
            else if (quote != '\0')
            {
                quote = c == quote ? '\0' : quote;
            }
            else if (c is '"' or '\'')
            {
                quote = c;
            }
            else if (c == end && braces == 0)
            {
                return _text[start.._at++];
            }
            else if (c == '{' && _at > 0 && _text[_at - 1] == '$')
            {
                braces++;
            }
            else if (c == '}' && braces-- == 0)
            {
                break;
            }
        }

        throw new FormatException(end == '}' || _at >= _text.Length ? "syntax error: missing '}'" : "syntax error: missing '/' in ${}");
    }

    /// <summary>Letters, digits and underscores, not beginning with a digit; or one of the shell's special parameters.</summary>
    private string Name()
    {
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetter(_text[_at]) || _text[_at] == '_' || (_at > start && char.IsAsciiDigit(_text[_at]))))
        {
            _at++;
        }

        if (_at == start && _at < _text.Length && (char.IsAsciiDigit(_text[_at]) || _text[_at] is '@' or '*' or '#'))
        {
            _at++;
        }

        return _text[start.._at];
    }

    private void Append(char c)
    {
        _inWord = true;
        _result.Append(c);
    }

    private void AppendUnquoted(string text)
    {
        foreach (char c in text)
        {
            if (_splits && char.IsWhiteSpace(c))
            {
                EndWord();
            }
            else
            {
                Append(c);
            }
        }
    }

    private void EndWord()
    {
        if (_inWord)
        {
            _words.Add(_result.ToString());
            _result.Clear();
            _inWord = false;
        }
    }
}
