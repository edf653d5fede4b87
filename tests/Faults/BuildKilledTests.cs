using System.Globalization;
using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Builds that end at a random instant: the client leaves, or the engine, the supervisor or both are killed.</summary>
public sealed partial class BuildKilledTests() : BuildFaultTest("bkill")
{
    private const int InCi = 4;
    private const int Steps = 6;

    private Dictionary<string, string> Variables => new(Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" };

    /// <summary>
    /// Steps that write layers, in a line that can be counted; beside them a stage that holds a cache, binds another stage, and ends by nobody's request but a kill.
    /// </summary>
    private void Write(int round) => File.WriteAllText(
        $"{Context}/Dockerfile",
        $"""
        FROM alpine AS line
        {string.Concat(Enumerable.Range(0, Steps).Select(i => $"RUN head -c 300000 /dev/urandom > /file{i}; echo {round}\n"))}
        FROM alpine AS long
        RUN --mount=type=cache,target=/cache,sharing=locked --mount=type=tmpfs,target=/scratch \
            --mount=type=bind,from=alpine,target=/other,rw \
            trap '' TERM INT; echo {round} > /cache/file; echo > /other/file; setsid sleep {Marker} & sleep {Marker}
        FROM line
        COPY --from=long / /long/
        """);

    private Task<CliResult> BuildLine() => Programs.Run(Docker.Path, ["build", "--target", "line", Context], environment: Variables);

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task Nothing_is_left_of_a_killed_build_but_the_cache_of_its_finished_steps(bool engine, bool supervisor)
    {
        var before = await Footprint.Settled(Engine);
        var random = new Random(Rounds.Seed);
        HashSet<string> ids = new(StringComparer.Ordinal);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            Write(round);
            using var build = Programs.Start(Docker.Path, ["build", Context], Variables);
            var output = build.StandardOutput.ReadToEndAsync(Cancellation);
            _ = build.StandardError.ReadToEndAsync(Cancellation);
            await Task.Delay(random.Next(900), Cancellation);
            if (supervisor)
            {
                await Engine.KillSupervisor();
            }

            if (engine)
            {
                await Engine.Kill();
            }

            await build.WaitForExitAsync(Cancellation);
            Assert.NotEqual(0, build.ExitCode);
            if (engine)
            {
                await Engine.Start();
            }

            ids.UnionWith(Running().Matches(await output).Select(match => match.Groups[1].Value));
            await NothingRuns($"seed {Rounds.Seed}, round {round}", ids);
            await Docker.Until(text => text == "after\n", ["run", "--rm", "alpine", "echo", "after"]);

            // The steps of the line that the client was told of as done are not done again.
            var done = Done(await output);
            var again = (await BuildLine()).Ok();
            Assert.True(Cached().Count(again.Output) >= done, $"seed {Rounds.Seed}, round {round}: {done} steps were done: {again}");
        }

        await NothingIsKept();
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    [Fact]
    public async Task A_client_that_leaves_ends_all_steps_at_once()
    {
        var before = await Footprint.Settled(Engine);
        var random = new Random(Rounds.Seed);
        HashSet<string> ids = new(StringComparer.Ordinal);
        for (var round = 0; round < Rounds.Of(3 * InCi); round++)
        {
            Write(round);
            // Whoever started the tests in the background had the shell ignore the signal for all of them.
            using var build = Programs.Start("env", ["--default-signal=INT", Docker.Path, "build", Context], Variables);
            var output = build.StandardOutput.ReadToEndAsync(Cancellation);
            _ = build.StandardError.ReadToEndAsync(Cancellation);
            await Task.Delay(random.Next(700), Cancellation);
            (await Programs.Run("kill", ["-INT", build.Id.ToString(CultureInfo.InvariantCulture)])).Ok();
            await build.WaitForExitAsync(Cancellation);
            ids.UnionWith(Running().Matches(await output).Select(match => match.Groups[1].Value));
            await NothingRuns($"seed {Rounds.Seed}, round {round}", ids);
        }

        // The cache that a step had locked is free again.
        File.WriteAllText($"{Context}/Dockerfile", "FROM alpine\nRUN --mount=type=cache,target=/cache,sharing=locked cat /cache/file");
        (await Programs.Run(Docker.Path, ["build", Context], environment: Variables)).Ok();
        await NothingIsKept();
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    /// <summary>Steps of the stage <c>line</c> whose image the client was told of: they were stored before. Those that never began are not told of at all.</summary>
    private static int Done(string output)
    {
        // What stands before the first step, then each step's number and what was told of it; the first step is FROM.
        var parts = Step().Split(output);
        return Enumerable.Range(0, parts.Length / 2).Count(i => int.Parse(parts[(2 * i) + 1], CultureInfo.InvariantCulture) is > 1 and <= Steps + 1 && Made().IsMatch(parts[(2 * i) + 2]));
    }

    [GeneratedRegex(@"^ ---> Running in ([0-9a-f]{12})", RegexOptions.Multiline)]
    private static partial Regex Running();

    [GeneratedRegex("^ ---> Using cache", RegexOptions.Multiline)]
    private static partial Regex Cached();

    [GeneratedRegex("^Step ([0-9]+)/", RegexOptions.Multiline)]
    private static partial Regex Step();

    [GeneratedRegex("^ ---> [0-9a-f]{12}$", RegexOptions.Multiline)]
    private static partial Regex Made();
}
