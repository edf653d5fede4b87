using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Slipway.Build.Checks;
using Slipway.Build.Context;
using Slipway.Build.Graph;
using Slipway.Build.Solving;
using Slipway.Build.Syntax;
using Slipway.Engine.Builds.Attestations;
using Slipway.Engine.Builds.Exchange;
using Slipway.Engine.Builds.History;
using Slipway.Engine.Builds.Outputs;
using Slipway.Engine.Builds.Sources;
using Slipway.Engine.Builds.Steps;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Images;
using Slipway.Engine.Images.Registries;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds;

/// <inheritdoc cref="IBuilds"/>
internal sealed partial class BuildService(EngineServices services, ContainerService containers, IRegistries registries) : IBuilds, IAsyncDisposable
{
    private readonly BuildHistory _history = new(services.Data.BuildHistory, HistoryLimits.Default, services.Time, services.Log);
    private readonly ContainerLauncher _launcher = new(services, containers.Index, containers.Links);
    private readonly ConcurrentDictionary<Guid, (CancellationTokenSource Stop, Task Ended)> _running = [];

    public IBuildHistory History => _history;

    public async Task<BuildResult> BuildAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Guid id = Guid.NewGuid();
        _running[id] = (stop, ended.Task);
        try
        {
            return await RecordedAsync(request, progress, stop);
        }
        finally
        {
            _running.TryRemove(id, out _);
            ended.SetResult();
        }
    }

    private async Task<BuildResult> RecordedAsync(BuildRequest request, IBuildProgress progress, CancellationTokenSource stop)
    {
        BuildRecorder recorder = await _history.BeginAsync(request, progress);
        (BuildState state, BuildResult? result, string failure) = (BuildState.Error, null, "");
        try
        {
            result = await StorageErrors.OfAsync(() => BuildAsync(request, recorder, stop));
            state = BuildState.Completed;
            return result;
        }
        catch (Exception error)
        {
            (state, failure) = stop.IsCancellationRequested ? (BuildState.Cancelled, "context canceled") : (BuildState.Error, error.Message);
            throw;
        }
        finally
        {
            await _history.EndAsync(recorder, state, result, failure);
        }
    }

    /// <summary>Ends the builds that run; the engine goes.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach ((CancellationTokenSource stop, Task ended) in _running.Values)
        {
            try
            {
                await stop.CancelAsync();
            }
            catch (ObjectDisposedException)
            {
                // It has just ended by itself.
            }

            await ended;
        }

        await EndMaintenanceAsync();
        _history.Dispose();
    }

    private async Task<BuildResult> BuildAsync(BuildRequest request, IBuildProgress progress, CancellationTokenSource stop)
    {
        CancellationToken cancellationToken = stop.Token;
        DateTimeOffset started = services.Time.GetUtcNow();
        ResultWriter.Check(request);
        CacheExchange.Check(request);
        SquashedStage.Check(request);
        using BuildReport report = new(progress, services.Time, stop);
        await using BuildContexts contexts = new(services, request, report);
        await using IImageIngest ingest = services.Data.Images.BeginIngest();
        (string text, string name) = await contexts.DockerfileAsync(cancellationToken);
        await using CacheExchange exchange = new(services, request, report);
        StepCache cache = new(services.Data.Builds, ingest, await exchange.ImportAsync(cancellationToken), services.Log);
        try
        {
            IReadOnlyList<StageGraph> graphs = await GraphsAsync(request, text, name, contexts.Ignored, report);
            using DebugShells? shells = request.Debugger is null ? null : new DebugShells(request.Debugger, report, name, services.Time);
            StepExecutor executor = new(services, _launcher, services.Steps, registries, request, contexts, ingest, report, shells);
            SolveOptions options = Options(request) with { Breakpoints = Breakpoints.Find(graphs, request.Debugger?.Breakpoints ?? []) };
            (IReadOnlyList<StageState> states, IReadOnlyList<SolvedStep> steps) = await SolveAsync(options, graphs, executor, cache, report, cancellationToken);
            if (request.Style == BuildStyle.Classic && states is [{ Layers.Count: 0, History.Count: 0 }])
            {
                throw new EngineException(ErrorKind.InvalidParameter, "No image was generated. Is your Dockerfile empty?");
            }

            states = exchange.HasInlineExport ? [.. states.Select(state => state with { BuildCache = new CacheExport(steps).Inline(state.Layers) })] : states;
            if (request.Squash)
            {
                states = await Task.WhenAll(states.Select(state => SquashedStage.MakeAsync(services, ingest, state, request.SourceDate, cancellationToken)));
            }

            Attestor? attestor = request.Attestations.IsEmpty ? null : new Attestor(
                services, request, new BuildFacts(name, text, started, services.Time.GetUtcNow(), executor.Materials),
                graphs.ToDictionary(graph => graph.Platform, IReadOnlySet<Platform> (graph) => graph.Stages.Select(stage => stage.Platform).ToHashSet()));
            BuildResult result = await new ResultWriter(services, registries, request, ingest, report, attestor).WriteAsync([.. states.Zip(graphs, (state, graph) => new BuiltPlatform(graph.Platform, state))], cancellationToken);
            IReadOnlyDictionary<string, string> told = await exchange.ExportAsync(steps, cancellationToken);
            return told.Count == 0 ? result : result with { Metadata = new Dictionary<string, string>(result.Metadata.Concat(told)) };
        }
        catch (DockerfileException error)
        {
            throw new BuildException(request.Style == BuildStyle.Classic ? error.ClassicMessage(name) : error.Message, error)
            {
                Lines = error.Position is { } position ? (position.Line, position.Line) : null, Excerpt = error.Excerpt(name, text), Vertex = report.Failed?.Digest ?? default,
            };
        }
        catch (Exception error) when (error is StepFailedException or EngineException && report.Failed is { } failed && !cancellationToken.IsCancellationRequested)
        {
            throw new BuildException(error.Message, error)
            {
                ExitCode = (error as StepFailedException)?.ExitCode,
                Lines = (failed.Lines.First, failed.Lines.Last),
                Excerpt = new DockerfileException(error.Message, new SourcePosition(failed.Lines.First, 1)).Excerpt(name, text),
                Vertex = failed.Digest,
            };
        }
        finally
        {
            await services.Data.Builds.TouchAsync(cache.Used, services.Time.GetUtcNow(), CancellationToken.None);
            BeginMaintenance();
        }
    }

    /// <summary>All platforms at the same time; what they have in common is done once.</summary>
    /// <returns>What the target makes for each platform, and the steps of all.</returns>
    private async Task<(IReadOnlyList<StageState> States, IReadOnlyList<SolvedStep> Steps)> SolveAsync(
        SolveOptions options, IReadOnlyList<StageGraph> graphs, StepExecutor executor, StepCache cache, BuildReport report, CancellationToken cancellationToken)
    {
        using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (graphs.Count > 1)
        {
            options = options with { Shared = new SharedSteps(), CommonStages = StageGraph.Common(graphs) };
        }

        BuildSolver[] solvers = [.. graphs.Select(graph => new BuildSolver(graph, options, executor, cache, report, services.Time, failed.Token))];
        ExceptionDispatchInfo? failure = null;
        try
        {
            IReadOnlyList<StageState> states = await Task.WhenAll(solvers.Select(SolveOneAsync));
            return (states, [.. solvers.SelectMany(solver => solver.Steps)]);
        }
        catch (OperationCanceledException) when (failure is not null)
        {
            // One was stopped because another had failed.
            failure.Throw();
            throw;
        }

        async Task<StageState> SolveOneAsync(BuildSolver solver)
        {
            try
            {
                return await solver.SolveAsync();
            }
            catch (Exception error)
            {
                if (error is not OperationCanceledException)
                {
                    Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(error), null);
                }

                await failed.CancelAsync();
                throw;
            }
        }
    }

    /// <returns>One for each platform.</returns>
    private async Task<IReadOnlyList<StageGraph>> GraphsAsync(BuildRequest request, string text, string name, IgnoreFile ignored, BuildReport report)
    {
        if (text.Length == 0)
        {
            throw new DockerfileException(request.Style == BuildStyle.Classic ? $"the Dockerfile ({name}) cannot be empty" : "the Dockerfile cannot be empty");
        }

        DockerfileDocument document = DockerfileParser.Parse(text);
        HashSet<string> named = [.. request.NamedContexts.Keys];
        IReadOnlyList<Platform> platforms = request.Platforms.Count == 0 ? [Platform.Host] : request.Platforms;
        StageGraph[] graphs = [.. platforms.Select(platform => StageGraph.Of(document, string.IsNullOrEmpty(request.Target) ? null : request.Target, request.Arguments, Platform.Host, platform, named))];
        if (request.Style == BuildStyle.BuildKit)
        {
            await WarnAsync(DockerfileChecker.Check(name, text, document, Checks(request, ignored)), report);
        }

        string[] unused = [.. BuildArguments.Unused(request.Arguments, graphs[0].DeclaredAnywhere())];
        if (unused.Length > 0)
        {
            await report.WarnAsync(new BuildWarning(default, $"One or more build-args [{string.Join(' ', unused)}] were not consumed", name, 0));
        }

        return graphs;
    }

    private SolveOptions Options(BuildRequest request) => new()
    {
        NoCache = request.NoCache,
        NoCacheStages = request.NoCacheStages,
        Labels = request.Labels,
        IsClassic = request.Style == BuildStyle.Classic,
        HistoryCache = HistoryCache(request),
        SourceDate = request.SourceDate,
        History = request.Style == BuildStyle.Classic ? HistoryText.Classic : HistoryText.BuildKit,
        Contexts = new HashSet<string>(request.NamedContexts.Keys),
        ImageContexts = new HashSet<string>(request.NamedContexts.Where(context => context.Value is ImageContext or LayoutContext).Select(context => context.Key)),
    };

    /// <summary>Of the images of this engine that the build names; what is not here is no error, as in Docker.</summary>
    private HistoryCache? HistoryCache(BuildRequest request)
    {
        KnownImage[] images =
        [
            .. request.CacheImports.Where(location => location.Type == "image").Select(location => services.Data.Images.Find(location.Attributes["ref"])).OfType<Image>()
                .Select(image => new KnownImage(image.Config, [.. image.Layers.Select(layer => new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size))])),
        ];
        return images.Length == 0 ? null : new HistoryCache(images);
    }
}
