using Slipway.Build.Syntax;

namespace Slipway.Build.Checks;

/// <summary>Rules about how instructions are written, whatever they do.</summary>
internal sealed class SpellingRules(DockerfileDocument document, string text, CheckFindings findings)
{
    private readonly string[] _lines = text.Split('\n');

    private char Escape => document.Directives.Escape;

    public void Apply()
    {
        Instruction[] all = [.. document.GlobalArguments, .. document.Stages.SelectMany(stage => stage.Instructions.Prepend(stage.From)).OrderBy(instruction => instruction.Lines.First)];
        foreach (int line in document.EmptyContinuations)
        {
            findings.Add(CheckRule.NoEmptyContinuation, new SourceLines(line, line), "the line before is continued by an empty one");
        }

        CheckCase(all);
        foreach (Instruction instruction in all)
        {
            switch (instruction)
            {
                case FromInstruction from:
                    CheckFrom(from);
                    CheckDescription(from, from.StageName is null ? [] : [from.StageName]);
                    break;
                case ArgInstruction argument:
                    CheckDescription(argument, [.. argument.Arguments.Select(given => given.Name)]);
                    break;
                case MaintainerInstruction:
                    findings.Add(CheckRule.MaintainerDeprecated, instruction.Lines, "use LABEL org.opencontainers.image.authors instead");
                    break;
                case EnvInstruction or LabelInstruction when !Words(instruction)[0].Contains('=', StringComparison.Ordinal):
                    findings.Add(CheckRule.LegacyKeyValueFormat, instruction.Lines, $"write {instruction.Keyword} name=value instead of {instruction.Keyword} name value");
                    break;
                case ExposeInstruction expose:
                    CheckPorts(expose);
                    break;
            }
        }
    }

    private static string Typed(Instruction instruction) => instruction.Original.Split(' ', '\t', '\v', '\f', '\r')[0];

    /// <summary>What follows the keyword and its flags.</summary>
    private List<string> Words(Instruction instruction) =>
        [.. Word.Split(instruction.Original, Typed(instruction).Length, Escape).Select(word => word.Text).SkipWhile(word => word.StartsWith("--", StringComparison.Ordinal))];

    private static bool IsUpper(string word) => !word.Any(char.IsLower);

    private static bool IsLower(string word) => !word.Any(char.IsUpper);

    /// <summary>The case that most are written in is that of the file.</summary>
    private void CheckCase(Instruction[] all)
    {
        bool lower = all.Count(instruction => IsLower(Typed(instruction))) > all.Count(instruction => IsUpper(Typed(instruction)));
        foreach (Instruction instruction in all)
        {
            string typed = Typed(instruction);
            if (lower ? !IsLower(typed) : !IsUpper(typed))
            {
                findings.Add(CheckRule.ConsistentInstructionCasing, instruction.Lines, $"{typed} is not in {(lower ? "lower" : "upper")} case, as most of this file is");
            }
        }
    }

    private void CheckFrom(FromInstruction from)
    {
        if (Words(from) is not [_, var alias, var name])
        {
            return;
        }

        string typed = Typed(from);
        if ((IsUpper(typed) && !IsUpper(alias)) || (IsLower(typed) && !IsLower(alias)))
        {
            findings.Add(CheckRule.FromAsCasing, from.Lines, $"{typed} and {alias} differ in case");
        }

        if (!IsLower(name))
        {
            findings.Add(CheckRule.StageNameCasing, from.Lines, $"the stage {name} is not in lower case");
        }
    }

    private void CheckDescription(Instruction instruction, IReadOnlyList<string> names)
    {
        // Comments that begin the file are parser directives where they have that form.
        List<string> comments = [];
        for (int above = instruction.Lines.First - 2; above >= 0 && _lines[above].TrimStart().StartsWith('#'); above--)
        {
            comments.Add(_lines[above].TrimStart()[1..].Trim());
        }

        if (names.Count > 0 && comments.Count > 0 && !comments.Exists(comment => names.Contains(comment.Split(' ')[0])) && !comments.TrueForAll(comment => comment.Contains('=', StringComparison.Ordinal)))
        {
            findings.Add(CheckRule.InvalidDefinitionDescription, instruction.Lines, $"the comment above is to begin with {string.Join(" or ", names)}, or an empty line is to follow it");
        }
    }

    private void CheckPorts(ExposeInstruction expose)
    {
        foreach (string port in expose.Ports.Where(port => !port.Contains('$', StringComparison.Ordinal)))
        {
            if (port.Contains(':', StringComparison.Ordinal))
            {
                findings.Add(CheckRule.ExposeInvalidFormat, expose.Lines, $"{port} names an address or a port of the host");
            }
            else if (port.Split('/', 2) is [_, var protocol] && !IsLower(protocol))
            {
                findings.Add(CheckRule.ExposeProtoCasing, expose.Lines, $"the protocol of {port} is not in lower case");
            }
        }
    }
}
