using System.Text.Encodings.Web;
using System.Text.Json;

namespace Slipway.Build.Scaffolding;

/// <summary>All kinds of projects that are known.</summary>
public static class ProjectTemplates
{
    /// <summary>Owner of the process in images without an account for programs; no account of the host's has it.</summary>
    internal const string User = "10001:10001";

    /// <summary>What no image needs, whatever is built.</summary>
    private const string Common = """
        # What is named here is not sent to the builder and cannot get into an image.
        .git
        .gitignore
        .gitattributes
        .github
        .vscode
        .idea
        .vs
        .DS_Store
        .env
        .env.*
        **/*.pem
        **/*.key
        Dockerfile*
        .dockerignore
        compose*.y*ml
        docker-compose*.y*ml
        """;

    // A page beside a program's own files is a part of the program: sites come last.
    private static readonly IProjectTemplate[] s_all = [new DotnetTemplate(), new GoTemplate(), new JavaTemplate(), new NodeTemplate(), new PythonTemplate(), new StaticSiteTemplate()];

    /// <summary>As they are named on a command line.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. s_all.Select(template => template.Name)];

    /// <summary>Writes nothing: the texts for a folder.</summary>
    /// <param name="kind">One of <see cref="Names"/>, or null for what the folder shows.</param>
    /// <returns>Null where the folder shows none.</returns>
    public static Scaffold? Describe(ProjectFolder folder, string? kind)
    {
        ArgumentNullException.ThrowIfNull(folder);
        return Array.Find(s_all, template => kind is null ? template.Fits(folder) : template.Name == kind)?.Make(folder);
    }

    internal static string IgnoreFile(params ReadOnlySpan<string> own)
    {
        string text = Common + "\n";
        foreach (string line in own)
        {
            text += line + "\n";
        }

        return text;
    }

    /// <summary>A word of a shell's command line.</summary>
    internal static string ShellWord(string word) =>
        word.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '/' or '-' or '_') ? word : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>An exec form, with its words quoted as JSON wants.</summary>
    internal static string Exec(params ReadOnlySpan<string> words)
    {
        List<string> quoted = [];
        foreach (string word in words)
        {
            quoted.Add($"\"{JsonEncodedText.Encode(word, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"");
        }

        return $"[{string.Join(", ", quoted)}]";
    }
}
