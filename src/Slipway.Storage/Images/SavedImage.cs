using System.Text.Json;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>
/// An image as an archive holds it. With the manifest it came with where every layer's exact bytes are here, kept or made again; otherwise with a
/// manifest of its own about layers that are not compressed.
/// </summary>
/// <param name="Layers">Lowest first.</param>
/// <param name="MadeManifest">The document where it was made for the archive; null for a stored one.</param>
internal sealed record SavedImage(ImageCatalog.Entry Entry, Descriptor Manifest, byte[]? MadeManifest, IReadOnlyList<SavedLayer> Layers)
{
    /// <param name="target">What the image's name denotes, or none.</param>
    public static SavedImage Create(ImageCatalog.Entry entry, Digest target, ContentStore content, LayerTars tars, UnpackLimits limits)
    {
        foreach (var digest in Candidates(entry, target, content, limits))
        {
            var document = content.ReadAll(digest, limits.MaxDocumentBytes);
            if (ImageDocument.Parse(document) is ImageDocument.OfManifest { Value: var manifest } && manifest.Config.Digest == entry.Image.Id
                && Exact(entry, manifest, content, tars) is { } exact)
            {
                return new SavedImage(entry, new Descriptor { MediaType = ImageDocument.MediaTypeOf(document), Digest = digest, Size = document.Length }, null, exact);
            }
        }

        IReadOnlyList<SavedLayer> layers = [.. entry.Image.Layers.Zip(entry.Blobs).Select(pair => Plain(pair.First, pair.Second, content, tars))];
        var made = JsonSerializer.SerializeToUtf8Bytes(
            new Manifest
            {
                MediaType = MediaTypes.OciManifest,
                Config = new Descriptor { MediaType = MediaTypes.OciConfig, Digest = entry.Image.Id, Size = entry.RawConfig.Length },
                Layers = [.. layers.Select(layer => layer.Descriptor)],
            },
            OciJson.Default.Manifest);
        return new SavedImage(entry, new Descriptor { MediaType = MediaTypes.OciManifest, Digest = Digest.Of(made), Size = made.Length }, made, layers);
    }

    /// <summary>The manifest of the image in the index its name denotes, then the one it came with.</summary>
    private static IEnumerable<Digest> Candidates(ImageCatalog.Entry entry, Digest target, ContentStore content, UnpackLimits limits)
    {
        Digest[] denoted = target.IsNone || !content.Contains(target) ? []
            : ImageDocument.Parse(content.ReadAll(target, limits.MaxDocumentBytes)) is ImageDocument.OfIndex { Value.Manifests: { } manifests } ? [.. manifests.Select(manifest => manifest.Digest)]
            : [target];
        return denoted.Append(entry.Image.ManifestDigest).Where(digest => !digest.IsNone && content.Contains(digest));
    }

    private static List<SavedLayer>? Exact(ImageCatalog.Entry entry, Manifest manifest, ContentStore content, LayerTars tars)
    {
        var saved = new List<SavedLayer>();
        foreach (var ((layer, blob), descriptor) in entry.Image.Layers.Zip(entry.Blobs).Zip(manifest.Layers ?? []))
        {
            Func<Stream>? open = content.Contains(descriptor.Digest) ? () => content.OpenRead(descriptor.Digest)
                : descriptor.Digest == layer.DiffId ? () => tars.Open(layer, blob)
                : null;
            if (open is null)
            {
                return null;
            }

            saved.Add(new SavedLayer(layer, descriptor with { Annotations = null }, open));
        }

        return saved;
    }

    private static SavedLayer Plain(Layer layer, Digest blob, ContentStore content, LayerTars tars)
    {
        if (!content.Contains(blob))
        {
            return new SavedLayer(layer, new Descriptor { MediaType = MediaTypes.OciLayer, Digest = layer.DiffId, Size = tars.LengthOf(layer) }, () => tars.Open(layer, blob));
        }

        using var stream = content.OpenRead(blob);
        Span<byte> head = stackalloc byte[Decompression.MagicLength];
        var length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        var type = Decompression.Detect(head[..length]) switch
        {
            CompressionFormat.Gzip => MediaTypes.OciLayerGzip,
            CompressionFormat.Zstd => MediaTypes.OciLayerZstd,
            _ => MediaTypes.OciLayer,
        };
        return new SavedLayer(layer, new Descriptor { MediaType = type, Digest = blob, Size = stream.Length }, () => content.OpenRead(blob));
    }
}

/// <summary>A layer in an archive.</summary>
internal sealed record SavedLayer(Layer Layer, Descriptor Descriptor, Func<Stream> Open);
