using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Slipway.Oci.Cdi;

/// <summary>
/// The part of YAML in which generators of device specifications write: mappings and lists in blocks, lists of scalars and empty ones in brackets, plain and quoted scalars, comments.
/// What makes YAML dangerous to read (anchors and aliases, by which a line becomes gigabytes or a cycle, tags, several documents) and what nobody needs here
/// (folded text, complex keys) is refused with its line. Every scalar is text.
/// </summary>
public sealed class PlainYaml
{
    public const int MaxDepth = 16;

    private readonly List<(int Indent, string Text, int Number)> _lines = [];
    private int _next;

    private PlainYaml(string text)
    {
        int number = 0;
        foreach (string raw in text.Split('\n'))
        {
            number++;
            string line = WithoutComment(raw.TrimEnd('\r')).TrimEnd();
            if (line.Length == 0 || (line == "---" && _lines.Count == 0))
            {
                continue;
            }

            int indent = line.AsSpan().IndexOfAnyExcept(' ');
            if (line[indent] == '\t')
            {
                throw Error(number, "a tab does not indent");
            }

            _lines.Add((indent, line[indent..], number));
        }
    }

    /// <exception cref="FormatException">It is not what is understood here; the message names the line.</exception>
    public static JsonNode Parse(string text)
    {
        PlainYaml yaml = new(text);
        if (yaml._lines.Count == 0)
        {
            throw new FormatException("it is empty");
        }

        JsonNode node = yaml.Block(yaml._lines[0].Indent, 1) ?? throw new FormatException("it is empty");
        return yaml._next == yaml._lines.Count ? node : throw Error(yaml._lines[yaml._next].Number, "the indentation fits nothing above");
    }

    private JsonNode? Block(int indent, int depth)
    {
        (_, string text, int number) = _lines[_next];
        return depth > MaxDepth ? throw Error(number, "nested too deeply")
            : IsItem(text) ? List(indent, depth)
            : SplitKey(text, number) is not null ? Mapping(indent, depth)
            : Scalar(_lines[_next++].Text, number);
    }

    private JsonArray List(int indent, int depth)
    {
        JsonArray list = [];
        while (_next < _lines.Count && _lines[_next].Indent == indent && IsItem(_lines[_next].Text))
        {
            (_, string text, int number) = _lines[_next];
            string rest = text[1..];
            int inner = indent + 1 + rest.Length - rest.TrimStart().Length;
            rest = rest.TrimStart();
            if (rest.Length == 0)
            {
                _next++;
                list.Add(Nested(indent, depth, orList: false));
                continue;
            }

            // What follows the dash is a block of its own, which begins where it stands.
            _lines[_next] = (inner, rest, number);
            list.Add(Block(inner, depth + 1));
        }

        return list;
    }

    private JsonObject Mapping(int indent, int depth)
    {
        JsonObject mapping = [];
        while (_next < _lines.Count && _lines[_next].Indent == indent && !IsItem(_lines[_next].Text))
        {
            (_, string text, int number) = _lines[_next++];
            (string key, string rest) = SplitKey(text, number) ?? throw Error(number, "a key and a colon are expected");
            if (mapping.ContainsKey(key))
            {
                throw Error(number, $"\"{key}\" is given twice");
            }

            mapping.Add(key, rest.Length > 0 ? Scalar(rest, number) : Nested(indent, depth, orList: true));
        }

        return mapping;
    }

    /// <param name="orList">A list may stand as far left as the key it belongs to.</param>
    private JsonNode? Nested(int indent, int depth, bool orList)
    {
        if (_next == _lines.Count)
        {
            return null;
        }

        (int next, string text, _) = _lines[_next];
        return next > indent || (orList && next == indent && IsItem(text)) ? Block(next, depth + 1) : null;
    }

    private static JsonNode? Scalar(string text, int number)
    {
        switch (text[0])
        {
            case '[' when text[^1] == ']':
                return new JsonArray([.. Elements(text[1..^1], number).Select(element => Scalar(element, number))]);
            case '{' when text.AsSpan(1).Trim() is "}":
                return new JsonObject();
            case '"' or '\'':
                return Quoted(text, number);
            case '[' or '{' or '&' or '*' or '!' or '|' or '>' or '%' or '@' or '`':
                throw Error(number, $"'{text[0]}' is not understood here");
            default:
                return text is "~" or "null" ? null : JsonValue.Create(text);
        }
    }

    /// <summary>Of a list in brackets: none of them has brackets of its own.</summary>
    private static IEnumerable<string> Elements(string text, int number)
    {
        int start = 0;
        for (int at = 0; at <= text.Length; at++)
        {
            if (at < text.Length && text[at] is '"' or '\'')
            {
                int end = text.IndexOf(text[at], at + 1);
                at = end < 0 ? throw Error(number, "a quote is not closed") : end;
            }
            else if (at == text.Length || text[at] == ',')
            {
                string element = text[start..at].Trim();
                start = at + 1;
                if (element.Length > 0)
                {
                    yield return element[0] is '[' or '{' ? throw Error(number, "lists in brackets are not nested here") : element;
                }
            }
        }
    }

    private static JsonValue Quoted(string text, int number)
    {
        if (text.Length < 2 || text[^1] != text[0])
        {
            throw Error(number, "a quote is not closed");
        }

        if (text[0] == '\'')
        {
            return JsonValue.Create(text[1..^1].Replace("''", "'", StringComparison.Ordinal));
        }

        try
        {
            // Its escapes are JSON's, but for some that nobody writes here.
            using JsonDocument value = JsonDocument.Parse(text);
            return JsonValue.Create(value.RootElement.GetString()!);
        }
        catch (JsonException error)
        {
            throw Error(number, error.Message);
        }
    }

    private static (string Key, string Value)? SplitKey(string text, int number)
    {
        int colon;
        string key;
        if (text[0] is '"' or '\'')
        {
            int end = text.IndexOf(text[0], 1);
            if (end < 0 || end + 1 >= text.Length || text[end + 1] != ':')
            {
                return null;
            }

            (colon, key) = (end + 1, Quoted(text[..(end + 1)], number).GetValue<string>());
        }
        else
        {
            colon = text.EndsWith(':') && !text.Contains(": ", StringComparison.Ordinal) ? text.Length - 1 : text.IndexOf(": ", StringComparison.Ordinal);
            key = colon < 0 ? "" : text[..colon];
        }

        return colon < 0 ? null
            : key.Length == 0 || key[0] is '?' or '&' or '*' or '!' or '<' or '[' or '{' ? throw Error(number, "such a key is not understood here")
            : (key, text[(colon + 1)..].Trim());
    }

    private static bool IsItem(string text) => text == "-" || text.StartsWith("- ", StringComparison.Ordinal);

    /// <summary>A comment begins the line, or follows a blank outside of quotes.</summary>
    private static string WithoutComment(string line)
    {
        char quote = '\0';
        for (int i = 0; i < line.Length; i++)
        {
            if (quote != '\0')
            {
                i += quote == '"' && line[i] == '\\' ? 1 : 0;
                quote = i < line.Length && line[i] == quote ? '\0' : quote;
            }
            else if (line[i] is '"' or '\'' && (i == 0 || line[i - 1] is ' ' or '[' or ','))
            {
                quote = line[i];
            }
            else if (line[i] == '#' && (i == 0 || line[i - 1] == ' '))
            {
                return line[..i];
            }
        }

        return line;
    }

    private static FormatException Error(int line, string problem) => new(string.Create(CultureInfo.InvariantCulture, $"line {line}: {problem}"));
}
