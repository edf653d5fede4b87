namespace Slipway.Build.Scaffolding;

/// <summary>A kind of project, and the Dockerfile that fits one.</summary>
internal interface IProjectTemplate
{
    /// <summary>As it is named on a command line.</summary>
    string Name { get; }

    /// <summary>Whether the folder is the top of such a project.</summary>
    bool Fits(ProjectFolder folder);

    Scaffold Make(ProjectFolder folder);
}

/// <summary>What is written for a project.</summary>
/// <param name="Kind">What was found, for people: <c>Node.js 22, npm</c>.</param>
/// <param name="Port">That the program is expected to listen at; null for one that does not.</param>
/// <param name="Guesses">What could not be read from the project and is to be looked at.</param>
public sealed record Scaffold(string Kind, string Dockerfile, string IgnoreFile, int? Port, IReadOnlyList<string> Guesses);
