using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>
/// docs/run-options.md: every option of <c>docker run</c> with the conformance tests that prove it, as their <c>[RunOption]</c> attributes say. The list
/// of options is the client's own (run-options.txt; a conformance test compares it with <c>docker run --help</c>).
/// </summary>
public sealed partial class RunOptionsDocumentTests
{
    /// <summary>What has no test, or a test that shows a refusal, and why.</summary>
    private static readonly Dictionary<string, string> s_differences = new()
    {
        ["--cgroup-parent"] = "a relative path is taken from the top of the hierarchies as an absolute one is; the top itself is refused",
        ["--cpu-rt-period"] = "where the kernel schedules real-time tasks by groups (cgroup v1); refused elsewhere, as by Docker",
        ["--cpu-rt-runtime"] = "where the kernel schedules real-time tasks by groups (cgroup v1); refused elsewhere, as by Docker",
        ["--gpus"] = "by CDI (docs/devices.md), hooks of a container's creation included; those of later moments need a runtime of the host",
        ["--help"] = "the client's own",
        ["--ip"] = "on networks of one's own, as in Docker",
        ["--isolation"] = "of Windows: refused as by Docker on Linux",
        ["--link-local-ip"] = "refused: no address but the network's",
        ["--network-alias"] = "on networks of one's own, as in Docker",
        ["--quiet"] = "the client's own: it leaves out the progress of the pull",
        ["--runtime"] = "the name `runc` stands for our own runtime; Debian's is registered under another",
        ["--storage-opt"] = "works on every file system: by project quotas where it has them, else in a file with a file system of that size (Docker needs XFS with project quotas)",
        ["--tty"] = "shown by all tests of terminals, which drive the client in a pseudo-terminal (TerminalTests)",
        ["--use-api-socket"] = "the client's own: it mounts the API's socket, as `--mount` does",
    };

    /// <summary>Run with SLIPWAY_WRITE_DOCS=1 to write the document anew.</summary>
    [Fact]
    public void The_document_says_what_the_tests_say()
    {
        string path = Path.Combine(Root(), "docs", "run-options.md");
        if (Environment.GetEnvironmentVariable("SLIPWAY_WRITE_DOCS") == "1")
        {
            File.WriteAllText(path, Render());
        }

        Assert.Equal(Render(), File.ReadAllText(path));
    }

    [Fact]
    public void Every_option_has_a_test_or_a_reason()
    {
        ILookup<string, string> proofs = Proofs();
        Assert.Equal([], Options().Where(option => !proofs.Contains(option) && !s_differences.ContainsKey(option)));
    }

    [Fact]
    public void Tests_and_reasons_name_options_that_exist()
    {
        HashSet<string> options = [.. Options()];
        Assert.Equal([], Proofs().Select(proof => proof.Key).Concat(s_differences.Keys).Where(option => !options.Contains(option)));
    }

    private static string Render()
    {
        ILookup<string, string> proofs = Proofs();
        StringBuilder text = new("""
            # Options of `docker run`

            Every option of the docker CLI 28 with the conformance tests that prove it against the unmodified client. Generated from the tests (`SLIPWAY_WRITE_DOCS=1` on
            the unit test RunOptionsDocumentTests writes it anew).

            | option | proved by | difference |
            | --- | --- | --- |

            """);
        foreach (string option in Options().Order(StringComparer.Ordinal))
        {
            string tests = string.Join("<br>", proofs[option].Order(StringComparer.Ordinal).Select(test => $"`{test}`"));
            text.Append($"| `{option}` | {tests} | {s_differences.GetValueOrDefault(option)} |\n");
        }

        return text.ToString();
    }

    private static string[] Options() => File.ReadAllLines(Path.Combine(Root(), "tests", "Unit", "Containers", "run-options.txt"));

    /// <summary>Tests by option.</summary>
    private static ILookup<string, string> Proofs() =>
        (from file in Directory.EnumerateFiles(Path.Combine(Root(), "tests", "Conformance"), "*Tests.cs", SearchOption.AllDirectories)
         where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)
         let source = File.ReadAllText(file)
         from proof in Proof().Matches(source)
         let type = Type().Matches(source).Last(match => match.Index < proof.Index).Groups[1].Value
         from option in Quoted().Matches(proof.Groups["options"].Value)
         select (Option: option.Groups[1].Value, Test: $"{type}.{proof.Groups["method"].Value}")).ToLookup(proof => proof.Option, proof => proof.Test);

    private static string Root()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Slipway.slnx")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return folder;
    }

    [GeneratedRegex(@"\[RunOption\((?<options>[^)]*)\)\]\s+(?:\[[^\n]*\n\s+)*public [^\n(]* (?<method>\w+)\(")]
    private static partial Regex Proof();

    [GeneratedRegex(@"class (\w+)")]
    private static partial Regex Type();

    [GeneratedRegex("\"([^\"]+)\"")]
    private static partial Regex Quoted();
}
