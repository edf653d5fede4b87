namespace Slipway.Oci;

/// <summary>
/// What a manifest or index may ask for, checked before anything it names is fetched or unpacked. The specification sets no limits; these are far above
/// what real images have and far below what would hurt.
/// </summary>
public static class ManifestLimits
{
    /// <summary>Bytes of a manifest or index that a registry has to accept (distribution-spec, "Pushing Manifests").</summary>
    public const int Document = 4 << 20;

    /// <summary>Layers of a manifest. An image that is to run has at most 128; artifacts have more parts.</summary>
    public const int Layers = 1000;

    /// <summary>Manifests of an index.</summary>
    public const int Manifests = 1000;

    /// <summary>Bytes of an image's configuration.</summary>
    public const int Config = 16 << 20;

    /// <exception cref="OciException">Too many parts, or a part that is not described.</exception>
    public static void Check(ImageDocument document)
    {
        switch (document)
        {
            case ImageDocument.OfManifest { Value: var manifest }:
                CheckCount(manifest.Layers?.Count ?? 0, Layers, "manifest", "layers");
                CheckDescriptor(manifest.Config ?? throw new OciException("invalid manifest: it has no config"), "config");
                if (manifest.Config.Size > Config)
                {
                    throw new OciException($"invalid manifest: its config has {manifest.Config.Size} bytes, more than {Config}");
                }

                CheckAll(manifest.Layers, "layer");
                CheckSubject(manifest.Subject);
                break;
            case ImageDocument.OfIndex { Value: var index }:
                CheckCount(index.Manifests?.Count ?? 0, Manifests, "index", "manifests");
                CheckAll(index.Manifests, "manifest");
                CheckSubject(index.Subject);
                break;
        }
    }

    private static void CheckCount(int count, int most, string document, string parts)
    {
        if (count > most)
        {
            throw new OciException($"invalid {document}: it has {count} {parts}, more than {most}");
        }
    }

    private static void CheckAll(IReadOnlyList<Descriptor>? descriptors, string what)
    {
        foreach (var descriptor in descriptors ?? [])
        {
            CheckDescriptor(descriptor, what);
        }
    }

    private static void CheckSubject(Descriptor? subject)
    {
        if (subject is not null)
        {
            CheckDescriptor(subject, "subject");
        }
    }

    private static void CheckDescriptor(Descriptor? descriptor, string what)
    {
        if (descriptor is null || descriptor.Digest.IsNone || descriptor.Size < 0)
        {
            throw new OciException($"invalid manifest: a {what} without a digest or with a negative size");
        }
    }
}
