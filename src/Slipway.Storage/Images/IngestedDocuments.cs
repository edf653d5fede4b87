using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>The documents of an image that is being added, parsed and found to belong together.</summary>
internal sealed record IngestedDocuments(Digest ImageId, ImageConfig Config, Manifest? Manifest)
{
    /// <exception cref="StorageException">InvalidParameter: malformed, beyond a limit, or not about each other.</exception>
    public static IngestedDocuments Check(IngestedImage image, UnpackLimits limits)
    {
        try
        {
            Require(image.Config.Length <= limits.MaxDocumentBytes, $"its configuration has more than {limits.MaxDocumentBytes} bytes");
            var id = Digest.Of(image.Config.Span);
            var config = ImageConfig.Parse(image.Config.Span);
            Require(config.DiffIds.Count <= limits.MaxLayers, $"it has {config.DiffIds.Count} layers, the limit is {limits.MaxLayers}");
            var manifest = image.Manifest is { } content ? CheckManifest(content, id, image.Config.Length, config, limits) : null;
            if (image.Index is { } index)
            {
                Require(
                    Document(index, limits) is ImageDocument.OfIndex { Value.Manifests: { } manifests } && manifests.Any(entry => entry.Digest == image.Manifest?.Descriptor.Digest),
                    "its index does not name its manifest");
            }

            return new IngestedDocuments(id, config, manifest);
        }
        catch (OciException error)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, error.Message, error);
        }
    }

    private static Manifest CheckManifest(ImageContent content, Digest id, int configLength, ImageConfig config, UnpackLimits limits)
    {
        if (Document(content, limits) is not ImageDocument.OfManifest { Value: var manifest })
        {
            throw new OciException("invalid image: its manifest is an index");
        }

        Require(manifest.Config.Digest == id && manifest.Config.Size == configLength, "its manifest is about another configuration");
        var count = manifest.Layers?.Count ?? 0;
        Require(count == config.DiffIds.Count, $"its manifest has {count} layers, its configuration {config.DiffIds.Count}");
        return manifest;
    }

    private static ImageDocument Document(ImageContent content, UnpackLimits limits)
    {
        Require(content.Content.Length <= limits.MaxDocumentBytes, $"a document has more than {limits.MaxDocumentBytes} bytes");
        Require(
            content.Descriptor.Size == content.Content.Length && content.Descriptor.Digest == Digest.Of(content.Content.Span),
            $"document {content.Descriptor.Digest} is not what its descriptor says");
        return ImageDocument.Parse(content.Content.Span);
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new OciException($"invalid image: {otherwise}");
        }
    }
}
