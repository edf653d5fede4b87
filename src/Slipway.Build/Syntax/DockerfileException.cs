using System.Globalization;
using System.Text;

namespace Slipway.Build.Syntax;

/// <summary>A Dockerfile that cannot be meant.</summary>
/// <param name="problem">In BuildKit's words where it has some.</param>
/// <param name="position">Null: of the file as a whole.</param>
/// <param name="kind">When it is found.</param>
public sealed class DockerfileException(string problem, SourcePosition? position = null, DockerfileErrorKind kind = DockerfileErrorKind.Meaning)
    : Exception(position is { } at && kind == DockerfileErrorKind.Instruction ? string.Create(CultureInfo.InvariantCulture, $"dockerfile parse error on line {at.Line}: {problem}") : problem)
{
    /// <summary>Lines that are shown around the one that is meant.</summary>
    private const int Context = 2;

    /// <summary>What is wrong, without the place.</summary>
    public string Problem { get; } = problem;

    public SourcePosition? Position { get; } = position;

    public DockerfileErrorKind Kind { get; } = kind;

    /// <summary>The message as the classic builder has it, which says the line of instructions only.</summary>
    /// <param name="file">The Dockerfile's name.</param>
    public string ClassicMessage(string file) => Kind switch
    {
        DockerfileErrorKind.Syntax => $"failed to parse {file}: {Problem}",
        DockerfileErrorKind.Instruction => Message,
        _ => Problem,
    };

    /// <summary>
    /// The lines around the place, as BuildKit shows them, with a mark under the column:
    /// <code>
    /// Dockerfile:2
    /// --------------------
    ///    1 |     FROM alpine
    ///    2 | >>> RNU true
    ///      |     ^
    /// --------------------
    /// </code>
    /// Empty where the error has no place.
    /// </summary>
    /// <param name="file">The Dockerfile's name.</param>
    /// <param name="text">Its content.</param>
    public string Excerpt(string file, string text)
    {
        if (Position is not { } at)
        {
            return "";
        }

        const string Ruler = "--------------------\n";
        string[] lines = text.Split('\n');
        StringBuilder excerpt = new();
        excerpt.Append(CultureInfo.InvariantCulture, $"{file}:{at.Line}\n").Append(Ruler);
        for (int number = Math.Max(1, at.Line - Context); number <= Math.Min(lines.Length, at.Line + Context); number++)
        {
            excerpt.Append(CultureInfo.InvariantCulture, $"{number,4} | {(number == at.Line ? ">>>" : "   ")} {lines[number - 1].TrimEnd('\r')}\n");
            if (number == at.Line)
            {
                excerpt.Append("     |     ").Append(' ', at.Column - 1).Append("^\n");
            }
        }

        return excerpt.Append(Ruler).ToString();
    }
}

/// <summary>When an error of a Dockerfile is found: builders say it in other words.</summary>
public enum DockerfileErrorKind
{
    /// <summary>Lines cannot be taken apart.</summary>
    Syntax,

    /// <summary>An instruction is none, or has not what it needs.</summary>
    Instruction,

    /// <summary>Instructions cannot mean something where they stand.</summary>
    Meaning,
}
