using System.Collections.Concurrent;
using Slipway.Build.Graph;
using Slipway.Build.Solving;
using Slipway.Build.Syntax;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>The solver with an executor that only notes what it is asked for.</summary>
public sealed class BuildSolverTests
{
    private readonly Executor _executor = new();
    private readonly Cache _cache = new();
    private readonly Observer _observer = new();

    private async Task<StageState> Solve(string text, SolveOptions? options = null, Dictionary<string, string?>? arguments = null)
    {
        StageGraph graph = StageGraph.Of(DockerfileParser.Parse(text), null, arguments ?? [], Platform.Host, Platform.Host, new HashSet<string>());
        _executor.Done.Clear();
        return await new BuildSolver(
            graph, options ?? new SolveOptions { History = HistoryText.Classic, IsClassic = true }, _executor, _cache, _observer, TimeProvider.System, TestContext.Current.CancellationToken).SolveAsync();
    }

    [Fact]
    public async Task What_was_done_is_not_done_again()
    {
        const string Text = "FROM base\nRUN one\nCOPY a /\nRUN two";
        StageState first = await Solve(Text);
        Assert.Equal(["RUN /bin/sh -c one", "COPY a /", "RUN /bin/sh -c two"], _executor.Done);
        StageState second = await Solve(Text);
        Assert.Empty(_executor.Done);
        Assert.Equal(first.Document(), second.Document());
    }

    [Fact]
    public async Task A_changed_file_runs_what_comes_after_it_and_nothing_before()
    {
        const string Text = "FROM base\nRUN one\nCOPY a /\nRUN two";
        await Solve(Text);
        _executor.Content["a"] = "changed";
        await Solve(Text);
        Assert.Equal(["COPY a /", "RUN /bin/sh -c two"], _executor.Done);
    }

    [Fact]
    public async Task A_changed_label_runs_nothing()
    {
        await Solve("FROM base\nLABEL a=1\nRUN one");
        StageState state = await Solve("FROM base\nLABEL a=2\nRUN one");
        Assert.Empty(_executor.Done);
        Assert.Equal("2", state.Config.Labels!["a"]);
    }

    [Theory]
    [InlineData("ENV X=1")]
    [InlineData("USER nobody")]
    [InlineData("WORKDIR /w")]
    [InlineData("SHELL [\"/bin/other\"]")]
    [InlineData("ARG Z=1")]
    public async Task What_a_program_sees_is_part_of_its_key(string instruction)
    {
        await Solve("FROM base\nRUN one");
        await Solve($"FROM base\n{instruction}\nRUN one");
        Assert.Contains(_executor.Done, step => step.StartsWith("RUN ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stages_that_do_not_depend_on_each_other_run_at_the_same_time()
    {
        _executor.Meeting = new Barrier(2);
        await Solve("FROM base AS a\nRUN meet a\nFROM base AS b\nRUN meet b\nFROM scratch\nCOPY --from=a /x /\nCOPY --from=b /y /").WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(4, _executor.Done.Count);
    }

    [Fact]
    public async Task A_stage_that_is_not_needed_does_not_run()
    {
        await Solve("FROM base AS a\nRUN never\nFROM base\nRUN one");
        Assert.Equal(["RUN /bin/sh -c one"], _executor.Done);
    }

    [Fact]
    public async Task A_failure_is_told_when_the_other_stages_have_ended()
    {
        InvalidOperationException error = await Assert.ThrowsAsync<InvalidOperationException>(
            () => Solve("FROM base AS a\nRUN hang\nFROM base AS b\nRUN fail\nFROM a\nCOPY --from=b /x /").WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.Equal("failed", error.Message);
        Assert.Equal(0, _executor.Hanging);
    }

    [Fact]
    public async Task Without_the_cache_all_is_done()
    {
        await Solve("FROM base\nRUN one");
        await Solve("FROM base\nRUN one", new SolveOptions { History = HistoryText.Classic, NoCache = true });
        Assert.Equal(["RUN /bin/sh -c one"], _executor.Done);
        await Solve("FROM base AS x\nRUN one", new SolveOptions { History = HistoryText.Classic, NoCacheStages = ["x"] });
        Assert.Equal(["RUN /bin/sh -c one"], _executor.Done);
    }

    [Fact]
    public async Task A_layer_that_is_gone_is_made_again()
    {
        await Solve("FROM base\nRUN one");
        _executor.HoldsNothing = true;
        await Solve("FROM base\nRUN one");
        Assert.Equal(["RUN /bin/sh -c one"], _executor.Done);
    }

    [Theory]
    [InlineData("RUN a", "/bin/sh -c a")]
    [InlineData("RUN [\"a\", \"b\"]", "a b")]
    [InlineData("ARG X=1\nRUN a", "|1 X=1 /bin/sh -c a")]
    [InlineData("CMD [\"a\", \"b\"]", "/bin/sh -c #(nop)  CMD [\"a\" \"b\"]")]
    [InlineData("ENV a=b c=\"d e\"", "/bin/sh -c #(nop)  ENV a=b c=d e")]
    [InlineData("EXPOSE 80", "/bin/sh -c #(nop)  EXPOSE 80")]
    [InlineData("VOLUME /data", "/bin/sh -c #(nop)  VOLUME [/data]")]
    [InlineData("SHELL [\"/bin/bash\", \"-c\"]\nRUN a", "/bin/bash -c a")]
    public async Task Histories_have_the_words_of_the_classic_builder(string instructions, string expected) =>
        Assert.Equal(expected, (await Solve($"FROM base\n{instructions}")).History[^1].CreatedBy);

    [Theory]
    [InlineData("ARG X=1\nARG Y Z=\nENV X=e\nARG Y=2\nRUN a", "RUN |4 X=e Y=2 Z= Y=2 /bin/sh -c a # buildkit")]
    [InlineData("COPY --chmod=600 a /", "COPY --chmod=600 a / # buildkit")]
    [InlineData("ENV a=b\nONBUILD RUN c", "ENV a=b")]
    [InlineData("EXPOSE 81 80/udp 90-91", "EXPOSE map[80/udp:{} 81/tcp:{} 90/tcp:{} 91/tcp:{}]")]
    [InlineData("RUN <<A cat <<B\n1\nA\n2\nB\n", "RUN /bin/sh -c <<A cat <<B\n1\nA\n2\nB # buildkit")]
    public async Task Histories_have_the_words_of_BuildKit(string instructions, string expected) =>
        Assert.Equal(expected, (await Solve($"FROM base\n{instructions}", new SolveOptions { History = HistoryText.BuildKit })).History[^1].CreatedBy);

    [Fact]
    public async Task Configurations_begin_as_with_BuildKit()
    {
        StageState state = await Solve("FROM scratch\nCMD a", new SolveOptions { History = HistoryText.BuildKit });
        Assert.Equal(("/", true), (state.Config.WorkingDir, state.Config.ArgsEscaped));
        state = await Solve("FROM scratch\nCMD a", new SolveOptions { History = HistoryText.Classic, IsClassic = true });
        Assert.Equal((null, null), (state.Config.WorkingDir, state.Config.ArgsEscaped));
    }

    [Theory]
    [InlineData("FROM base AS one\nrun  a $X\nRUN b", "[1/3] FROM docker.io/library/base:latest", "[2/3] RUN  a $X", "[3/3] RUN b")]
    [InlineData("FROM base AS x\nFROM base\nRUN b", "[stage-1 1/2] FROM docker.io/library/base:latest", "[stage-1 2/2] RUN b")]
    [InlineData("FROM scratch\nRUN 1\nRUN 2\nRUN 3\nRUN 4\nRUN 5\nRUN 6\nRUN 7\nRUN 8\nRUN 9\nRUN 10", "FROM scratch", "[ 1/10] RUN 1", "[ 2/10] RUN 2")]
    [InlineData("FROM base\nRUN <<EOF\na\nEOF\nRUN <<EOF\na\nb\nEOF\nRUN cat <<EOF\na\nEOF\n", "[1/4] FROM docker.io/library/base:latest", "[2/4] RUN <<EOF (a)", "[3/4] RUN <<EOF (a...)", "[4/4] RUN cat <<EOF")]
    public async Task Steps_are_called_as_by_BuildKit(string text, params string[] names)
    {
        await Solve(text, new SolveOptions { History = HistoryText.BuildKit });
        Assert.Equal(names, _observer.Names.Take(names.Length));
    }

    [Fact]
    public async Task A_program_of_BuildKit_has_proxies_in_both_cases_and_a_host_s_name_without_a_variable()
    {
        await Solve("FROM base\nRUN a", new SolveOptions { History = HistoryText.BuildKit }, new() { ["http_proxy"] = "p", ["NO_PROXY"] = "n", ["no_proxy"] = "m", ["BUILDKIT_SANDBOX_HOSTNAME"] = "named" });
        RunOperation run = Assert.IsType<RunOperation>(_executor.Last);
        Assert.Equal(["HTTP_PROXY=p", "NO_PROXY=n", "http_proxy=p", "no_proxy=m"], run.Proxies.Order(StringComparer.Ordinal));
        Assert.Equal("named", run.Hostname);
        await Solve("FROM base\nRUN b", new SolveOptions { History = HistoryText.Classic, IsClassic = true }, new() { ["http_proxy"] = "p" });
        run = Assert.IsType<RunOperation>(_executor.Last);
        Assert.Equal(["http_proxy=p"], run.Proxies);
        Assert.Null(run.Hostname);
    }

    [Theory]
    [InlineData("ADD --checksum=sha256:00 http://x/y /", "invalid checksum digest length")]
    [InlineData("ADD --checksum=md5:00 http://x/y /", "unsupported digest algorithm")]
    [InlineData("ADD --checksum=x http://x/y /", "invalid checksum digest format")]
    [InlineData("ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 y /", "checksum can't be specified for non-HTTP sources")]
    [InlineData("VOLUME \"\"", "VOLUME specified can not be an empty string")]
    public async Task What_cannot_be_meant_at_its_place_is_an_error(string instruction, string problem) =>
        Assert.Equal(problem, (await Assert.ThrowsAsync<DockerfileException>(() => Solve($"FROM base\n{instruction}"))).Message);

    [Fact]
    public async Task A_trigger_copies_from_no_stage_that_nobody_needs()
    {
        _executor.Triggers = ["COPY --from=other /a /"];
        DockerfileException error = await Assert.ThrowsAsync<DockerfileException>(() => Solve("FROM scratch AS other\nFROM base AS own"));
        Assert.Equal("cannot copy from stage \"other\", it needs to be defined before current stage \"own\"", error.Message);
        Assert.Equal(2, error.Position!.Value.Line);
    }

    [Fact]
    public async Task An_entrypoint_takes_the_command_of_the_base_away()
    {
        Assert.Null((await Solve("FROM base\nENTRYPOINT [\"e\"]")).Config.Cmd);
        Assert.Equal(["own"], (await Solve("FROM base\nCMD [\"own\"]\nENTRYPOINT [\"e\"]")).Config.Cmd);
    }

    [Fact]
    public async Task Triggers_of_the_base_come_first_and_are_not_handed_down()
    {
        StageState state = await Solve("FROM triggering\nRUN one");
        Assert.Equal(["RUN /bin/sh -c triggered", "RUN /bin/sh -c one"], _executor.Done);
        Assert.Null(state.Config.OnBuild);
    }

    [Fact]
    public async Task A_given_time_is_that_of_all_steps()
    {
        DateTimeOffset date = DateTimeOffset.FromUnixTimeSeconds(1_600_000_000);
        StageState state = await Solve("FROM scratch\nRUN one\nLABEL a=b", new SolveOptions { History = HistoryText.BuildKit, SourceDate = date });
        Assert.Equal(["2020-09-13T12:26:40Z", "2020-09-13T12:26:40Z"], state.History.Select(entry => entry.Created));
    }

    [Fact]
    public void Parts_of_a_key_do_not_run_into_each_other()
    {
        using KeyBuilder first = new("x");
        using KeyBuilder second = new("x");
        Assert.NotEqual(first.Add("ab").Add("c").Finish(), second.Add("a").Add("bc").Finish());
    }

    [Fact]
    public async Task Before_a_breakpoint_the_executor_is_told_whatever_the_step_and_its_cache()
    {
        StageGraph graph = StageGraph.Of(
            DockerfileParser.Parse("FROM base\nWORKDIR /w\nRUN one\nLABEL a=b\nCOPY a /"), null, new Dictionary<string, string?>(), Platform.Host, Platform.Host, new HashSet<string>());
        Instruction[] instructions = [.. graph.Stages[0].Stage.Instructions];
        SolveOptions options = new() { History = HistoryText.Classic, Breakpoints = new HashSet<Instruction>(instructions[1..], ReferenceEqualityComparer.Instance) };
        string[] paused = ["pause with 2 layers in /w before RUN one", "pause with 3 layers in /w before LABEL a=b", "pause with 3 layers in /w before COPY a /"];
        for (int round = 0; round < 2; round++)
        {
            _executor.Done.Clear();
            await new BuildSolver(graph, options, _executor, _cache, _observer, TimeProvider.System, TestContext.Current.CancellationToken).SolveAsync();
            Assert.Equal(paused, _executor.Done.Where(step => step.StartsWith("pause", StringComparison.Ordinal)));
            Assert.Equal(round == 0 ? 6 : 3, _executor.Done.Count);
        }
    }

    private sealed class Inputs : StepInputs;

    private sealed class Observer : ISolveObserver
    {
        public ConcurrentQueue<string> Names { get; } = [];

        public ValueTask StartedAsync(StepVertex vertex)
        {
            Names.Enqueue(vertex.Name);
            return ValueTask.CompletedTask;
        }

        public ValueTask CompletedAsync(StepVertex vertex, StepOutcome outcome) => ValueTask.CompletedTask;

        public ValueTask FailedAsync(StepVertex vertex, Exception error) => ValueTask.CompletedTask;
    }

    private sealed class Cache : IStepCache
    {
        public Task<CachedStep?> ImportAsync(CachedStep wanted, Digest top, CancellationToken cancellationToken) => Task.FromResult<CachedStep?>(null);

        private readonly ConcurrentDictionary<Digest, CachedStep> _steps = [];

        public Task<CachedStep?> FindAsync(Digest key, CancellationToken cancellationToken) => Task.FromResult(_steps.GetValueOrDefault(key));

        public Task StoreAsync(CachedStep step, CancellationToken cancellationToken)
        {
            _steps[step.Key] = step;
            return Task.CompletedTask;
        }
    }

    private sealed class Executor : IStepExecutor
    {
        private int _hanging;
        private int _layers;

        public ConcurrentQueue<string> Done { get; } = [];

        public Dictionary<string, string> Content { get; } = [];

        public Barrier? Meeting { get; set; }

        public bool HoldsNothing { get; set; }

        public IReadOnlyList<string>? Triggers { get; set; }

        public StepOperation? Last { get; private set; }

        public int Hanging => _hanging;

        public Task PauseAsync(RunOperation operation, StepVertex vertex, CancellationToken cancellationToken)
        {
            Done.Enqueue($"pause with {operation.Rootfs.Count} layers in {operation.WorkingDirectory} before {vertex.Text}");
            return Task.CompletedTask;
        }

        public bool TryHold(Digest chainId) => !HoldsNothing;

        public Task<BaseImage> ResolveAsync(string name, Platform platform, StepVertex vertex, CancellationToken cancellationToken) => Task.FromResult(new BaseImage(
            Digest.Of([1]),
            new ImageConfig { Os = "linux", Architecture = "amd64", Config = new ImageRunConfig { Cmd = ["base"], OnBuild = name == "triggering" ? ["RUN triggered"] : Triggers }, RootFs = new RootFilesystem() },
            [new BuiltLayer(Digest.Of([2]), Digest.Of([3]), 1)]));

        public Task<StepInputs> PrepareAsync(StepOperation operation, StepVertex vertex, CancellationToken cancellationToken) =>
            Task.FromResult<StepInputs>(new Inputs { Content = operation is TransferOperation transfer ? Digest.Of(System.Text.Encoding.UTF8.GetBytes(Content.GetValueOrDefault(transfer.Paths[0], ""))) : default });

        public async Task<BuiltLayer?> ExecuteAsync(StepOperation operation, StepInputs inputs, StepVertex vertex, CancellationToken cancellationToken)
        {
            Last = operation;
            string command = operation.Description;
            if (command.EndsWith("fail", StringComparison.Ordinal))
            {
                throw new InvalidOperationException("failed");
            }

            if (command.EndsWith("hang", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref _hanging);
                try
                {
                    await Task.Delay(Timeout.Infinite, cancellationToken);
                }
                finally
                {
                    Interlocked.Decrement(ref _hanging);
                }
            }

            if (command.Contains("meet", StringComparison.Ordinal))
            {
                // Returns only when the other is here too.
                await Task.Factory.StartNew(() => Meeting!.SignalAndWait(cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            }

            Done.Enqueue(command);
            byte number = (byte)(10 + Interlocked.Increment(ref _layers));
            return new BuiltLayer(Digest.Of([number]), Digest.Of([number, 1]), 1);
        }
    }
}
