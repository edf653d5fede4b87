using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>An image as stored: immutable, a new value replaces it when its names change.</summary>
public sealed record Image
{
    /// <summary>The digest of the configuration document.</summary>
    public required Digest Id { get; init; }

    public required ImageConfig Config { get; init; }

    /// <summary>Layers, lowest first; empty for an image without any.</summary>
    public required IReadOnlyList<Layer> Layers { get; init; }

    /// <summary>Names with a tag, as users write them (<c>alpine:3.20</c>), sorted.</summary>
    public IReadOnlyList<string> RepoTags { get; init; } = [];

    /// <summary>Names with a digest (<c>alpine@sha256:…</c>), sorted.</summary>
    public IReadOnlyList<string> RepoDigests { get; init; } = [];

    /// <summary>The manifest the image came with, or none where the archive had no such document.</summary>
    public Digest ManifestDigest { get; init; }

    /// <summary>When the image was made, from its configuration; the Unix epoch where that says nothing.</summary>
    public DateTimeOffset Created { get; init; }

    /// <summary>When a name was last given to the image, or null for never.</summary>
    public DateTimeOffset? LastTagTime { get; init; }

    /// <summary>Bytes of all layers as unpacked files.</summary>
    public long Size { get; init; }

    /// <summary>What <see cref="Snapshots.ISnapshotStore.MountRootfs"/> takes, lowest first.</summary>
    public IReadOnlyList<Digest> ChainIds => [.. Layers.Select(layer => layer.ChainId)];
}

/// <summary>An unpacked layer.</summary>
/// <param name="ChainId">The layer and all below it (image-spec, config.md, "Layer ChainID").</param>
/// <param name="DiffId">Digest of the uncompressed tar.</param>
/// <param name="Size">Bytes of its regular files.</param>
public sealed record Layer(Digest ChainId, Digest DiffId, long Size);
