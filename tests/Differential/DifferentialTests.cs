using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Differential;

/// <summary>What dockerd says to the script, Slipway says too, but for differences that are listed with their reason.</summary>
public sealed partial class DifferentialTests(Transcripts transcripts)
{
    private static readonly IReadOnlyDictionary<string, Accepted> s_accepted = Differences.Read();

    public static TheoryData<string> Cases => [.. Transcripts.Chosen.Select(@case => @case.ToString())];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Same_output(string name)
    {
        if (name.StartsWith("13-buildx", StringComparison.Ordinal))
        {
            // The plugin is fetched with what the shared folder has.
            Requirement.Shared();
        }

        var found = Differences.Between(transcripts.Dockerd[name], transcripts.Slipway[name]);
        IReadOnlyList<string> accepted = s_accepted.TryGetValue(name, out var listed) ? listed.Lines : [];
        Assert.True(
            found.SequenceEqual(accepted),
            $"""
            == {name}
            {string.Join('\n', found)}
            differs from what is accepted:
            {string.Join('\n', accepted)}
            dockerd said:
            {string.Join('\n', transcripts.Dockerd[name])}
            """);
    }

    [Fact]
    public void Every_accepted_difference_has_a_reason_and_a_case()
    {
        Assert.All(s_accepted.Values, entry => Assert.NotEmpty(entry.Reason));
        Assert.All(s_accepted.Values, entry => Assert.NotEmpty(entry.Lines));
        Assert.Empty(s_accepted.Keys.Except(Script.Cases.Select(@case => @case.ToString())));
    }

    [Fact]
    public async Task Every_option_of_docker_run_is_in_the_script()
    {
        var script = string.Join('\n', Script.Cases.SelectMany(@case => @case.Commands)) + "\n";
        var options = Option().Matches((await Programs.Run(Docker.Path, ["run", "--help"])).Ok().Output).Select(match => match.Groups["name"].Value).ToArray();
        Assert.True(options.Length > 90, $"the client lists {options.Length} options");
        Assert.DoesNotContain(options, option => !Regex.IsMatch(script, $"{Regex.Escape(option)}(?![a-z-])"));
    }

    /// <summary>Those of Windows are shown by a client that knows of no engine; --use-api-socket mounts the engine's socket, another one on each side.</summary>
    [GeneratedRegex(@"^ +(-\w, )? *(?<name>--(?!cpu-count|cpu-percent|io-max|use-api-socket)[a-z0-9-]+)", RegexOptions.Multiline)]
    private static partial Regex Option();
}
