using System.Globalization;
using System.Runtime.ExceptionServices;
using Slipway.Build.Graph;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>What a solver needs to know beside the graph.</summary>
public sealed record SolveOptions
{
    public bool NoCache { get; init; }

    /// <summary>Stages of which nothing is taken from the cache, by name.</summary>
    public IReadOnlyList<string> NoCacheStages { get; init; } = [];

    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>What BuildKit does in another way is done as the classic builder does it.</summary>
    public bool IsClassic { get; init; }

    /// <summary>Images whose history may have what a step makes (the classic <c>--cache-from</c>).</summary>
    public HistoryCache? HistoryCache { get; init; }

    /// <summary>The time of all that is made; null: the time it is.</summary>
    public DateTimeOffset? SourceDate { get; init; }

    public required HistoryText History { get; init; }

    /// <summary>Steps in common with the solvers of other platforms; null: it is the only one.</summary>
    public SharedSteps? Shared { get; init; }

    /// <summary>Stages that the solvers of other platforms have too.</summary>
    public IReadOnlySet<int> CommonStages { get; init; } = new HashSet<int>();

    /// <summary>Names of contexts that stand for images and stages.</summary>
    public IReadOnlySet<string> Contexts { get; init; } = new HashSet<string>();

    /// <summary>Those of them that are images: what is copied from them are an image's files.</summary>
    public IReadOnlySet<string> ImageContexts { get; init; } = new HashSet<string>();

    /// <summary>Instructions before which the executor is told to pause.</summary>
    public IReadOnlySet<Instruction> Breakpoints { get; init; } = new HashSet<Instruction>();
}

/// <summary>
/// Builds the target of a graph: each stage once, those that do not depend on each other at the same time, their steps one after the other, each only where its key is not
/// in the cache.
/// </summary>
public sealed class BuildSolver
{
    private readonly Dictionary<int, Task<StageState>> _stages = [];
    private readonly Dictionary<int, int> _firstNumbers = [];
    private readonly List<(int Stage, SolvedStep Step)> _steps = [];
    private readonly HashSet<int> _ofResult = [];
    private readonly CancellationTokenSource _failed;
    private ExceptionDispatchInfo? _failure;

    public BuildSolver(StageGraph graph, SolveOptions options, IStepExecutor executor, IStepCache cache, ISolveObserver observer, TimeProvider time, CancellationToken cancellationToken)
    {
        (Graph, Options, Executor, Cache, Observer, Time) = (graph, options, executor, cache, observer, time);
        _failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        int number = 1 + graph.Document.GlobalArguments.Count;
        foreach (StageNode stage in graph.Stages)
        {
            _firstNumbers.Add(stage.Stage.Index, number);
            number += 1 + stage.Stage.Instructions.Count;
        }

        StepCount = number - 1 + (options.IsClassic ? options.Labels.Count : 0);
        for (int? stage = graph.Target; stage is { } index; stage = (graph[index].Base as StageReference)?.Index)
        {
            _ofResult.Add(index);
        }
    }

    /// <summary>What was done so far, in the order of the file, whatever ran at the same time: a stage starts from an earlier one, so each step is after the one before it.</summary>
    public IReadOnlyList<SolvedStep> Steps
    {
        get
        {
            lock (_steps)
            {
                return [.. _steps.OrderBy(step => step.Stage).Select(step => step.Step)];
            }
        }
    }

    public StageGraph Graph { get; }

    public SolveOptions Options { get; }

    public IStepExecutor Executor { get; }

    public IStepCache Cache { get; }

    public ISolveObserver Observer { get; }

    public TimeProvider Time { get; }

    /// <summary>All instructions of the stages that are needed, and those before the first.</summary>
    public int StepCount { get; }

    /// <summary>Cancelled when any stage has failed.</summary>
    public CancellationToken Stopping => _failed.Token;

    /// <summary>What the target makes. Where a stage fails the others are stopped, and have ended when the failure is told.</summary>
    public async Task<StageState> SolveAsync()
    {
        try
        {
            await DeclareGlobalsAsync();
            foreach (StageNode stage in Graph.Stages)
            {
                _ = StageAsync(stage.Stage.Index);
            }

            return await StageAsync(Graph.Target);
        }
        catch (OperationCanceledException) when (_failure is not null)
        {
            // The target was stopped because another stage had failed.
            _failure.Throw();
            throw;
        }
        finally
        {
            await _failed.CancelAsync();
            Task<StageState>[] running;
            lock (_stages)
            {
                running = [.. _stages.Values];
            }

            await ((Task)Task.WhenAll(running)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _failed.Dispose();
        }
    }

    /// <summary>What a stage makes; it is begun where it was not.</summary>
    public Task<StageState> StageAsync(int index)
    {
        lock (_stages)
        {
            if (!_stages.TryGetValue(index, out Task<StageState>? stage))
            {
                stage = Task.Run(() => RunStageAsync(index), CancellationToken.None);
                _stages.Add(index, stage);
            }

            return stage;
        }
    }

    internal void Note(int stage, CachedStep step, Digest parent, IReadOnlyList<BuiltLayer> layers)
    {
        lock (_steps)
        {
            _steps.Add((stage, new SolvedStep(step.Key, parent, layers, step.Created, _ofResult.Contains(stage))));
        }
    }

    internal bool MayUseCache(StageNode stage) =>
        !Options.NoCache && !Options.NoCacheStages.Contains(stage.Name, StringComparer.OrdinalIgnoreCase) && !Options.NoCacheStages.Contains(stage.Stage.Index.ToString(CultureInfo.InvariantCulture));

    internal DateTimeOffset Now => Options.SourceDate ?? Time.GetUtcNow();

    private async Task<StageState> RunStageAsync(int index)
    {
        try
        {
            StageNode stage = Graph[index];
            return await new StageSolver(this, stage, _firstNumbers[index]).SolveAsync();
        }
        catch (Exception error)
        {
            // The first failure is the one that counts; it ends the others.
            if (error is not OperationCanceledException)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(error), null);
            }

            await _failed.CancelAsync();
            throw;
        }
    }

    private async Task DeclareGlobalsAsync()
    {
        int number = 0;
        foreach (ArgInstruction instruction in Graph.Document.GlobalArguments)
        {
            number++;
            using KeyBuilder key = new("global");
            if (Options.Shared is not null)
            {
                key.Add(Graph.Platform.ToString());
            }

            StepVertex vertex = new(key.Add(number).Add(instruction.Original).Finish(), instruction.Original, [], number, StepCount, instruction.Original)
            {
                IsConfiguration = true,
                Lines = instruction.Lines,
            };
            await Observer.StartedAsync(vertex);
            await Observer.CompletedAsync(vertex, new StepOutcome(Cached: false, default));
        }
    }
}
