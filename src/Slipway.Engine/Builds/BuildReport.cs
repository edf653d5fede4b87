using System.Collections.Concurrent;
using Slipway.Build.Solving;
using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>Tells a build's progress, one call at a time, whatever runs beside.</summary>
internal sealed class BuildReport(IBuildProgress progress, TimeProvider time, CancellationTokenSource build) : ISolveObserver, IDisposable
{
    private const long ContextStep = 4 << 20;

    private readonly SemaphoreSlim _gate = new(1);
    private readonly ConcurrentDictionary<Digest, BuildVertex> _vertices = [];

    /// <summary>The step that failed first; null: none has.</summary>
    public StepVertex? Failed { get; private set; }

    /// <summary>What platforms have in common is told by the first that comes to it.</summary>
    public ValueTask StartedAsync(StepVertex vertex) => _vertices.ContainsKey(vertex.Digest) ? ValueTask.CompletedTask : TellAsync(new BuildVertex(vertex.Digest, vertex.Name, vertex.Inputs)
    {
        Started = time.GetUtcNow(),
        Step = vertex.Number == 0 ? null : new BuildStep(vertex.Number, vertex.Count, vertex.Text) { IsConfiguration = vertex.IsConfiguration },
    });

    public ValueTask CompletedAsync(StepVertex vertex, StepOutcome outcome) => _vertices[vertex.Digest].Completed is not null ? ValueTask.CompletedTask : ChangeAsync(vertex.Digest, known => known with
    {
        Completed = time.GetUtcNow(),
        Cached = outcome.Cached,
        Step = known.Step is null ? null : known.Step with { ImageId = outcome.ImageId, Triggers = outcome.Triggers },
    });

    public ValueTask FailedAsync(StepVertex vertex, Exception error)
    {
        if (error is not OperationCanceledException)
        {
            Failed ??= vertex;
        }

        return _vertices[vertex.Digest].Completed is not null ? ValueTask.CompletedTask : ChangeAsync(vertex.Digest, known => known with { Completed = time.GetUtcNow(), Error = error is OperationCanceledException ? "context canceled" : error.Message });
    }

    /// <summary>A step has got a container.</summary>
    public ValueTask RunsInAsync(StepVertex vertex, string container) =>
        ChangeAsync(vertex.Digest, known => known with { Step = known.Step is null ? null : known.Step with { ContainerId = container } });

    public ValueTask LogAsync(StepVertex vertex, int stream, ReadOnlyMemory<byte> data) => GatedAsync(() => progress.LogAsync(new BuildLog(vertex.Digest, stream, time.GetUtcNow(), data)));

    public ValueTask StatusAsync(BuildStatus status) => GatedAsync(() => progress.StatusAsync(status));

    /// <summary>A part of a vertex that is done.</summary>
    public ValueTask DoneAsync(Digest vertex, string part, DateTimeOffset started) =>
        StatusAsync(new BuildStatus(vertex, part, 0, 0) { Time = time.GetUtcNow(), Started = started, Completed = time.GetUtcNow() });

    public ValueTask WarnAsync(BuildWarning warning) => GatedAsync(() => progress.WarningAsync(warning));

    /// <summary>Something that has to be done for the steps, as a vertex of its own.</summary>
    public async Task<T> InternalAsync<T>(string name, Func<Digest, Task<T>> work)
    {
        // Clients watch several builds at once, and take vertices of one digest for one.
        Digest digest = Digest.FromHash(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        await TellAsync(new BuildVertex(digest, name, []) { Started = time.GetUtcNow() });
        try
        {
            T result = await work(digest);
            await ChangeAsync(digest, known => known with { Completed = time.GetUtcNow() });
            return result;
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            await ChangeAsync(digest, known => known with { Completed = time.GetUtcNow(), Error = error.Message });
            throw;
        }
    }

    /// <summary>A context that comes.</summary>
    /// <param name="receive">Gets what is to be told of the bytes that have come.</param>
    public Task<T> ReceivedAsync<T>(Func<Func<long, ValueTask>, Task<T>> receive) => InternalAsync("[internal] load build context", vertex =>
    {
        long told = 0;
        DateTimeOffset started = time.GetUtcNow();
        return receive(length =>
        {
            if (length - told < ContextStep)
            {
                return ValueTask.CompletedTask;
            }

            told = length;
            return StatusAsync(new BuildStatus(vertex, "transferring context", length, 0) { Action = "transferring", Time = time.GetUtcNow(), Started = started });
        });
    });

    public void Dispose() => _gate.Dispose();

    private ValueTask TellAsync(BuildVertex vertex)
    {
        _vertices[vertex.Digest] = vertex;
        return GatedAsync(() => progress.VertexAsync(vertex));
    }

    private ValueTask ChangeAsync(Digest digest, Func<BuildVertex, BuildVertex> change) => TellAsync(change(_vertices[digest]));

    private async ValueTask GatedAsync(Func<ValueTask> tell)
    {
        await _gate.WaitAsync();
        try
        {
            await tell();
        }
        catch (IOException)
        {
            // The client has gone: nothing is built for nobody.
            await build.CancelAsync();
        }
        finally
        {
            _gate.Release();
        }
    }
}
