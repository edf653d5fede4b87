using Slipway.Build.Checks;
using Slipway.Engine.Builds.History;
using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>Builds images from Dockerfiles, and keeps what it built for the next time. Knows neither of Docker's protocols: they are translations of this.</summary>
public interface IBuilds
{
    IBuildHistory History { get; }

    /// <summary>Builds, and puts the result where the request says. A build that is cancelled or fails leaves nothing but the cache of the steps that were done.</summary>
    /// <param name="progress">Called in order, one call at a time; awaited, so that a slow client slows the build. An <see cref="IOException"/> it throws cancels the build.</param>
    /// <exception cref="BuildException">The Dockerfile cannot be meant, or a step failed.</exception>
    /// <exception cref="EngineException">Anything else that is wrong with the request.</exception>
    Task<BuildResult> BuildAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken);

    /// <summary>Looks at the Dockerfile by the rules of build checks, and builds nothing.</summary>
    /// <exception cref="EngineException">There is no Dockerfile.</exception>
    Task<CheckReport> CheckAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken);

    /// <summary>What the cache holds, last used first.</summary>
    Task<IReadOnlyList<BuildCacheRecord>> CacheAsync(CancellationToken cancellationToken);

    /// <summary>Takes records out of the cache; what an image or a container needs too stays for them.</summary>
    Task<BuildCachePruned> PruneAsync(BuildCachePrune prune, CancellationToken cancellationToken);
}

/// <summary>What a build made.</summary>
public sealed record BuildResult
{
    /// <summary>Of the image (the digest of its configuration); none where no image was asked for.</summary>
    public Digest ImageId { get; init; }

    /// <summary>The configuration, byte for byte.</summary>
    public ReadOnlyMemory<byte> Config { get; init; }

    /// <summary>The names the image was given, in full (<c>docker.io/library/x:latest</c>).</summary>
    public IReadOnlyList<Reference> Names { get; init; } = [];

    /// <summary>BuildKit's exporter response: <c>containerimage.digest</c>, <c>containerimage.config.digest</c>, <c>image.name</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
}

/// <summary>A build that failed at a place of the Dockerfile.</summary>
/// <param name="message">In the words that clients expect.</param>
public sealed class BuildException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Of the program of a RUN that failed; null: the failure is another.</summary>
    public int? ExitCode { get; init; }

    /// <summary>The lines of the instruction, from 1; null: of none.</summary>
    public (int First, int Last)? Lines { get; init; }

    /// <summary>The place with the lines around it, as BuildKit shows it; empty where there is none.</summary>
    public string Excerpt { get; init; } = "";

    /// <summary>The vertex that failed; none: the build failed before its first.</summary>
    public Digest Vertex { get; init; }
}
