using Slipway.Build.Checks;
using Slipway.Build.Context;
using Slipway.Build.Syntax;
using Xunit;

namespace Slipway.Tests.Fuzz.Build;

/// <summary>Dockerfiles, words and ignore files of pieces that mean something: whatever they say together, they are read or refused, and soon.</summary>
public sealed class DockerfileFuzz
{
    private const int SecondsInCi = 3;
    private const int Pieces = 40;

    private static readonly string[] s_dockerfile =
    [
        "FROM ", "a", " AS ", "b", "\n", "\n", "\n", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "ONBUILD ", "HEALTHCHECK ", "CMD ", "SHELL ", "VOLUME ", "--mount=", "type=cache,", "target=/c",
        "--from=x ", "--link ", "--interval=", "1h", "<<EOF", "<<-'E'", "EOF\n", "E\n", "[", "]", "\"", "'", ",", "\\", "\\\n", "`", "#", "# escape=`\n", "=", " ", "\t", "$", "{", "}", "\r\n", "\0", "ä", "--", "/",
    ];

    private static readonly string[] s_words = ["$", "{", "}", "a", "b", ":", "-", "+", "?", "#", "%", "/", "\\", "'", "\"", " ", "*", "_", "1", "${", "${a", ":-", "ä"];

    private static readonly string[] s_patterns = ["*", "**", "/", "a", "b", "?", "[", "]", "^", "-", "!", "\\", "\n", "#", ".", "..", " ", "ä"];

    private static readonly CheckRequest s_checks = new()
    {
        Arguments = new Dictionary<string, string?> { [CheckSelection.Argument] = "experimental=all" },
        Ignore = IgnoreFile.Parse("a\n*x"),
        EnvironmentOf = _ => ["A=1"],
    };

    [Fact]
    public void A_dockerfile_is_read_or_refused_with_a_place_in_it()
    {
        foreach (int seed in FuzzRun.Rounds(SecondsInCi))
        {
            string text = "FROM x\n" + Text(seed, s_dockerfile);
            try
            {
                DockerfileDocument document = DockerfileParser.Parse(text);
                int lines = text.Split('\n').Length;
                Assert.All(document.Stages.SelectMany(stage => stage.Instructions), instruction =>
                    Assert.True(instruction.Lines.First >= 1 && instruction.Lines.First <= instruction.Lines.Last && instruction.Lines.Last <= lines, $"seed {seed}: {instruction.Lines}"));
                CheckReport report = DockerfileChecker.Check("Dockerfile", text, s_checks);
                Assert.All(report.Warnings, warning => Assert.True(warning.Lines.First >= 1 && warning.Lines.Last <= lines, $"seed {seed}: {warning}"));
                Assert.Contains(report.Error?.Message ?? "", report.Display(), StringComparison.Ordinal);
            }
            catch (DockerfileException error)
            {
                Assert.True(error.Position is null || error.Excerpt("Dockerfile", text).Contains(">>>", StringComparison.Ordinal), $"seed {seed}: {error.Message} at {error.Position}");
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}: {error}");
            }
        }
    }

    [Fact]
    public void Words_are_expanded_or_refused()
    {
        foreach (int seed in FuzzRun.Rounds(SecondsInCi))
        {
            string text = Text(seed, s_words);
            try
            {
                _ = ShellWord.Expand(text, '\\', name => name == "a" ? "x*y" : null);
                _ = ShellWord.ExpandWords(text, '\\', name => name == "a" ? "x y" : null);
            }
            catch (FormatException)
            {
                continue;
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}: {error}");
            }
        }
    }

    [Fact]
    public void An_ignore_file_is_read_or_refused()
    {
        foreach (int seed in FuzzRun.Rounds(SecondsInCi))
        {
            string text = Text(seed, s_patterns);
            try
            {
                IgnoreFile file = IgnoreFile.Parse(text);
                _ = file.Ignores("a/b/a/b") | file.Ignores("ä") | file.Ignores(".a");
            }
            catch (FormatException)
            {
                continue;
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}: {error}");
            }
        }
    }

    private static string Text(int seed, string[] pieces)
    {
        Random random = new(seed);
        return string.Concat(Enumerable.Range(0, random.Next(Pieces)).Select(_ => pieces[random.Next(pieces.Length)]));
    }
}
