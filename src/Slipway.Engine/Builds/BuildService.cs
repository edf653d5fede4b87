using System.Collections.Concurrent;
using Slipway.Build.Checks;
using Slipway.Build.Context;
using Slipway.Build.Graph;
using Slipway.Build.Solving;
using Slipway.Build.Syntax;
using Slipway.Engine.Builds.Exchange;
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
    private readonly ContainerLauncher _launcher = new(services, containers.Index, containers.Links);
    private readonly ConcurrentDictionary<Guid, (CancellationTokenSource Stop, Task Ended)> _running = [];

    public async Task<BuildResult> BuildAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Guid id = Guid.NewGuid();
        _running[id] = (stop, ended.Task);
        try
        {
            return await StorageErrors.OfAsync(() => BuildAsync(request, progress, stop));
        }
        finally
        {
            _running.TryRemove(id, out _);
            ended.SetResult();
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
    }

    private async Task<BuildResult> BuildAsync(BuildRequest request, IBuildProgress progress, CancellationTokenSource stop)
    {
        CancellationToken cancellationToken = stop.Token;
        using BuildReport report = new(progress, services.Time, stop);
        using RemoteSources remotes = new();
        await using BuildContexts contexts = new(services, request, remotes, report);
        await using IImageIngest ingest = services.Data.Images.BeginIngest();
        (string text, string name) = await contexts.DockerfileAsync(cancellationToken);
        await using CacheExchange exchange = new(services, request, report);
        StepCache cache = new(services.Data.Builds, ingest, await exchange.ImportAsync(cancellationToken), services.Log);
        try
        {
            StageGraph graph = await GraphAsync(request, text, name, contexts.Ignored, report);
            StepExecutor executor = new(services, _launcher, services.Steps, registries, request, contexts, remotes, ingest, report);
            BuildSolver solver = new(graph, Options(request), executor, cache, report, services.Time, cancellationToken);
            StageState state = await solver.SolveAsync();
            if (request.Style == BuildStyle.Classic && state is { Layers.Count: 0, History.Count: 0 })
            {
                throw new EngineException(ErrorKind.InvalidParameter, "No image was generated. Is your Dockerfile empty?");
            }

            IReadOnlyList<SolvedStep> steps = solver.Steps;
            state = exchange.HasInlineExport ? state with { BuildCache = new CacheExport(steps).Inline(state.Layers) } : state;
            BuildResult result = await new ResultWriter(services, registries, request, ingest, report).WriteAsync(state, cancellationToken);
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

    private async Task<StageGraph> GraphAsync(BuildRequest request, string text, string name, IgnoreFile ignored, BuildReport report)
    {
        if (text.Length == 0)
        {
            throw new DockerfileException(request.Style == BuildStyle.Classic ? $"the Dockerfile ({name}) cannot be empty" : "the Dockerfile cannot be empty");
        }

        DockerfileDocument document = DockerfileParser.Parse(text);
        HashSet<string> named = [.. request.NamedContexts.Keys];
        StageGraph graph = StageGraph.Of(document, string.IsNullOrEmpty(request.Target) ? null : request.Target, request.Arguments, Platform.Host, request.Platform ?? Platform.Host, named);
        if (request.Style == BuildStyle.BuildKit)
        {
            await WarnAsync(DockerfileChecker.Check(name, text, document, Checks(request, ignored)), report);
        }

        string[] unused = [.. BuildArguments.Unused(request.Arguments, graph.DeclaredAnywhere())];
        if (unused.Length > 0)
        {
            await report.WarnAsync(new BuildWarning(default, $"One or more build-args [{string.Join(' ', unused)}] were not consumed", name, 0));
        }

        return graph;
    }

    private SolveOptions Options(BuildRequest request) => new()
    {
        NoCache = request.NoCache,
        NoCacheStages = request.NoCacheStages,
        Labels = request.Labels,
        LabelsAreSteps = request.Style == BuildStyle.Classic,
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
