using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>
/// Told what a build does, as a graph: the classic stream and BuildKit's StatusResponse are made of it. A vertex is told again whenever something of it has changed.
/// </summary>
public interface IBuildProgress
{
    ValueTask VertexAsync(BuildVertex vertex);

    /// <summary>Output of a step's program.</summary>
    ValueTask LogAsync(BuildLog log);

    /// <summary>How far a part of a vertex is: a layer that is pulled, a context that comes.</summary>
    ValueTask StatusAsync(BuildStatus status);

    ValueTask WarningAsync(BuildWarning warning);
}

/// <summary>Something that is done: a step of the Dockerfile, or what has to be done for it.</summary>
/// <param name="Digest">Identifies it within the build.</param>
/// <param name="Name">BuildKit's words: <c>[build 2/5] RUN make</c>, <c>[internal] load build context</c>.</param>
/// <param name="Inputs">The vertices that have to be done before.</param>
public sealed record BuildVertex(Digest Digest, string Name, IReadOnlyList<Digest> Inputs)
{
    public DateTimeOffset? Started { get; init; }

    public DateTimeOffset? Completed { get; init; }

    /// <summary>It was not done, but found in the cache.</summary>
    public bool Cached { get; init; }

    /// <summary>Empty: it did not fail.</summary>
    public string Error { get; init; } = "";

    /// <summary>Null: it is no step of the Dockerfile.</summary>
    public BuildStep? Step { get; init; }
}

/// <summary>A step, for those who count: all steps of the stages that are needed, in the order of the file.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Text">The instruction as it stands there, its variables replaced.</param>
public sealed record BuildStep(int Number, int Count, string Text)
{
    /// <summary>Of the image that the Dockerfile up to here makes; none before the step is completed, or where it makes none.</summary>
    public Digest ImageId { get; init; }

    /// <summary>It changes the configuration only; BuildKit has no vertices of such steps.</summary>
    public bool IsConfiguration { get; init; }

    /// <summary>ONBUILD instructions that a FROM brings; they follow it with its number.</summary>
    public int Triggers { get; init; }

    /// <summary>Of the container that a step ran in, or would have; empty: none.</summary>
    public string ContainerId { get; init; } = "";
}

/// <param name="Stream">1: standard output, 2: standard error.</param>
public sealed record BuildLog(Digest Vertex, int Stream, DateTimeOffset Time, ReadOnlyMemory<byte> Data);

/// <param name="Id">Of the part, within its vertex.</param>
/// <param name="Total">0 where not known.</param>
public sealed record BuildStatus(Digest Vertex, string Id, long Current, long Total)
{
    public string Action { get; init; } = "";

    public DateTimeOffset Time { get; init; }

    public DateTimeOffset? Started { get; init; }

    public DateTimeOffset? Completed { get; init; }
}

/// <summary>What should not be written so.</summary>
/// <param name="Line">From 1.</param>
public sealed record BuildWarning(Digest Vertex, string Text, string File, int Line)
{
    /// <summary>What the rule is about; empty: it is no rule's.</summary>
    public string Detail { get; init; } = "";

    /// <summary>The page that explains it.</summary>
    public string Url { get; init; } = "";
}
