using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>An image that an archive holds, before it is stored.</summary>
internal sealed record ArchivedImage
{
    public required ImageConfig Config { get; init; }

    public required ArchiveFile ConfigFile { get; init; }

    /// <summary>Lowest first; as many as the configuration names.</summary>
    public required IReadOnlyList<ArchiveFile> Layers { get; init; }

    /// <summary>Null where the archive has no such document.</summary>
    public ArchiveFile? Manifest { get; init; }

    /// <summary>The index through which the archive names the image, or null.</summary>
    public ArchiveFile? Index { get; init; }

    /// <summary>Tagged; empty for an image without a name.</summary>
    public required IReadOnlyList<Reference> Names { get; init; }

    /// <summary>The image that the names mean where there is more than one platform; it is stored last.</summary>
    public bool IsMain { get; init; } = true;

    /// <summary>What the names denote where several images share them: the index, or the main image's manifest. None where they mean this image alone.</summary>
    public Digest SharedTarget { get; init; }

    public IReadOnlyList<ArchivedReferrer> Referrers { get; init; } = [];

    public static ArchivedImage Create(ArchiveFile configFile, IReadOnlyList<ArchiveFile> layers, ArchiveFile? manifest, IReadOnlyList<Reference> names)
    {
        var config = ImageConfig.Parse(ImageArchive.ReadDocument(configFile));
        if (config.DiffIds.Count != layers.Count)
        {
            throw new OciException($"invalid manifest, layers length mismatch: expected {config.DiffIds.Count}, got {layers.Count}");
        }

        if (config.Os is not ("linux" or ""))
        {
            throw new OciException($"cannot load {config.Os} image on linux");
        }

        return new ArchivedImage { Config = config, ConfigFile = configFile, Layers = layers, Manifest = manifest, Names = names };
    }
}
