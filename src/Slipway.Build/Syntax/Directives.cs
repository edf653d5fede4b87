using System.Text.RegularExpressions;

namespace Slipway.Build.Syntax;

/// <summary>What the comments at the beginning of a Dockerfile tell its parser (Dockerfile reference, "Parser directives").</summary>
/// <param name="Syntax">The frontend that is asked for; null: none.</param>
/// <param name="Escape">Continues lines and takes the next character's meaning.</param>
/// <param name="Check">What is said about lint rules; null: nothing.</param>
public sealed partial record Directives(string? Syntax, char Escape, string? Check)
{
    /// <summary>Those of a file: lines of the form <c># name=value</c> before anything else.</summary>
    /// <exception cref="DockerfileException">A directive stands twice, or the escape character is none of the two.</exception>
    internal static Directives Parse(IReadOnlyList<string> lines)
    {
        Directives directives = new(null, '\\', null);
        HashSet<string> seen = [];
        for (int i = 0; i < lines.Count; i++)
        {
            // "Known directives following an unknown one are treated as comments."
            if (Form().Match(lines[i]) is not { Success: true } match || match.Groups["name"].Value.ToLowerInvariant() is not (("syntax" or "escape" or "check") and var name))
            {
                return directives;
            }

            Group value = match.Groups["value"];
            SourcePosition position = new(i + 1, value.Index + 1);
            if (!seen.Add(name))
            {
                throw new DockerfileException($"only one {name} parser directive can be used", position, DockerfileErrorKind.Syntax);
            }

            directives = name switch
            {
                "syntax" => directives with { Syntax = value.Value },
                "check" => directives with { Check = value.Value },
                _ => value.Value is "\\" or "`" ? directives with { Escape = value.Value[0] }
                    : throw new DockerfileException($"invalid escape token '{value.Value}' does not match ` or \\", position, DockerfileErrorKind.Syntax),
            };
        }

        return directives;
    }

    [GeneratedRegex(@"^[ \t]*#[ \t]*(?<name>[a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(?<value>.+?)[ \t]*$", RegexOptions.ExplicitCapture)]
    private static partial Regex Form();
}
