using System.Text;
using Slipway.Build.Syntax;

namespace Slipway.Build.Solving;

/// <summary>What a step is called in progress: its instruction, with what its variables are there and the beginning of its here-document.</summary>
internal static class StepName
{
    /// <param name="escape">The Dockerfile's escape character.</param>
    /// <param name="variable">Null for a name that has no value: it stays as it is written.</param>
    public static string Of(Instruction instruction, char escape, Func<string, string?> variable)
    {
        int end = instruction.Original.AsSpan().IndexOfAny(" \t\v\f\r");
        string text = Expand(end < 0 ? instruction.Original : instruction.Keyword + instruction.Original[end..], escape, variable);
        return instruction is RunInstruction { Heredocs: [var only], IsHeredocAlone: true } ? $"{text} ({Beginning(only.Content)})" : text;
    }

    /// <summary>The first line, and whether it is not all.</summary>
    private static string Beginning(string content)
    {
        string[] lines = content.Trim('\n').Split('\n');
        return lines.Length > 1 ? $"{lines[0]}..." : lines[0];
    }

    /// <summary>Quotes stay, and so does what a shell is to replace by itself: within single quotes, after the escape character, and forms with modifiers.</summary>
    private static string Expand(string text, char escape, Func<string, string?> variable)
    {
        StringBuilder expanded = new(text.Length);
        bool isQuoted = false;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            isQuoted ^= c == '\'';
            if (c == escape && i + 1 < text.Length)
            {
                expanded.Append(text[++i] == '$' ? "" : c.ToString()).Append(text[i]);
            }
            else if (c == '$' && !isQuoted && NameAt(text, i + 1) is { Length: > 0 } name && variable(name.Trim('{', '}')) is { } value)
            {
                expanded.Append(value);
                i += name.Length;
            }
            else
            {
                expanded.Append(c);
            }
        }

        return expanded.ToString();
    }

    /// <summary><c>NAME</c> or <c>{NAME}</c>, as it is written; empty where there is none.</summary>
    private static string NameAt(string text, int start)
    {
        bool isBraced = start < text.Length && text[start] == '{';
        int end = isBraced ? start + 1 : start;
        while (end < text.Length && (char.IsAsciiLetter(text[end]) || text[end] == '_' || (char.IsAsciiDigit(text[end]) && end > start)))
        {
            end++;
        }

        return !isBraced ? text[start..end] : end < text.Length && text[end] == '}' && end > start + 1 ? text[start..(end + 1)] : "";
    }
}
