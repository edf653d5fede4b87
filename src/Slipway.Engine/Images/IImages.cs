using Slipway.Api.Disk;
using Slipway.Api.Images;
using Slipway.Oci;

namespace Slipway.Engine.Images;

/// <summary>Images. A reference is a name with tag or digest, or an id or unique prefix of one.</summary>
public interface IImages
{
    /// <param name="sharedSize">Also say how much of each image others have too.</param>
    IReadOnlyList<ImageSummary> List(bool all, Filters filters, bool sharedSize);

    ImageInspect Inspect(string reference);

    IReadOnlyList<ImageHistoryItem> History(string reference);

    Task TagAsync(string reference, string repository, string? tag, CancellationToken cancellationToken);

    /// <summary>Removes images that no container was made of: those without a name, or all (<c>dangling=false</c>).</summary>
    Task<ImagesPruneReport> PruneAsync(Filters filters, CancellationToken cancellationToken);

    Task<IReadOnlyList<ImageDeleteItem>> RemoveAsync(string reference, bool force, bool prune, CancellationToken cancellationToken);

    /// <summary>Reads a docker-archive or OCI layout from <paramref name="archive"/>.</summary>
    /// <param name="progress">Called in order; awaited, so that a slow client slows the load.</param>
    /// <param name="platform">Which image of an index to load; null for all that are in the archive.</param>
    Task LoadAsync(Stream archive, Platform? platform, bool quiet, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken);

    Task ImportAsync(ImageImport import, Stream archive, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken);

    /// <summary>Resolves all references before the first byte is written.</summary>
    /// <param name="platform">Which image of an index to save; null for all that are here.</param>
    /// <returns>Writes the archive to the stream it is given.</returns>
    Task<Func<Stream, CancellationToken, Task>> SaveAsync(IReadOnlyList<string> references, Platform? platform, CancellationToken cancellationToken);
}

/// <param name="Source">An address; <see cref="Given"/> for what the client sends.</param>
/// <param name="Repository">May carry a tag; empty for no name.</param>
/// <param name="Changes">Dockerfile instructions (<c>docker import --change</c>).</param>
public sealed record ImageImport(string Source, string Repository, string? Tag, string? Message, IReadOnlyList<string> Changes, string? Platform)
{
    public const string Given = "-";
}
