using System.Globalization;
using System.Text;
using Slipway.Build.Syntax;

namespace Slipway.Build.Checks;

/// <summary>Something a rule found.</summary>
/// <param name="Detail">What, with the names as they stand there.</param>
public sealed record CheckWarning(CheckRule Rule, string Detail, SourceLines Lines);

/// <summary>What the rules found in a Dockerfile.</summary>
/// <param name="File">Its name.</param>
/// <param name="Text">Its content.</param>
/// <param name="Warnings">In the order of the file.</param>
/// <param name="IsError">A build is not to begin where there are warnings.</param>
public sealed record CheckReport(string File, string Text, IReadOnlyList<CheckWarning> Warnings, bool IsError)
{
    private const string Ruler = "--------------------\n";

    /// <summary>What cannot be meant at all; null: the Dockerfile can be built. Then there are no warnings.</summary>
    public DockerfileException? Error { get; init; }

    /// <summary>What a build says that is not begun because of the warnings.</summary>
    public string Violations => $"lint violation found for rules: {string.Join(", ", Warnings.Select(warning => warning.Rule.Name).Distinct().Order(StringComparer.Ordinal))}";

    /// <summary>For people: each warning with its page and the lines it is about.</summary>
    public string Display()
    {
        if (Error is { } error)
        {
            return $"{error.Message}\n{error.Excerpt(File, Text)}";
        }

        StringBuilder display = new();
        string[] lines = Text.Split('\n');
        foreach (CheckWarning warning in Warnings)
        {
            display.Append(CultureInfo.InvariantCulture, $"\nWARNING: {warning.Rule.Name} - {warning.Rule.Url}\n{warning.Rule.Description}\n  {warning.Detail}\n{File}:{warning.Lines.First}\n").Append(Ruler);
            for (int number = Math.Max(1, warning.Lines.First - 1); number <= Math.Min(lines.Length, warning.Lines.Last + 1); number++)
            {
                bool isMeant = number >= warning.Lines.First && number <= warning.Lines.Last;
                display.Append(CultureInfo.InvariantCulture, $"{number,4} | {(isMeant ? ">>>" : "   ")} {lines[number - 1].TrimEnd('\r')}\n");
            }

            display.Append(Ruler);
        }

        return display.ToString();
    }
}
