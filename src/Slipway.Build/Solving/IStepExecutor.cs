using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>Does what the solver finds is to be done. Steps of independent stages are done at the same time.</summary>
public interface IStepExecutor
{
    /// <summary>What a stage starts from: an image, which is fetched where it is missing, or a named context.</summary>
    Task<BaseImage> ResolveAsync(string name, Platform platform, StepVertex vertex, CancellationToken cancellationToken);

    /// <summary>Reads what a step depends on.</summary>
    Task<StepInputs> PrepareAsync(StepOperation operation, StepVertex vertex, CancellationToken cancellationToken);

    /// <summary>Does a step.</summary>
    /// <returns>The layer it made; null: it changed nothing.</returns>
    Task<BuiltLayer?> ExecuteAsync(StepOperation operation, StepInputs inputs, StepVertex vertex, CancellationToken cancellationToken);

    /// <summary>Pauses before a step at which a breakpoint is set, whether it is cached or not.</summary>
    /// <param name="operation">The step, where it is a RUN; otherwise one without arguments, as a RUN at its place would be.</param>
    Task PauseAsync(RunOperation operation, StepVertex vertex, CancellationToken cancellationToken);

    /// <summary>Keeps a layer for the time of the build; false where it is gone.</summary>
    bool TryHold(Digest chainId);
}

/// <summary>What a step reads, opened.</summary>
public abstract class StepInputs : IAsyncDisposable
{
    /// <summary>None for a step that reads nothing.</summary>
    public Digest Content { get; init; }

    /// <summary>What the classic builder calls what is read: <c>file</c>, <c>dir</c>, <c>multi</c>.</summary>
    public string Kind { get; init; } = "";

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        GC.SuppressFinalize(this);
    }

    protected virtual ValueTask CloseAsync() => ValueTask.CompletedTask;
}

/// <param name="Config">Null: it is no image, only files.</param>
public sealed record BaseImage(Digest Id, ImageConfig? Config, IReadOnlyList<BuiltLayer> Layers);

/// <summary>What steps have made before.</summary>
public interface IStepCache
{
    Task<CachedStep?> FindAsync(Digest key, CancellationToken cancellationToken);

    /// <summary>Looks for a step where others built it, and brings what it left here.</summary>
    /// <param name="wanted">The step as it would be, without a layer.</param>
    /// <param name="top">Of the layers that the step starts from.</param>
    Task<CachedStep?> ImportAsync(CachedStep wanted, Digest top, CancellationToken cancellationToken);

    Task StoreAsync(CachedStep step, CancellationToken cancellationToken);
}

/// <param name="Parent">The key of the step before.</param>
/// <param name="Layer">Null: the step made none.</param>
/// <param name="Kind">BuildKit's type of record.</param>
public sealed record CachedStep(Digest Key, Digest Parent, BuiltLayer? Layer, string Kind, string Description, DateTimeOffset Created);

/// <summary>A step that is done, for those who tell others of it.</summary>
/// <param name="Parent">The key of the step before.</param>
/// <param name="Layers">That the stage has after it, lowest first.</param>
/// <param name="IsOfResult">The result is made upon it; otherwise it was only copied from.</param>
public sealed record SolvedStep(Digest Key, Digest Parent, IReadOnlyList<BuiltLayer> Layers, DateTimeOffset Created, bool IsOfResult);

/// <summary>Told what the solver does.</summary>
public interface ISolveObserver
{
    ValueTask StartedAsync(StepVertex vertex);

    ValueTask CompletedAsync(StepVertex vertex, StepOutcome outcome);

    ValueTask FailedAsync(StepVertex vertex, Exception error);
}

/// <summary>A step of the Dockerfile in the graph.</summary>
/// <param name="Name">BuildKit's: <c>[build 2/3] RUN make</c>.</param>
/// <param name="Number">From 1, among the steps of all stages that are needed.</param>
/// <param name="Text">With its variables as they stand there.</param>
public sealed record StepVertex(Digest Digest, string Name, IReadOnlyList<Digest> Inputs, int Number, int Count, string Text)
{
    /// <summary>It changes the configuration only.</summary>
    public bool IsConfiguration { get; init; }

    /// <summary>Of the instruction.</summary>
    public Syntax.SourceLines Lines { get; init; }
}

/// <param name="ImageId">Of the image that the stage makes up to here.</param>
/// <param name="Triggers">ONBUILD instructions that a FROM brings.</param>
public sealed record StepOutcome(bool Cached, Digest ImageId, int Triggers = 0);
