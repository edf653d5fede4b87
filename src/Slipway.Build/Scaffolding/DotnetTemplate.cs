using System.Text.RegularExpressions;

namespace Slipway.Build.Scaffolding;

/// <summary>.NET: the project that makes a program, published into the runtime's image.</summary>
internal sealed partial class DotnetTemplate : IProjectTemplate
{
    private const string DefaultVersion = "10.0";

    public string Name => "dotnet";

    public bool Fits(ProjectFolder folder) => Projects(folder).Count > 0;

    public Scaffold Make(ProjectFolder folder)
    {
        IReadOnlyList<string> projects = Projects(folder);
        List<string> programs = [.. projects.Where(project => IsProgram(folder.Text(project)))];
        string project = programs.Concat(projects).FirstOrDefault() ?? $"{folder.Name}.csproj";
        string text = folder.Text(project);
        bool web = IsWeb(text);
        string? version = Framework().Match(text) is { Success: true } match ? match.Groups[1].Value : null;
        string assembly = AssemblyName().Match(text) is { Success: true } named ? named.Groups[1].Value : Path.GetFileNameWithoutExtension(project);
        List<string> guesses = [];
        if (version is null)
        {
            guesses.Add($"the version of .NET: {DefaultVersion}");
        }

        if (programs.Count != 1)
        {
            guesses.Add($"the program: {project}");
        }

        version ??= DefaultVersion;
        string file = $"""
            # syntax=docker/dockerfile:1
            FROM mcr.microsoft.com/dotnet/sdk:{version} AS build
            WORKDIR /source
            COPY . .
            RUN --mount=type=cache,target=/root/.nuget/packages \
                dotnet publish {ProjectTemplates.ShellWord(project)} --configuration Release --output /app

            FROM mcr.microsoft.com/dotnet/{(web ? "aspnet" : "runtime")}:{version}
            WORKDIR /app
            COPY --from=build /app .
            # The account that the image has for programs.
            USER $APP_UID

            """;
        file += web ? "EXPOSE 8080\n" : "";
        file += $"ENTRYPOINT {ProjectTemplates.Exec("dotnet", assembly + ".dll")}\n";
        return new Scaffold($".NET {version}, {project}", file, ProjectTemplates.IgnoreFile("**/bin", "**/obj", "**/*.user", "**/TestResults"), web ? 8080 : null, guesses);
    }

    private static IReadOnlyList<string> Projects(ProjectFolder folder) => [.. folder.Find("*.csproj"), .. folder.Find("*.fsproj"), .. folder.Find("*.vbproj")];

    private static bool IsWeb(string project) => project.Contains("Microsoft.NET.Sdk.Web", StringComparison.OrdinalIgnoreCase);

    private static bool IsProgram(string project) =>
        (IsWeb(project) || project.Contains("Microsoft.NET.Sdk.Worker", StringComparison.OrdinalIgnoreCase) || Executable().IsMatch(project))
        && !project.Contains("Microsoft.NET.Test.Sdk", StringComparison.OrdinalIgnoreCase)
        && !project.Contains("xunit", StringComparison.OrdinalIgnoreCase);

    [GeneratedRegex(@"<TargetFrameworks?>\s*net(\d+\.\d+)")]
    private static partial Regex Framework();

    [GeneratedRegex(@"<OutputType>\s*(Win)?Exe\s*</OutputType>", RegexOptions.IgnoreCase)]
    private static partial Regex Executable();

    [GeneratedRegex(@"<AssemblyName>\s*([A-Za-z0-9_.-]+)\s*</AssemblyName>")]
    private static partial Regex AssemblyName();
}
