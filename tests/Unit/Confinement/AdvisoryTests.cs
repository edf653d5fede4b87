using System.Text.RegularExpressions;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

/// <summary>docs/security.md and the tests that try the attacks name each other: no row without a test, no test without a row.</summary>
public sealed partial class AdvisoryTests
{
    private const string Heading = "| advisory | what stands against it | tried by |";

    private static readonly string s_root = Root();
    private static readonly string s_path = Path.Combine(s_root, "docs", "security.md");
    private static readonly Lazy<(string Class, string Method)[]> s_tests = new(() => [.. Tests()]);

    /// <summary>Run with SLIPWAY_WRITE_DOCS=1 to write the last column anew.</summary>
    [Fact]
    public void Every_advisory_has_the_tests_of_its_name_and_every_such_test_a_row()
    {
        string[] lines = File.ReadAllLines(s_path);
        int first = Array.IndexOf(lines, Heading) + 2;
        Assert.True(first > 1, "the table is not there");
        List<string> known = [];
        for (int i = first; i < lines.Length && lines[i].StartsWith('|'); i++)
        {
            string[] cells = lines[i].Split(" | ");
            string[] advisories = cells[0].Trim('|', ' ').Split(", ");
            known.AddRange(advisories);
            string[] classes = [.. s_tests.Value.Where(test => Advisories(test.Method).Intersect(advisories).Any()).Select(test => $"`{test.Class}`").Distinct().Order(StringComparer.Ordinal)];
            if (Environment.GetEnvironmentVariable("SLIPWAY_WRITE_DOCS") == "1")
            {
                lines[i] = $"{cells[0]} | {cells[1].TrimEnd('|', ' ')} | {string.Join(", ", classes)} |";
                continue;
            }

            Assert.All(advisories, advisory => Assert.Contains(s_tests.Value, test => Advisories(test.Method).Contains(advisory)));
            Assert.Equal(string.Join(", ", classes), cells.ElementAtOrDefault(2)?.TrimEnd('|', ' '));
        }

        if (Environment.GetEnvironmentVariable("SLIPWAY_WRITE_DOCS") == "1")
        {
            File.WriteAllLines(s_path, lines);
        }

        Assert.Equal(known.Distinct(), known);
        Assert.Empty(s_tests.Value.SelectMany(test => Advisories(test.Method)).Except(known));
    }

    [Theory]
    [InlineData("security.md")]
    [InlineData("faults.md")]
    public void Every_test_that_a_document_names_exists(string document)
    {
        string[] named = [.. TestName().Matches(File.ReadAllText(Path.Combine(s_root, "docs", document))).Select(match => match.Groups[1].Value)];
        Assert.NotEmpty(named);
        Assert.Empty(named.Except(s_tests.Value.Select(test => $"{test.Class}.{test.Method}")));
    }

    /// <summary>The advisories in a test's name: <c>CVE_2026_41568_and_2026_42306_…</c> has two.</summary>
    private static IEnumerable<string> Advisories(string method) =>
        Advisory().Matches(method).Select(match => match.Groups["ghsa"].Success
            ? $"GHSA-{match.Groups["ghsa"].Value.Replace('_', '-')}"
            : $"CVE-{match.Groups["year"].Value}-{match.Groups["number"].Value}");

    private static IEnumerable<(string Class, string Method)> Tests() =>
        from file in Directory.EnumerateFiles(Path.Combine(s_root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
        where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)
        let text = File.ReadAllText(file)
        from method in TestMethod().Matches(text)
        select (Path.GetFileNameWithoutExtension(file), method.Groups["name"].Value);

    private static string Root()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Slipway.slnx")))
            {
                return directory.FullName;
            }
        }

        throw new FileNotFoundException("Slipway.slnx");
    }

    [GeneratedRegex(@"(?:CVE|and)_(?<year>20\d\d)_(?<number>\d{4,5})|GHSA_(?<ghsa>[a-z0-9]{4}_[a-z0-9]{4}_[a-z0-9]{4})")]
    private static partial Regex Advisory();

    /// <summary>A method with the attribute of a test, and perhaps others, above it.</summary>
    [GeneratedRegex(@"^    \[(?:Fact|Theory)[^\n]*\n(?:    [\[ /][^\n]*\n)*?    public (?:async )?(?:Task|ValueTask|void) (?<name>\w+)\(", RegexOptions.Multiline)]
    private static partial Regex TestMethod();

    [GeneratedRegex(@"`(\w+Tests\.\w+)`")]
    private static partial Regex TestName();
}
