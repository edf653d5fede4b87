using Slipway.Oci;

namespace Slipway.Storage.Ledger;

/// <summary>
/// Who owns the bytes below the data root, and how long ago each image was used. Sizes are those of du(1): allocated blocks, a file
/// with several names once.
/// </summary>
public interface IDiskLedger
{
    /// <summary>Every object below the data root, the root itself included; the sizes add up to what <c>du</c> says.</summary>
    /// <remarks>Layers never change and are measured once; everything else is measured now.</remarks>
    Task<IReadOnlyList<LedgerEntry>> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Notes that an image is used now. Never waits; what is not yet stored when the process is killed is lost.</summary>
    void Touch(Digest imageId);

    /// <summary>When an image was used last; null where nothing is known.</summary>
    DateTimeOffset? LastUsed(Digest imageId);
}

public enum LedgerKind
{
    /// <summary>An unpacked layer; the id is its chain id.</summary>
    Layer,

    /// <summary>A blob; the id is its digest.</summary>
    Blob,

    /// <summary>A container's own layer, logs and files; the id is the container's.</summary>
    Container,

    /// <summary>A volume; the id is its name.</summary>
    Volume,

    /// <summary>The state database; the id is the file's path below the data root, as for all that follow.</summary>
    Database,

    /// <summary>Something being written or deleted.</summary>
    Temporary,

    /// <summary>What the engine keeps for itself: its directories (without the objects in them), locks, the supervisor's journal.</summary>
    Engine,

    /// <summary>Nothing that Slipway has put there.</summary>
    Other,
}

/// <param name="Bytes">Allocated.</param>
/// <param name="Files">Of every kind, directories included.</param>
/// <param name="Images">The images that need it.</param>
public sealed record LedgerEntry(LedgerKind Kind, string Id, long Bytes, long Files, IReadOnlyList<Digest> Images);

/// <summary>What was found wrong when the data root was opened, and mended.</summary>
/// <param name="Removed">Paths below the data root that no row named.</param>
/// <param name="LostImages">Images without all of their layers, which were removed.</param>
/// <param name="DamagedImages">Images without all of their layers that containers were made of, which stay.</param>
public sealed record LedgerRepair(IReadOnlyList<string> Removed, IReadOnlyList<Digest> LostImages, IReadOnlyList<Digest> DamagedImages)
{
    public bool IsNothing => Removed.Count == 0 && LostImages.Count == 0 && DamagedImages.Count == 0;
}
