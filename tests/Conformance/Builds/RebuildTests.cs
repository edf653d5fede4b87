using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Which instructions a change has done again, as the log of the classic builder tells it for each.</summary>
public sealed partial class RebuildTests(SharedEngine engine) : BuildTest(engine)
{
    /// <summary>Two stages that do not depend on each other, and a third that takes from both.</summary>
    private const string Dockerfile = """
        FROM alpine AS tools
        COPY tools.txt /t
        RUN sort /t > /sorted
        FROM alpine AS app
        WORKDIR /src
        COPY lib.txt .
        RUN cat lib.txt > /made
        COPY app.txt .
        RUN cat app.txt lib.txt > /app
        FROM alpine
        COPY --from=tools /sorted /sorted
        COPY --from=app /app /app
        LABEL last=yes
        """;

    private static readonly int[] s_all = [2, 3, 5, 6, 7, 8, 9, 11, 12, 13];

    private readonly string _mark = Guid.NewGuid().ToString("N");

    [Fact]
    public async Task A_change_to_one_file_does_again_what_depends_on_it_and_nothing_else()
    {
        Put(".dockerignore", "ignored.txt\n");
        foreach (var file in new[] { "tools", "lib", "app", "ignored", "unread" })
        {
            Put($"{file}.txt", $"b {file}\na {_mark}\n");
        }

        // WORKDIR makes a directory in an image that all builds have: another may have done it.
        Assert.Equal(s_all.Except([5]), (await Done()).Except([5]));
        Assert.Empty(await Done());

        Put("app.txt", $"changed {_mark}\n");
        Assert.Equal([8, 9, 12, 13], (IEnumerable<int>)await Done());

        Put("lib.txt", $"changed {_mark}\n");
        Assert.Equal([6, 7, 8, 9, 12, 13], (IEnumerable<int>)await Done());

        Put("tools.txt", $"changed {_mark}\n");
        Assert.Equal([2, 3, 11, 12, 13], (IEnumerable<int>)await Done());

        // Back again: all of it is still there.
        Put("app.txt", $"b app\na {_mark}\n");
        Put("lib.txt", $"b lib\na {_mark}\n");
        Put("tools.txt", $"b tools\na {_mark}\n");
        Assert.Empty(await Done());

        // Other lines, of which the step makes the same file: what copies that is not done again.
        Put("tools.txt", $"a {_mark}\nb tools\n");
        Assert.Equal([2, 3], (IEnumerable<int>)await Done());

        Put("ignored.txt", "changed\n");
        Put("unread.txt", "changed\n");
        Assert.Empty(await Done());
        Assert.Equal(s_all, await Done("--no-cache"));
    }

    [Fact]
    public async Task A_changed_instruction_does_again_what_comes_after_it()
    {
        foreach (var file in new[] { "tools", "lib", "app" })
        {
            Put($"{file}.txt", $"{file} {_mark}\n");
        }

        await Done();
        Assert.Equal([7, 8, 9], (IEnumerable<int>)await DoneOf(Dockerfile.Replace("RUN cat lib.txt > /made", "RUN cat lib.txt lib.txt > /made", StringComparison.Ordinal)));
        Assert.Equal([13], (IEnumerable<int>)await DoneOf(Dockerfile.Replace("last=yes", "last=no", StringComparison.Ordinal)));
    }

    private Task<int[]> Done(params string[] options) => DoneOf(Dockerfile, options);

    /// <summary>Builds; the numbers of the instructions that were not found in the cache. FROM is never done.</summary>
    private async Task<int[]> DoneOf(string dockerfile, params string[] options)
    {
        var parts = Step().Split((await Build(dockerfile, options)).Ok().Output);
        Assert.Equal(dockerfile.Split('\n').Length, (parts.Length - 1) / 2);
        return
        [
            .. Enumerable.Range(0, parts.Length / 2).Select(i => (Number: int.Parse(parts[(2 * i) + 1], null), Told: parts[(2 * i) + 2]))
                .Where(step => !step.Told.Contains(" : FROM ", StringComparison.Ordinal) && !step.Told.Contains("\n ---> Using cache\n", StringComparison.Ordinal)).Select(step => step.Number),
        ];
    }

    [GeneratedRegex("^Step ([0-9]+)/13(?= : )", RegexOptions.Multiline)]
    private static partial Regex Step();
}
