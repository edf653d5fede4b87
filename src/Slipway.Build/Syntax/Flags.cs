namespace Slipway.Build.Syntax;

/// <summary>The flags of an instruction, <c>--name=value</c> before its arguments. What nobody takes is unknown.</summary>
internal sealed class Flags
{
    private readonly LogicalLine _line;
    private readonly List<(string Name, string? Value, int Offset)> _given = [];
    private readonly HashSet<string> _known = [];

    /// <param name="start">Of the first argument in the line; then of the first that is no flag.</param>
    public Flags(LogicalLine line, char escape, ref int start)
    {
        _line = line;
        List<Word> words = Word.Split(line.Text, start, escape);
        int taken = 0;
        foreach (Word word in words)
        {
            if (!word.Text.StartsWith("--", StringComparison.Ordinal))
            {
                break;
            }

            taken++;
            if (word.Text.Length == 2)
            {
                break;
            }

            int equals = word.Text.IndexOf('=', StringComparison.Ordinal);
            _given.Add(equals < 0 ? (word.Text[2..], null, word.Offset) : (word.Text[2..equals], word.Text[(equals + 1)..], word.Offset));
        }

        start = taken < words.Count ? words[taken].Offset : taken == 0 ? start : line.Text.Length;
    }

    /// <summary>The value of a flag that may be given once, or null.</summary>
    public string? One(string name)
    {
        List<(string Value, int Offset)> values = Take(name);
        return values.Count <= 1 ? (values.Count == 0 ? null : values[0].Value) : throw _line.Error(values[1].Offset, $"duplicate flag specified: {name}");
    }

    /// <summary>The values of a flag that may be given several times, each with its place.</summary>
    public List<(string Value, int Offset)> Take(string name)
    {
        _known.Add(name);
        return [.. _given.Where(flag => flag.Name == name).Select(flag => (flag.Value ?? throw _line.Error(flag.Offset, $"missing a value on flag: {name}"), flag.Offset))];
    }

    /// <summary>Whether a flag without a value is given, or one with the value <c>true</c>.</summary>
    public bool IsSet(string name)
    {
        _known.Add(name);
        (string Name, string? Value, int Offset)[] found = [.. _given.Where(flag => flag.Name == name)];
        return found.Length <= 1
            ? found is [var only] && (only.Value?.ToLowerInvariant() switch
            {
                null or "true" => true,
                "false" => false,
                _ => throw _line.Error(only.Offset, $"expecting boolean value for flag {name}, not: {only.Value}"),
            })
            : throw _line.Error(found[1].Offset, $"duplicate flag specified: {name}");
    }

    /// <summary>To be called after all flags of the instruction were asked for.</summary>
    /// <exception cref="DockerfileException">There is a flag that it has not.</exception>
    public void RefuseUnknown()
    {
        foreach ((string name, _, int offset) in _given)
        {
            if (!_known.Contains(name))
            {
                throw _line.Error(offset, Suggestion.Add($"unknown flag: --{name}", name, _known));
            }
        }
    }
}
