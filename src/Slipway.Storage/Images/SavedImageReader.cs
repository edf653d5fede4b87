using System.Text.Json;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>Finds in which form an image goes into an archive.</summary>
internal sealed class SavedImageReader(ContentStore content, LayerTars tars, LayerEncodings encodings, UnpackLimits limits)
{
    /// <param name="target">What the image's name denotes, or none.</param>
    /// <param name="made">Compressed forms of its layers that can be made again.</param>
    public SavedImage Read(ImageCatalog.Entry entry, Digest target, IReadOnlyDictionary<Digest, Digest> made)
    {
        foreach (var (digest, isOfIndex) in Candidates(entry, target))
        {
            var stored = content.ReadAll(digest, limits.MaxDocumentBytes);
            if (ImageDocument.Parse(stored) is ImageDocument.OfManifest { Value: var manifest } && manifest.Config.Digest == entry.Image.Id
                && Exact(entry, manifest, isOfIndex ? made : null) is { } exact)
            {
                return new SavedImage(entry, new Descriptor { MediaType = ImageDocument.MediaTypeOf(stored), Digest = digest, Size = stored.Length }, null, exact);
            }
        }

        IReadOnlyList<SavedLayer> layers = [.. entry.Image.Layers.Zip(entry.Blobs).Select(pair => Plain(pair.First, pair.Second))];
        var document = JsonSerializer.SerializeToUtf8Bytes(
            new Manifest
            {
                MediaType = MediaTypes.OciManifest,
                Config = new Descriptor { MediaType = MediaTypes.OciConfig, Digest = entry.Image.Id, Size = entry.RawConfig.Length },
                Layers = [.. layers.Select(layer => layer.Descriptor)],
            },
            OciJson.Default.Manifest);
        return new SavedImage(entry, new Descriptor { MediaType = MediaTypes.OciManifest, Digest = Digest.Of(document), Size = document.Length }, document, layers);
    }

    /// <summary>The manifest of the image in the index its name denotes, then the one it came with.</summary>
    private IEnumerable<(Digest Digest, bool IsOfIndex)> Candidates(ImageCatalog.Entry entry, Digest target)
    {
        (Digest, bool)[] denoted = target.IsNone || !content.Contains(target) ? []
            : ImageDocument.Parse(content.ReadAll(target, limits.MaxDocumentBytes)) is ImageDocument.OfIndex { Value.Manifests: { } manifests } ? [.. manifests.Select(manifest => (manifest.Digest, true))]
            : [(target, false)];
        return denoted.Append((entry.Image.ManifestDigest, false)).Where(candidate => !candidate.Item1.IsNone && content.Contains(candidate.Item1));
    }

    /// <param name="made">Null: no layer is compressed anew, which takes long.</param>
    private List<SavedLayer>? Exact(ImageCatalog.Entry entry, Manifest manifest, IReadOnlyDictionary<Digest, Digest>? made)
    {
        var saved = new List<SavedLayer>();
        foreach (var ((layer, blob), descriptor) in entry.Image.Layers.Zip(entry.Blobs).Zip(manifest.Layers ?? []))
        {
            Func<Stream>? open = content.Contains(descriptor.Digest) ? () => content.OpenRead(descriptor.Digest)
                : descriptor.Digest == layer.DiffId ? () => tars.Open(layer, blob)
                : made?.GetValueOrDefault(layer.DiffId) == descriptor.Digest ? () => encodings.Open(layer, blob, descriptor)
                : null;
            if (open is null)
            {
                return null;
            }

            saved.Add(new SavedLayer(layer, descriptor with { Annotations = null }, open));
        }

        return saved;
    }

    private SavedLayer Plain(Layer layer, Digest blob)
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
