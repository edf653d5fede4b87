using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Slipway.Cli.Output;

/// <summary>
/// The part of Go's text/template that <c>--format</c> is used with: fields, pipelines, if/else, range, and docker's functions
/// (json, join, split, upper, lower, title, truncate, len, index, eq, ne, not, print, println). Values are JSON.
/// </summary>
internal sealed class GoTemplate
{
    private readonly List<Node> _nodes;

    private GoTemplate(List<Node> nodes) => _nodes = nodes;

    /// <exception cref="CommandException">The template is malformed.</exception>
    public static GoTemplate Parse(string text)
    {
        // Docker's flag lets people write tabs and newlines as escapes.
        string template = text.Replace("\\t", "\t", StringComparison.Ordinal).Replace("\\n", "\n", StringComparison.Ordinal);
        int position = 0;
        List<Node> nodes = ParseBlock(template, ref position, out string? end);
        return end is null ? new GoTemplate(nodes) : throw Malformed($"unexpected {{{{{end}}}}}");
    }

    public string Execute(JsonNode? value)
    {
        StringBuilder output = new();
        Execute(_nodes, value, value, output);
        return output.ToString();
    }

    private static List<Node> ParseBlock(string text, ref int position, out string? end)
    {
        List<Node> nodes = [];
        end = null;
        while (position < text.Length)
        {
            int open = text.IndexOf("{{", position, StringComparison.Ordinal);
            if (open < 0)
            {
                nodes.Add(new Literal(text[position..]));
                position = text.Length;
                break;
            }

            string before = text[position..open];
            int close = text.IndexOf("}}", open, StringComparison.Ordinal);
            if (close < 0)
            {
                throw Malformed("unclosed action");
            }

            string action = text[(open + 2)..close];
            position = close + 2;
            if (action.StartsWith("- ", StringComparison.Ordinal))
            {
                before = before.TrimEnd();
                action = action[2..];
            }

            if (action.EndsWith(" -", StringComparison.Ordinal))
            {
                action = action[..^2];
                while (position < text.Length && char.IsWhiteSpace(text[position]))
                {
                    position++;
                }
            }

            nodes.Add(new Literal(before));
            action = action.Trim();
            if (action is "end" or "else")
            {
                end = action;
                return nodes;
            }

            if (Keyword(action, "if") is { } condition)
            {
                List<Node> then = ParseBlock(text, ref position, out string? middle);
                List<Node> otherwise = middle == "else" ? ParseBlock(text, ref position, out middle) : [];
                nodes.Add(middle == "end" ? new If(ParsePipeline(condition), then, otherwise) : throw Malformed("unexpected EOF"));
            }
            else if (Keyword(action, "range") is { } source)
            {
                string[] variables = [];
                int assignment = source.IndexOf(":=", StringComparison.Ordinal);
                if (assignment > 0)
                {
                    variables = [.. source[..assignment].Split(',').Select(v => v.Trim())];
                    source = source[(assignment + 2)..];
                }

                List<Node> body = ParseBlock(text, ref position, out string? middle);
                nodes.Add(middle == "end" ? new Range(ParsePipeline(source), variables, body) : throw Malformed("unexpected EOF"));
            }
            else
            {
                nodes.Add(new Action(ParsePipeline(action)));
            }
        }

        return nodes;
    }

    private static string? Keyword(string action, string word) =>
        action.StartsWith(word + " ", StringComparison.Ordinal) ? action[(word.Length + 1)..] : null;

    private static List<List<string>> ParsePipeline(string text)
    {
        List<List<string>> pipeline = [[]];
        int position = 0;
        while (position < text.Length)
        {
            char c = text[position];
            int start = position;
            if (char.IsWhiteSpace(c))
            {
                position++;
            }
            else if (c == '|')
            {
                pipeline.Add([]);
                position++;
            }
            else if (c == '(')
            {
                int depth = 0;
                do
                {
                    depth += text[position] == '(' ? 1 : text[position] == ')' ? -1 : 0;
                    position++;
                }
                while (depth > 0 && position < text.Length);

                // (pipeline).Field
                while (position < text.Length && !char.IsWhiteSpace(text[position]) && text[position] != '|')
                {
                    position++;
                }

                pipeline[^1].Add(text[start..position]);
            }
            else if (c is '"' or '`')
            {
                position = text.IndexOf(c, position + 1) + 1;
                if (position == 0)
                {
                    throw Malformed("unterminated quoted string");
                }

                pipeline[^1].Add(text[start..position]);
            }
            else
            {
                while (position < text.Length && !char.IsWhiteSpace(text[position]) && text[position] is not ('|' or '('))
                {
                    position++;
                }

                pipeline[^1].Add(text[start..position]);
            }
        }

        return pipeline.TrueForAll(stage => stage.Count > 0) ? pipeline : throw Malformed("missing value for command");
    }

    private static void Execute(List<Node> nodes, JsonNode? dot, JsonNode? root, StringBuilder output, Dictionary<string, JsonNode?>? variables = null)
    {
        foreach (Node node in nodes)
        {
            switch (node)
            {
                case Literal literal:
                    output.Append(literal.Text);
                    break;
                case Action action:
                    output.Append(Print(Evaluate(action.Pipeline, dot, root, variables)));
                    break;
                case If choice:
                    Execute(IsTrue(Evaluate(choice.Condition, dot, root, variables)) ? choice.Then : choice.Otherwise, dot, root, output, variables);
                    break;
                case Range range:
                    foreach ((JsonNode? key, JsonNode? item) in Items(Evaluate(range.Source, dot, root, variables)))
                    {
                        Dictionary<string, JsonNode?> inner = variables is null ? [] : new(variables);
                        if (range.Variables.Length > 0)
                        {
                            inner[range.Variables[^1]] = item;
                            if (range.Variables.Length > 1)
                            {
                                inner[range.Variables[0]] = key;
                            }
                        }

                        Execute(range.Body, item, root, output, inner);
                    }

                    break;
            }
        }
    }

    private static IEnumerable<(JsonNode? Key, JsonNode? Item)> Items(JsonNode? value) => value switch
    {
        JsonArray array => array.Select((item, index) => ((JsonNode?)JsonValue.Create(index), item)),
        JsonObject map => map.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => ((JsonNode?)JsonValue.Create(p.Key), p.Value)),
        _ => [],
    };

    private static JsonNode? Evaluate(List<List<string>> pipeline, JsonNode? dot, JsonNode? root, Dictionary<string, JsonNode?>? variables)
    {
        JsonNode? value = null;
        for (int i = 0; i < pipeline.Count; i++)
        {
            List<JsonNode?> arguments = [.. pipeline[i].Skip(1).Select(word => Operand(word, dot, root, variables))];
            if (i > 0)
            {
                arguments.Add(value);
            }

            string first = pipeline[i][0];
            value = first[0] is '.' or '"' or '`' or '(' or '$' || char.IsAsciiDigit(first[0])
                ? Operand(first, dot, root, variables)
                : Call(first, arguments);
        }

        return value;
    }

    private static JsonNode? Operand(string word, JsonNode? dot, JsonNode? root, Dictionary<string, JsonNode?>? variables)
    {
        if (word[0] is '"' or '`')
        {
            return JsonValue.Create(word[1..^1]);
        }

        if (word[0] == '(')
        {
            int close = word.LastIndexOf(')');
            return close > 0 ? Fields(Evaluate(ParsePipeline(word[1..close]), dot, root, variables), word[(close + 1)..]) : throw Malformed("unclosed left paren");
        }

        if (long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number))
        {
            return JsonValue.Create(number);
        }

        JsonNode? value = dot;
        string path = word;
        if (word[0] == '$')
        {
            int end = word.IndexOf('.', StringComparison.Ordinal);
            string name = end < 0 ? word : word[..end];
            value = name == "$" ? root : variables is not null && variables.TryGetValue(name, out JsonNode? variable) ? variable : throw Malformed($"undefined variable \"{name}\"");
            path = end < 0 ? "." : word[end..];
        }

        return Fields(value, path);
    }

    private static JsonNode? Fields(JsonNode? value, string path)
    {
        foreach (string field in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            value = value switch
            {
                JsonObject map when map.TryGetPropertyValue(field, out JsonNode? found) => found,
                JsonObject => null,
                null => null,
                _ => throw Malformed($"can't evaluate field {field}"),
            };
        }

        return value;
    }

    private static JsonNode? Call(string function, List<JsonNode?> arguments)
    {
        string First() => arguments.Count > 0 ? Print(arguments[0]) : throw Malformed($"wrong number of args for {function}");
        string Last() => arguments.Count > 0 ? Print(arguments[^1]) : throw Malformed($"wrong number of args for {function}");
        return function switch
        {
            "json" => JsonValue.Create(arguments.Count > 0 && arguments[0] is { } node ? node.ToJsonString(JsonOutput.Compact) : "null"),
            "upper" => JsonValue.Create(First().ToUpperInvariant()),
            "lower" => JsonValue.Create(First().ToLowerInvariant()),
            "title" => JsonValue.Create(First() is { Length: > 0 } s ? char.ToUpperInvariant(s[0]) + s[1..] : ""),
            "join" => JsonValue.Create(string.Join(Last(), Items(arguments[0]).Select(i => Print(i.Item)))),
            "split" => new JsonArray([.. First().Split(Last()).Select(part => (JsonNode?)JsonValue.Create(part))]),
            "truncate" => JsonValue.Create(First() is var text && int.TryParse(Last(), out int length) && text.Length > length ? text[..length] : text),
            "len" => JsonValue.Create(arguments[0] switch { JsonArray a => a.Count, JsonObject o => o.Count, var other => Print(other).Length }),
            "index" => Index(arguments),
            "eq" => JsonValue.Create(arguments.Skip(1).Any(a => Print(a) == First())),
            "ne" => JsonValue.Create(Print(arguments[1]) != First()),
            "not" => JsonValue.Create(!IsTrue(arguments[0])),
            "and" => arguments.Find(a => !IsTrue(a)) ?? arguments[^1],
            "or" => arguments.Find(IsTrue) ?? arguments[^1],
            "print" => JsonValue.Create(string.Concat(arguments.Select(Print))),
            "println" => JsonValue.Create(string.Join(' ', arguments.Select(Print)) + "\n"),
            _ => throw Malformed($"function \"{function}\" not defined"),
        };
    }

    private static JsonNode? Index(List<JsonNode?> arguments)
    {
        JsonNode? value = arguments[0];
        foreach (JsonNode? key in arguments.Skip(1))
        {
            value = value switch
            {
                JsonArray array when int.TryParse(Print(key), out int position) && position >= 0 && position < array.Count => array[position],
                JsonArray => throw Malformed($"error calling index: index out of range: {Print(key)}"),
                JsonObject map => map[Print(key)],
                _ => throw Malformed("error calling index: index of untyped nil"),
            };
        }

        return value;
    }

    private static bool IsTrue(JsonNode? value) => value switch
    {
        null => false,
        JsonArray array => array.Count > 0,
        JsonObject map => map.Count > 0,
        _ => value.GetValueKind() switch
        {
            JsonValueKind.False or JsonValueKind.Null => false,
            JsonValueKind.String => value.GetValue<string>().Length > 0,
            JsonValueKind.Number => value.ToJsonString() != "0",
            _ => true,
        },
    };

    /// <summary>As Go's fmt prints: <c>[a b]</c>, <c>map[k:v]</c>.</summary>
    private static string Print(JsonNode? value) => value switch
    {
        null => "<no value>",
        JsonArray array => "[" + string.Join(' ', array.Select(Print)) + "]",
        JsonObject map => "map[" + string.Join(' ', map.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => p.Key + ":" + Print(p.Value))) + "]",
        _ when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        _ => value.ToJsonString(),
    };

    private static CommandException Malformed(string reason) => new($"template parsing error: template: :1: {reason}", 1);

    private abstract record Node;

    private sealed record Literal(string Text) : Node;

    private sealed record Action(List<List<string>> Pipeline) : Node;

    private sealed record If(List<List<string>> Condition, List<Node> Then, List<Node> Otherwise) : Node;

    private sealed record Range(List<List<string>> Source, string[] Variables, List<Node> Body) : Node;
}
