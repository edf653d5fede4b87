using Slipway.Oci;
using Slipway.Storage.Content;

namespace Slipway.Storage.Images;

/// <summary>An OCI image layout (image-spec, image-layout.md): <c>index.json</c> leads to manifests, these to blobs by digest.</summary>
internal static class OciLayout
{
    public const string IndexName = "index.json";
    public const string MarkerName = "oci-layout";
    public const string ImageNameAnnotation = "io.containerd.image.name";
    public const string RefNameAnnotation = "org.opencontainers.image.ref.name";

    private const string ReferenceTypeAnnotation = "vnd.docker.reference.type";
    private const int MaxNesting = 4;

    /// <param name="platform">The one to take; null for all that are in the archive.</param>
    public static IReadOnlyList<ArchivedImage> Images(ImageArchive archive, Platform? platform)
    {
        if (ImageDocument.Parse(ImageArchive.ReadDocument(archive.Get(IndexName))) is not ImageDocument.OfIndex { Value: var index })
        {
            throw new OciException("invalid archive: index.json is no index");
        }

        // Descriptors under one name are one image for several platforms; so are those without a name that say their platform.
        var images = new List<ArchivedImage>();
        var referrers = (index.Manifests ?? []).Select(descriptor => ArchivedReferrer.Open(archive, descriptor, isListed: true)).OfType<ArchivedReferrer>().ToList();
        foreach (var group in (index.Manifests ?? []).Where(IsImage).GroupBy(GroupOf))
        {
            var candidates = group.SelectMany(descriptor => Candidates(archive, descriptor, MaxNesting)).DistinctBy(candidate => candidate.Config.Digest).ToList();
            if (candidates.Count == 0)
            {
                continue;
            }

            var main = Choose(candidates, platform);
            Reference[] names = NameOf(group.First()) is { } name ? [name] : [];
            var documents = group.Select(descriptor => descriptor.Digest).Distinct().Select(digest => archive.GetBlob(digest)).ToList();
            var (shared, listed) = documents is [var only] && ImageDocument.Parse(ImageArchive.ReadDocument(only)) is ImageDocument.OfIndex { Value: var platforms }
                ? (only, platforms.Manifests ?? [])
                : (null, []);
            HashSet<Digest> subjects = [.. documents.Select(document => document.Digest), .. listed.Select(descriptor => descriptor.Digest)];
            ArchivedReferrer[] about =
            [
                .. referrers.Where(referrer => subjects.Contains(referrer.About)),
                .. listed.Where(descriptor => !IsImage(descriptor)).Select(descriptor => ArchivedReferrer.Open(archive, descriptor, isListed: false)).OfType<ArchivedReferrer>(),
            ];
            Candidate[] taken = platform is null ? [.. candidates.Where(candidate => candidate == main || candidate.IsComplete(archive))] : [main];
            images.AddRange(taken.Select(candidate => ArchivedImage.Create(candidate.Config, candidate.Layers, candidate.Manifest, names) with
            {
                Index = shared,
                IsMain = candidate == main,
                Referrers = candidate == main ? about : [],
                SharedTarget = shared?.Digest ?? (taken.Length > 1 ? main.Manifest.Digest : default),
            }));
        }

        return images;
    }

    private static string GroupOf(Descriptor descriptor) =>
        NameOf(descriptor)?.ToString() ?? (descriptor.Platform is null ? descriptor.Digest.ToString() : "");

    /// <summary>The name an archive gives to an image: containerd's annotation has a full name, the specification's often a tag alone, which names nothing.</summary>
    private static Reference? NameOf(Descriptor descriptor)
    {
        foreach (var annotation in (ReadOnlySpan<string>)[ImageNameAnnotation, RefNameAnnotation])
        {
            if (descriptor.Annotations?.GetValueOrDefault(annotation) is { } text && text.AsSpan().ContainsAny('/', ':')
                && Reference.TryParse(text, out var name) && name!.Digest.IsNone)
            {
                return name.WithDefaultTag();
            }
        }

        return null;
    }

    /// <summary>Attestations and signatures go with an image and are none.</summary>
    private static bool IsImage(Descriptor descriptor) =>
        descriptor.Annotations?.ContainsKey(ReferenceTypeAnnotation) != true && descriptor.Platform is not { Os: "unknown" } && (descriptor.ArtifactType is null or "" || MediaTypes.IsConfig(descriptor.ArtifactType));

    private static IEnumerable<Candidate> Candidates(ImageArchive archive, Descriptor descriptor, int nesting)
    {
        if (nesting == 0)
        {
            throw new OciException("invalid archive: its indexes are nested too deeply");
        }

        // An index may list platforms whose blobs were left out of the archive.
        if (!archive.Contains(ImageArchive.BlobPrefix + (descriptor.Digest.IsNone ? "" : descriptor.Digest.Hex)) && nesting < MaxNesting)
        {
            return [];
        }

        var blob = archive.GetBlob(descriptor.Digest);
        return ImageDocument.Parse(ImageArchive.ReadDocument(blob)) switch
        {
            ImageDocument.OfIndex { Value: var index } => [.. (index.Manifests ?? []).Where(IsImage).SelectMany(inner => Candidates(archive, inner, nesting - 1))],
            ImageDocument.OfManifest { Value: var manifest } => Open(archive, descriptor, blob, manifest) is { } candidate ? [candidate] : [],
            _ => [],
        };
    }

    /// <summary>Null for a manifest of something that is no image.</summary>
    private static Candidate? Open(ImageArchive archive, Descriptor descriptor, ArchiveFile file, Manifest manifest)
    {
        var layers = manifest.Layers ?? [];
        if ((manifest.ArtifactType is { Length: > 0 } type && !MediaTypes.IsConfig(type)) || !MediaTypes.IsConfig(manifest.Config.MediaType) || (layers.Count > 0 && !layers.Any(MediaTypes.LooksLikeLayer)))
        {
            return null;
        }

        if (layers.FirstOrDefault(layer => !MediaTypes.IsLayer(layer.MediaType)) is { } unknown)
        {
            throw new OciException($"unsupported layer media type \"{unknown.MediaType}\"");
        }

        var config = archive.GetBlob(manifest.Config.Digest);
        var platform = descriptor.Platform ?? ImageConfig.Parse(ImageArchive.ReadDocument(config)).Platform;
        return new Candidate(platform, file, config, layers, () => [.. layers.Select(layer => Sized(archive.GetBlob(layer.Digest), layer))]);
    }

    private static ArchiveFile Sized(ArchiveFile file, Descriptor descriptor) => file.Length == descriptor.Size
        ? file
        : throw new OciException($"invalid archive: blob {descriptor.Digest} has {file.Length} bytes, its descriptor says {descriptor.Size}");

    private static Candidate Choose(List<Candidate> candidates, Platform? platform)
    {
        var wanted = platform ?? Platform.Host;
        return candidates.Find(candidate => candidate.Platform.Normalize() == wanted.Normalize())
            ?? candidates.Find(candidate => candidate.Platform.RunsOn(wanted))
            ?? (platform is null || candidates.Count == 1 ? candidates[0] : throw new OciException($"the archive has no image for the platform {platform}"));
    }

    private sealed record Candidate(Platform Platform, ArchiveFile Manifest, ArchiveFile Config, IReadOnlyList<Descriptor> Described, Func<IReadOnlyList<ArchiveFile>> OpenLayers)
    {
        public IReadOnlyList<ArchiveFile> Layers => OpenLayers();

        /// <summary>Whether all layers are in the archive, for an image this host can store.</summary>
        public bool IsComplete(ImageArchive archive) =>
            Platform.Os is "linux" or "" && Described.All(layer => archive.Contains(ImageArchive.BlobPrefix + (layer.Digest.IsNone ? "" : layer.Digest.Hex)));
    }
}
