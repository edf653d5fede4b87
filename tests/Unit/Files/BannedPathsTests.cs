using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Xunit;

namespace Slipway.Tests.Unit.Files;

/// <summary>
/// LWN 1050887: most container escapes of the last years are path races. Code that handles roots which containers control uses
/// descriptors; .NET's string path API is banned there by the build (src/BannedSymbols.Paths.txt).
/// </summary>
public sealed partial class BannedPathsTests
{
    private static readonly string s_source = Path.Combine(Path.GetDirectoryName(ThisFile())!, "../../../src");

    private static readonly string[] s_projects = ["Slipway.Runtime", "Slipway.Storage"];

    /// <summary>Places that may use host paths as strings, with the ban lifted for a reason given there.</summary>
    private static readonly string[] s_allowed = [];

    private static string ThisFile([CallerFilePath] string path = "") => path;

    [Fact]
    public void LWN_1050887_the_ban_covers_every_project_that_handles_container_roots()
    {
        string props = File.ReadAllText(Path.Combine(s_source, "Directory.Build.props"));
        Match item = BannedPathsItem().Match(props);
        Assert.True(item.Success);
        foreach (string project in s_projects)
        {
            Assert.Contains($"'$(MSBuildProjectName)' == '{project}'", item.Value, StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Combine(s_source, project, project + ".csproj")));
        }

        Assert.Contains("<TreatWarningsAsErrors>true", File.ReadAllText(Path.Combine(s_source, "../Directory.Build.props")), StringComparison.Ordinal);
    }

    [Fact]
    public void LWN_1050887_the_ban_names_what_follows_path_strings()
    {
        string[] banned = File.ReadAllLines(Path.Combine(s_source, "BannedSymbols.Paths.txt"));
        foreach (string symbol in new[] { "T:System.IO.File;", "T:System.IO.Directory;", "T:System.IO.FileInfo;", "T:System.IO.DirectoryInfo;" })
        {
            Assert.Contains(banned, line => line.StartsWith(symbol, StringComparison.Ordinal));
        }

        // Every constructor of FileStream that takes a path, those of later .NET versions included.
        int constructors = typeof(FileStream).GetConstructors().Count(c => c.GetParameters()[0].ParameterType == typeof(string));
        Assert.Equal(constructors, banned.Count(line => line.StartsWith("M:System.IO.FileStream.#ctor(System.String", StringComparison.Ordinal)));
    }

    [Fact]
    public void Nothing_lifts_the_ban_outside_the_list()
    {
        var lifted = new List<string>();
        foreach (string file in Directory.EnumerateFiles(s_source, "*.*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(s_source, file);
            if (relative.Contains("/obj/", StringComparison.Ordinal) || relative.Contains("/bin/", StringComparison.Ordinal)
                || !(file.EndsWith(".cs", StringComparison.Ordinal) || file.EndsWith(".csproj", StringComparison.Ordinal) || file.EndsWith(".editorconfig", StringComparison.Ordinal))
                || !s_projects.Any(project => relative.StartsWith(project + "/", StringComparison.Ordinal)))
            {
                continue;
            }

            if (File.ReadAllText(file).Contains("RS0030", StringComparison.Ordinal))
            {
                lifted.Add(relative);
            }
        }

        Assert.Equal(s_allowed, lifted);
        Assert.DoesNotContain("RS0030", File.ReadAllText(Path.Combine(s_source, "../.editorconfig")), StringComparison.Ordinal);
        Assert.DoesNotContain("RS0030", File.ReadAllText(Path.Combine(s_source, "Directory.Build.props")), StringComparison.Ordinal);
    }

    [GeneratedRegex("<AdditionalFiles Include=\"[^\"]*BannedSymbols.Paths.txt\"[^>]*/>")]
    private static partial Regex BannedPathsItem();
}
