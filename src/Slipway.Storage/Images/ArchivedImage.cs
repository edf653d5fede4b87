using Slipway.Oci;
using Slipway.Storage.Content;

namespace Slipway.Storage.Images;

/// <summary>An image that an archive holds, before it is stored.</summary>
internal sealed record ArchivedImage
{
    public required ImageConfig Config { get; init; }

    public required BlobWriter ConfigBlob { get; init; }

    /// <summary>Lowest first; as many as the configuration names.</summary>
    public required IReadOnlyList<BlobWriter> Layers { get; init; }

    /// <summary>Null where the archive has no such document.</summary>
    public BlobWriter? Manifest { get; init; }

    /// <summary>Tagged; empty for an image without a name.</summary>
    public required IReadOnlyList<Reference> Names { get; init; }

    public static ArchivedImage Create(BlobWriter configBlob, IReadOnlyList<BlobWriter> layers, BlobWriter? manifest, IReadOnlyList<Reference> names)
    {
        var config = ImageConfig.Parse(ImageArchive.ReadDocument(configBlob));
        if (config.DiffIds.Count != layers.Count)
        {
            throw new OciException($"invalid manifest, layers length mismatch: expected {config.DiffIds.Count}, got {layers.Count}");
        }

        if (config.Os is not ("linux" or ""))
        {
            throw new OciException($"cannot load {config.Os} image on linux");
        }

        return new ArchivedImage { Config = config, ConfigBlob = configBlob, Layers = layers, Manifest = manifest, Names = names };
    }
}
