using Slipway.Oci;

namespace Slipway.Registry.Server;

/// <summary>A manifest or an index as a registry looks at it: its type, what it needs, what it belongs to.</summary>
internal sealed class ManifestDocument
{
    /// <summary>Bytes (distribution-spec, "Pushing Manifests").</summary>
    public const int MaximumSize = 4 << 20;

    private ManifestDocument(string mediaType, ImageDocument document) => (MediaType, Document) = (mediaType, document);

    /// <summary>As the document says, or follows from its shape.</summary>
    public string MediaType { get; }

    public ImageDocument Document { get; }

    /// <summary>The manifest that this one is about, which need not be there.</summary>
    public Digest? Subject => Document switch
    {
        ImageDocument.OfManifest { Value.Subject: { Digest.IsNone: false } subject } => subject.Digest,
        ImageDocument.OfIndex { Value.Subject: { Digest.IsNone: false } subject } => subject.Digest,
        _ => null,
    };

    public string? ArtifactType => Document switch
    {
        ImageDocument.OfManifest manifest => manifest.Value.ArtifactType is { Length: > 0 } type ? type : manifest.Value.Config.MediaType,
        ImageDocument.OfIndex index => index.Value.ArtifactType is { Length: > 0 } type ? type : null,
        _ => null,
    };

    public IReadOnlyDictionary<string, string>? Annotations => Document switch
    {
        ImageDocument.OfManifest manifest => manifest.Value.Annotations,
        ImageDocument.OfIndex index => index.Value.Annotations,
        _ => null,
    };

    /// <summary>Blobs that the repository keeps for this document; those that may not be distributed need not be there.</summary>
    public IEnumerable<Descriptor> Blobs => Document is ImageDocument.OfManifest manifest ? [manifest.Value.Config, .. manifest.Value.Layers ?? []] : [];

    /// <summary>Manifests that an index lists.</summary>
    public IEnumerable<Descriptor> Children => Document is ImageDocument.OfIndex index ? index.Value.Manifests ?? [] : [];

    /// <param name="contentType">What the client or an upstream called it, without parameters; null where it did not.</param>
    /// <exception cref="OciException">No manifest, or its types contradict each other (CVE-2021-41190).</exception>
    public static ManifestDocument Parse(ReadOnlySpan<byte> content, string? contentType = null)
    {
        ImageDocument document = ImageDocument.Parse(content);
        string mediaType = document switch
        {
            ImageDocument.OfManifest manifest => manifest.Value.MediaType is { Length: > 0 } type ? type : MediaTypes.OciManifest,
            ImageDocument.OfIndex index => index.Value.MediaType is { Length: > 0 } type ? type : MediaTypes.OciIndex,
            _ => throw new OciException("invalid manifest"),
        };
        if (contentType is { Length: > 0 } && contentType != mediaType)
        {
            throw new OciException($"invalid manifest: it is a \"{mediaType}\" and was sent as \"{contentType}\"");
        }

        ManifestDocument result = new(mediaType, document);
        return result.Blobs.Concat(result.Children).Any(descriptor => descriptor.Digest.IsNone || descriptor.Size < 0)
            ? throw new OciException("invalid manifest: a descriptor has no digest or a negative size")
            : result;
    }
}
