using Xunit;

namespace Slipway.Tests.Engine.Server.BuildKit;

/// <summary>What the unmodified docker-buildx asks of the frontend instead of a build.</summary>
public sealed class SubrequestTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-buildx-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<(int Exit, string Output, string Error)> AskAsync(string question, string dockerfile)
    {
        File.WriteAllText(Path.Combine(_folder, "Dockerfile"), dockerfile);
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.Builds = new FakeBuilds((_, _, _) => throw new InvalidOperationException("a build, where none was asked for"));
        return await Buildx.RunAsync(
            server, _folder, ["buildx", "build", $"--print={question}", "."], environment: new Dictionary<string, string> { ["BUILDX_EXPERIMENTAL"] = "1" });
    }

    [Fact]
    public async Task Checks_are_answered_with_what_the_rules_found()
    {
        (int exit, string output, string error) = await AskAsync("lint", "FROM alpine as base\nRUN true\n");

        Assert.True(exit == 0, error);
        Assert.Contains("WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/", output, StringComparison.Ordinal);
        Assert.Contains("   1 | >>> FROM alpine as base", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_meant_is_part_of_the_answer()
    {
        (int exit, string output, string error) = await AskAsync("lint", "FROM alpine\nRNU true\n");

        Assert.True(exit == 0, error);
        Assert.Contains("unknown instruction: RNU (did you mean RUN?)", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_question_is_refused()
    {
        (int exit, _, string error) = await AskAsync("outline", "FROM alpine\n");

        Assert.NotEqual(0, exit);
        Assert.Contains("unsupported subrequest frontend.outline", error, StringComparison.Ordinal);
    }
}
