using Slipway.Build.Context;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Checks;

/// <summary>What the rules need to know beside the Dockerfile.</summary>
public sealed record CheckRequest
{
    public IReadOnlyDictionary<string, string?> Arguments { get; init; } = new Dictionary<string, string?>();

    /// <summary>What is left out of the context; null: not known, and nothing is said about it.</summary>
    public IgnoreFile? Ignore { get; init; }

    /// <summary>The environment of an image that a stage starts from, as <c>name=value</c>; null where it is not known.</summary>
    public Func<string, IReadOnlyList<string>?> EnvironmentOf { get; init; } = _ => null;
}

/// <summary>
/// Looks at a Dockerfile as <c>docker build --check</c> does: everything in it, also stages that a build would not need, and without building anything.
/// </summary>
public static class DockerfileChecker
{
    /// <summary>Characters of a Dockerfile that the rules look at. Nobody writes a longer one, and looking for what was meant takes long.</summary>
    private const int MaximumLength = 1 << 18;

    /// <param name="file">Its name, for the report.</param>
    public static CheckReport Check(string file, string text, CheckRequest request)
    {
        try
        {
            return Check(file, text, DockerfileParser.Parse(text), request);
        }
        catch (DockerfileException error)
        {
            return new CheckReport(file, text, [], IsError: true) { Error = error };
        }
    }

    /// <summary>Of one that was read already.</summary>
    /// <exception cref="DockerfileException">What it says about the rules cannot be meant.</exception>
    public static CheckReport Check(string file, string text, DockerfileDocument document, CheckRequest request)
    {
        CheckSelection selection = Selection(document, request);
        CheckFindings findings = new(selection);
        if (text.Length > MaximumLength)
        {
            return new CheckReport(file, text, [], selection.IsError);
        }

        new SpellingRules(document, text, findings).Apply();
        new StageRules(document, request, findings).Apply();
        new VariableRules(document, request, findings).Apply();
        return new CheckReport(file, text, findings.Ordered, selection.IsError);
    }

    private static CheckSelection Selection(DockerfileDocument document, CheckRequest request)
    {
        try
        {
            return CheckSelection.Parse(request.Arguments.GetValueOrDefault(CheckSelection.Argument) ?? document.Directives.Check);
        }
        catch (FormatException error)
        {
            throw new DockerfileException(error.Message);
        }
    }
}

/// <summary>Collects what the rules find that are looked at.</summary>
internal sealed class CheckFindings(CheckSelection selection)
{
    private readonly List<CheckWarning> _found = [];

    public IReadOnlyList<CheckWarning> Ordered => [.. _found.OrderBy(warning => warning.Lines.First).ThenBy(warning => warning.Rule.Name, StringComparer.Ordinal)];

    public void Add(CheckRule rule, SourceLines lines, string detail)
    {
        if (selection.Includes(rule))
        {
            _found.Add(new CheckWarning(rule, detail, lines));
        }
    }
}
