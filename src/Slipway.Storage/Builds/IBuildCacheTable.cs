using Slipway.Oci;

namespace Slipway.Storage.Builds;

/// <summary>What steps of builds have made, by what they were made of. A record keeps its layer, and with it those below.</summary>
public interface IBuildCacheTable
{
    Task<BuildCacheRow?> FindAsync(Digest key, CancellationToken cancellationToken);

    /// <summary>Stores records; one whose key is there replaces it. A record whose layer is gone is not stored.</summary>
    Task StoreAsync(IReadOnlyList<BuildCacheRow> rows, CancellationToken cancellationToken);

    /// <summary>Notes that records were used.</summary>
    Task TouchAsync(IReadOnlyCollection<Digest> keys, DateTimeOffset at, CancellationToken cancellationToken);

    /// <summary>All records, those used last first.</summary>
    Task<IReadOnlyList<BuildCacheEntry>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Deletes records, and the layers that nobody else needs.</summary>
    Task DeleteAsync(IReadOnlyCollection<Digest> keys, CancellationToken cancellationToken);

    /// <summary>Puts the layers of all records on the disk, so that they outlast a power failure; without it a boot ends a record.</summary>
    Task FlushAsync(CancellationToken cancellationToken);
}

/// <param name="Key">Of the step with all it reads.</param>
/// <param name="Parent">The key of the step before, or none.</param>
/// <param name="ChainId">The layers the step left; none: it made none, and left those it found.</param>
/// <param name="DiffId">Of the layer it made.</param>
/// <param name="Size">Bytes of that layer's files.</param>
/// <param name="Kind">What BuildKit calls the type of a record.</param>
public sealed record BuildCacheRow(Digest Key, Digest Parent, Digest ChainId, Digest DiffId, long Size, string Kind, string Description, DateTimeOffset Created);

/// <param name="Shared">An image has the layer too.</param>
public sealed record BuildCacheEntry(BuildCacheRow Row, DateTimeOffset LastUsed, int Uses, bool Shared);
