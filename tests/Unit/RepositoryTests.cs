using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Slipway.Tests.Unit;

/// <summary>Rules of the repository itself: who may reference whom, where unsafe code may be, how long a file may get.</summary>
public sealed partial class RepositoryTests
{
    private static readonly Dictionary<string, int> Floors = new()
    {
        ["Slipway.Cli"] = 6,
        ["Slipway.Server"] = 5,
        ["Slipway.Engine"] = 4,
        ["Slipway.Build"] = 3,
        ["Slipway.BuildKit"] = 3,
        ["Slipway.Registry"] = 3,
        ["Slipway.Networking"] = 2,
        ["Slipway.Runtime"] = 2,
        ["Slipway.Storage"] = 2,
        ["Slipway.Client"] = 2,
        ["Slipway.Http"] = 2,
        ["Slipway.Grpc"] = 2,
        ["Slipway.Kernel"] = 1,
        ["Slipway.Oci"] = 1,
        ["Slipway.Api"] = 1,
        ["Slipway.Telemetry"] = 1,
    };

    private const int LongestFile = 450;

    internal static string Root { get; } = FindRoot();

    [Fact]
    public void Project_references_only_floors_below_it()
    {
        var projects = Directory.GetFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories);
        Assert.NotEmpty(projects);
        foreach (var project in projects)
        {
            var name = Path.GetFileNameWithoutExtension(project);
            Assert.True(Floors.TryGetValue(name, out var floor), $"{name} has no floor: add it to the house in docs/architecture.md first");
            foreach (var reference in XDocument.Load(project).Descendants("ProjectReference"))
            {
                var target = Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value);
                Assert.True(Floors[target] < floor, $"{name} (floor {floor}) references {target} (floor {Floors[target]})");
            }
        }
    }

    [Fact]
    public void Unsafe_code_and_platform_calls_are_in_the_kernel_project_only()
    {
        foreach (var file in Sources("src").Where(file => !file.Contains("/Slipway.Kernel/", StringComparison.Ordinal)))
        {
            Assert.False(Platform().IsMatch(File.ReadAllText(file)), $"{Relative(file)} has unsafe code or a platform call: it belongs into Slipway.Kernel");
        }
        foreach (var project in Directory.GetFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories))
        {
            var allowed = Path.GetFileNameWithoutExtension(project) == "Slipway.Kernel";
            Assert.True(allowed || !File.ReadAllText(project).Contains("AllowUnsafeBlocks", StringComparison.Ordinal), $"{Relative(project)} allows unsafe blocks");
        }
    }

    [Fact]
    public void No_file_is_too_long_to_hold_in_the_head()
    {
        var long_ = Sources("src").Concat(Sources("tests")).Where(file => File.ReadLines(file).Count() > LongestFile).Select(Relative);
        Assert.Empty(long_);
    }

    [Fact]
    public void Nothing_is_left_for_later_in_the_code()
    {
        var found = Sources("src").Where(file => Leftover().IsMatch(File.ReadAllText(file))).Select(Relative);
        Assert.Empty(found);
    }

    [Fact]
    public void Npm_locks_name_no_registry()
    {
        // A lock with addresses ties every checkout to the mirror it was made with.
        var locks = Directory.GetFiles(Root, "package-lock.json", SearchOption.AllDirectories).Where(file => !file.Contains("node_modules", StringComparison.Ordinal));
        Assert.All(locks, file => Assert.DoesNotContain("\"resolved\"", File.ReadAllText(file), StringComparison.Ordinal));
    }

    private static IEnumerable<string> Sources(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));

    private static string Relative(string file) => Path.GetRelativePath(Root, file);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Slipway.slnx")))
            {
                return folder.FullName;
            }
        }
        throw new InvalidOperationException($"no Slipway.slnx above {AppContext.BaseDirectory}");
    }

    [GeneratedRegex(@"\bunsafe\b(?! code)|\[LibraryImport|\[DllImport|\bstackalloc byte\*|\bdelegate\*\s*unmanaged")]
    private static partial Regex Platform();

    [GeneratedRegex(@"\bTODO\b|\bFIXME\b|NotImplementedException")]
    private static partial Regex Leftover();
}
