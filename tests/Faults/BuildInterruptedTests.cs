using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Builds of BuildKit's clients (docker-buildx, <c>slipway build</c>) that are interrupted, and the engine killed under them.</summary>
public sealed partial class BuildInterruptedTests() : BuildFaultTest("bintr")
{
    private const int Steps = 4;

    /// <summary>Bytes of a context that are here when it is interrupted.</summary>
    private const long ContextBegun = 16 << 20;

    /// <summary>What <i>within a second or so</i> is on a machine that has other things to do.</summary>
    private static readonly TimeSpan s_soon = Programs.Limit(3);

    private Dictionary<string, string> _buildx = [];

    public enum Client
    {
        Buildx,
        Slipway,
    }

    public enum Moment
    {
        ContextComes,
        StepRuns,
        TwoStepsRun,
        ResultGoes,
    }

    public static TheoryData<Client, Moment> Moments => new MatrixTheoryData<Client, Moment>(Enum.GetValues<Client>(), Enum.GetValues<Moment>());

    [Theory]
    [MemberData(nameof(Moments))]
    public async Task An_interrupted_build_ends_at_once_and_leaves_nothing(Client client, Moment moment)
    {
        await Prepare();
        var before = await Footprint.Settled(Engine);
        HashSet<string> ids = new(StringComparer.Ordinal);
        for (var round = 0; round < Rounds.Of(2); round++)
        {
            await WriteAsync(moment, round);
            string[] outputs = moment == Moment.ResultGoes ? ["-o", "type=tar,dest=-"] : [];

            // Whoever started the tests in the background had the shell ignore the signal for all of them.
            using var build = Programs.Start("env", ["--default-signal=INT", .. Command(client), .. outputs, Context], _buildx);
            Lines told = new(build.StandardError);
            await Comes(moment, told);
            ids.UnionWith(Processes().Select(process => process.Step));

            (await Programs.Run("kill", ["-INT", build.Id.ToString(CultureInfo.InvariantCulture)])).Ok();
            var clock = Stopwatch.StartNew();
            await NothingRuns($"{client}, {moment}, round {round}", ids);
            Assert.True(clock.Elapsed < s_soon, $"{client}, {moment}: steps ended {clock.Elapsed} after the interrupt");
            await build.WaitForExitAsync(Cancellation);
            Assert.NotEqual(0, build.ExitCode);
            Assert.True(clock.Elapsed < 2 * s_soon, $"{client}, {moment}: the client ended {clock.Elapsed} after the interrupt");

            // Half a file is of no use to the next build.
            await Until(() => ContextBytes() < ContextBegun, told, "the context that has not come whole is kept");
        }

        await NothingIsKept();
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    [Theory]
    [InlineData(Client.Buildx)]
    [InlineData(Client.Slipway)]
    public async Task An_engine_killed_under_a_build_leaves_nothing_but_the_cache_of_its_finished_steps(Client client)
    {
        await Prepare();
        var before = await Footprint.Settled(Engine);
        var random = new Random(Rounds.Seed);
        HashSet<string> ids = new(StringComparer.Ordinal);
        for (var round = 0; round < Rounds.Of(3); round++)
        {
            await WriteLineAsync(round);
            using var build = Programs.Start(Command(client)[0], [.. Command(client)[1..], Context], _buildx);
            Lines told = new(build.StandardError);
            await Until(() => Processes().Any(), told, "the long step does not begin");
            await Task.Delay(random.Next(900), Cancellation);
            ids.UnionWith(Processes().Select(process => process.Step));
            await Engine.Kill();
            await build.WaitForExitAsync(Cancellation);
            Assert.NotEqual(0, build.ExitCode);
            await Engine.Start();
            await NothingRuns($"{client}, seed {Rounds.Seed}, round {round}", ids);

            // What the client was told of as done is not done again.
            var done = Count(await told.All(), "DONE");
            var again = (await Programs.Run(Command(client)[0], [.. Command(client)[1..], "--target", "line", Context], environment: _buildx)).Ok();
            var cached = Count(again.Error, "CACHED");
            Assert.True(cached >= done, $"{client}, seed {Rounds.Seed}, round {round}: {done} steps were done, {cached} found: {again}");
        }

        await NothingIsKept();
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, ids));
    }

    private async Task Prepare()
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        _buildx = new Dictionary<string, string>(Docker.Variables)
        {
            ["DOCKER_CONFIG"] = await CliPlugins.Configuration("docker-buildx"), ["BUILDX_GIT_INFO"] = "false", ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}",
        };
        foreach (var client in Enum.GetValues<Client>())
        {
            // First use opens what stays open: not a leak.
            await File.WriteAllTextAsync($"{Context}/Dockerfile", "FROM alpine\nRUN true\n", Cancellation);
            (await Programs.Run(Command(client)[0], [.. Command(client)[1..], Context], environment: _buildx)).Ok();
        }
    }

    private static string[] Command(Client client) =>
        client == Client.Buildx ? [Docker.Path, "buildx", "build", "--progress", "plain"] : [Repository.Executable!, "build", "--progress", "plain"];

    /// <summary>A build in which the moment lasts until somebody ends it.</summary>
    private async Task WriteAsync(Moment moment, int round)
    {
        var run = $"RUN --mount=type=cache,target=/cache,sharing=locked --mount=type=tmpfs,target=/scratch --mount=type=bind,from=alpine,target=/other,rw "
            + $"trap '' TERM INT; echo {round} > /other/file; setsid sleep {Marker} & sleep {Marker}\n";
        await File.WriteAllTextAsync($"{Context}/Dockerfile", moment switch
        {
            Moment.ContextComes => "FROM alpine\nCOPY large /large\n",
            Moment.StepRuns => $"FROM alpine\n{run}",
            Moment.TwoStepsRun => $"FROM alpine AS one\n{run}FROM alpine AS two\nRUN echo {round}; sleep {Marker}\nFROM one\nCOPY --from=two / /two/\n",
            _ => $"FROM alpine\nRUN head -c 50000000 /dev/zero > /zeros; echo {round}\n",
        }, Cancellation);
        await using var large = File.Create($"{Context}/large");
        large.SetLength(moment == Moment.ContextComes ? 6L << 30 : round);
    }

    /// <summary>Steps in a line that can be counted, and one beside them that nobody ends but a kill.</summary>
    private Task WriteLineAsync(int round) => File.WriteAllTextAsync(
        $"{Context}/Dockerfile",
        $"""
        FROM alpine AS line
        {string.Concat(Enumerable.Range(0, Steps).Select(i => $"RUN head -c 300000 /dev/urandom > /file{i}; sleep 0.1; echo {round}\n"))}
        FROM alpine AS long
        RUN --mount=type=cache,target=/cache,sharing=locked trap '' TERM INT; echo {round} > /cache/file; setsid sleep {Marker} & sleep {Marker}
        FROM line
        COPY --from=long / /long/
        """,
        Cancellation);

    private async Task Comes(Moment moment, Lines told)
    {
        switch (moment)
        {
            case Moment.ContextComes:
                await Until(() => ContextBytes() > ContextBegun, told, "no context comes");
                break;
            case Moment.StepRuns or Moment.TwoStepsRun:
                var count = moment == Moment.TwoStepsRun ? 2 : 1;
                await Until(() => Processes().Select(process => process.Step).Distinct().Count() == count, told, $"{count} steps do not run");
                break;
            default:
                // Nobody reads the archive: it stops when what lies between is full.
                await Until(() => told.Text.Contains("sending tarball", StringComparison.Ordinal) || told.Text.Contains("exporting", StringComparison.Ordinal), told, "nothing is exported");
                await Task.Delay(200, Cancellation);
                break;
        }
    }

    private long ContextBytes()
    {
        DirectoryInfo contexts = new(Path.Combine(Engine.DataRoot, "contexts"));
        try
        {
            return contexts.Exists ? contexts.EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length) : 0;
        }
        catch (IOException)
        {
            return ContextBegun; // Something of it goes just now.
        }
    }

    private static async Task Until(Func<bool> isSo, Lines told, string otherwise)
    {
        for (var clock = Stopwatch.StartNew(); !isSo(); await Task.Delay(10, Cancellation))
        {
            Assert.True(clock.Elapsed < Programs.Limit(30), $"{otherwise}: {told.Text}");
        }
    }

    /// <summary>Of how many RUN of the stage <c>line</c> a plain progress says this.</summary>
    private static int Count(string progress, string word) =>
        LineStep().Matches(progress).Count(step => progress.Contains($"\n{step.Groups[1].Value} {word}", StringComparison.Ordinal));

    [GeneratedRegex(@"^(#[0-9]+) \[line [2-9]/[0-9]\]", RegexOptions.Multiline)]
    private static partial Regex LineStep();

    /// <summary>What a client prints, while it prints it.</summary>
    private sealed class Lines
    {
        private readonly System.Text.StringBuilder _text = new();
        private readonly Task _reading;

        public Lines(StreamReader reader) => _reading = Task.Run(async () =>
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                lock (_text)
                {
                    _text.Append(line).Append('\n');
                }
            }
        });

        public string Text
        {
            get
            {
                lock (_text)
                {
                    return _text.ToString();
                }
            }
        }

        /// <summary>Everything, once the client has ended.</summary>
        public async Task<string> All()
        {
            await _reading;
            return Text;
        }
    }
}
