using System.Text;
using System.Text.Json;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>
/// Writes images as Docker 25 and later does: one tar that is an OCI layout (oci-layout, index.json, blobs) and a docker-archive
/// (manifest.json, repositories) over the same blobs. Times are zero, so that the same images give the same bytes.
/// </summary>
internal sealed class ImageSaver(ContentStore content, LayerTars tars, LayerEncodings encodings, UnpackLimits limits)
{
    private const uint FileMode = 0x1a4; // 0644
    private const uint DirectoryMode = 0x1ed; // 0755

    private readonly List<Saved> _images = [];
    private readonly List<Descriptor> _index = [];

    /// <summary>What indexes in the archive list, whether it is here or not.</summary>
    private readonly HashSet<Digest> _platforms = [];
    private readonly SortedDictionary<Digest, (long Size, Func<Stream> Open)> _blobs = [];

    /// <summary>Adds what a name denotes, or an image by its id.</summary>
    /// <param name="main">The image that a docker-archive names.</param>
    /// <param name="platforms">All images of the name; the main one alone for an id.</param>
    /// <param name="names">Tags to save it with.</param>
    /// <param name="target">What the name denotes, or none.</param>
    public async Task AddAsync(ImageCatalog.Entry main, IReadOnlyList<ImageCatalog.Entry> platforms, IReadOnlyList<Reference> names, Digest target, CancellationToken cancellationToken)
    {
        var tags = names.Where(name => name.Tag is not null).ToList();
        var images = new List<SavedImage>();
        foreach (var entry in platforms)
        {
            var made = new Dictionary<Digest, Digest>();
            foreach (var layer in entry.Image.Layers)
            {
                made[layer.DiffId] = (await encodings.FindAsync(layer.DiffId, cancellationToken).ConfigureAwait(false)).Digest;
            }

            images.Add(new SavedImageReader(content, tars, encodings, limits).Read(entry, target, made));
        }

        images.ForEach(AddBlobs);
        var listed = IndexOf(target, images) is { } index
            ? [index, .. images.Where(image => image.MadeManifest is not null).Select(Describe)]
            : images.ConvertAll(Describe);
        foreach (var descriptor in tags.Count == 0 ? listed : tags.SelectMany(tag => listed.Select(descriptor => Named(descriptor, tag))))
        {
            // The same image may be asked for by two names, and by the same name twice.
            if (!_index.Exists(other => other.Digest == descriptor.Digest && NameOf(other) == NameOf(descriptor)))
            {
                _index.Add(descriptor);
            }
        }

        if (_images.Find(image => image.Image.Entry.Image.Id == main.Image.Id) is { } known)
        {
            known.Tags.UnionWith(tags);
            return;
        }

        _images.Add(new Saved(images.First(image => image.Entry.Image.Id == main.Image.Id), [.. tags]));
    }

    /// <summary>Adds what is about an image, manifests with the blobs they name, where the archive has what they are about; after all images.</summary>
    public void AddReferrers(IReadOnlyList<ReferrerRow> referrers)
    {
        foreach (var (descriptor, isListed) in referrers.Where(referrer => content.Contains(referrer.Descriptor.Digest)))
        {
            var document = content.ReadAll(descriptor.Digest, limits.MaxDocumentBytes);
            if (ImageDocument.Parse(document) is not ImageDocument.OfManifest { Value: var manifest }
                || !(isListed ? IsHere(ArchivedReferrer.SubjectOf(descriptor, manifest)) : _platforms.Contains(descriptor.Digest)))
            {
                continue;
            }

            AddDocument(descriptor.Digest, document);
            foreach (var part in (manifest.Layers ?? []).Append(manifest.Config).Where(part => !part.Digest.IsNone && content.Contains(part.Digest)))
            {
                _blobs.TryAdd(part.Digest, (part.Size, () => content.OpenRead(part.Digest)));
            }

            if (isListed && !_index.Exists(other => other.Digest == descriptor.Digest))
            {
                _index.Add(descriptor);
            }
        }

        bool IsHere(Digest subject) => _blobs.ContainsKey(subject) || _platforms.Contains(subject);
    }

    /// <summary>Blocks; for a thread of its own.</summary>
    public void Write(Stream output, CancellationToken cancellationToken)
    {
        var tar = new TarWriter(output);
        Directory(tar, "blobs/");
        Directory(tar, $"blobs/{Digest.Sha256}/");
        foreach (var (digest, blob) in _blobs)
        {
            WriteBlob(tar, digest, blob.Size, blob.Open, cancellationToken);
        }

        Document(tar, OciLayout.IndexName, JsonSerializer.SerializeToUtf8Bytes(Index(), OciJson.Default.ImageIndex));
        Document(tar, DockerArchive.ManifestName, JsonSerializer.SerializeToUtf8Bytes<IReadOnlyList<DockerArchiveImage>>([.. _images.Select(Archived)], ArchiveJson.Default.IReadOnlyListDockerArchiveImage));
        Document(tar, OciLayout.MarkerName, JsonSerializer.SerializeToUtf8Bytes(new OciLayoutMarker(), ArchiveJson.Default.OciLayoutMarker));
        if (_images.Any(image => image.Tags.Count > 0))
        {
            Document(tar, "repositories", JsonSerializer.SerializeToUtf8Bytes(Repositories(), ArchiveJson.Default.Repositories));
        }

        tar.Finish();
    }

    private void AddBlobs(SavedImage image)
    {
        AddDocument(image.Entry.Image.Id, image.Entry.RawConfig);
        AddDocument(image.Manifest.Digest, image.MadeManifest ?? content.ReadAll(image.Manifest.Digest, limits.MaxDocumentBytes));
        foreach (var layer in image.Layers)
        {
            _blobs.TryAdd(layer.Descriptor.Digest, (layer.Descriptor.Size, layer.Open));
        }
    }

    private void AddDocument(Digest digest, byte[] document) => _blobs.TryAdd(digest, (document.Length, () => new MemoryStream(document, writable: false)));

    /// <summary>The index that the name denotes, if it leads to an image in the archive; platforms that are not here are left out, as an index allows.</summary>
    private Descriptor? IndexOf(Digest target, List<SavedImage> images)
    {
        if (target.IsNone || !content.Contains(target))
        {
            return null;
        }

        var document = content.ReadAll(target, limits.MaxDocumentBytes);
        if (ImageDocument.Parse(document) is not ImageDocument.OfIndex { Value.Manifests: { } manifests }
            || !images.Exists(image => manifests.Any(manifest => manifest.Digest == image.Manifest.Digest)))
        {
            return null;
        }

        AddDocument(target, document);
        _platforms.UnionWith(manifests.Select(manifest => manifest.Digest));
        return new Descriptor { MediaType = ImageDocument.MediaTypeOf(document), Digest = target, Size = document.Length };
    }

    private ImageIndex Index() => new() { MediaType = MediaTypes.OciIndex, Manifests = _index };

    private static Descriptor Describe(SavedImage image) => image.Manifest with { Platform = image.Entry.Image.Config.Platform };

    private static Descriptor Named(Descriptor descriptor, Reference tag) => descriptor with
    {
        Annotations = new Dictionary<string, string>
        {
            [OciLayout.ImageNameAnnotation] = tag.ToString(),
            [OciLayout.RefNameAnnotation] = tag.Tag!,
        },
    };

    private static string? NameOf(Descriptor descriptor) => descriptor.Annotations?.GetValueOrDefault(OciLayout.ImageNameAnnotation);

    private static DockerArchiveImage Archived(Saved image) => new()
    {
        Config = PathOf(image.Image.Entry.Image.Id),
        RepoTags = image.Tags.Count == 0 ? null : [.. image.Tags.Select(tag => tag.Familiar)],
        Layers = [.. image.Image.Layers.Select(layer => PathOf(layer.Descriptor.Digest))],
        LayerSources = image.Image.Layers.DistinctBy(layer => layer.Layer.DiffId).ToDictionary(layer => layer.Layer.DiffId.ToString(), layer => layer.Descriptor),
    };

    /// <summary>The file of Docker's first archive format; some readers still want it. The value was the id of the top layer.</summary>
    private SortedDictionary<string, IReadOnlyDictionary<string, string>> Repositories()
    {
        var repositories = new SortedDictionary<string, IReadOnlyDictionary<string, string>>(StringComparer.Ordinal);
        foreach (var group in _images.SelectMany(image => image.Tags.Select(tag => (Tag: tag, image.Image))).GroupBy(item => item.Tag.FamiliarName))
        {
            repositories[group.Key] = group.ToDictionary(item => item.Tag.Tag!, item => (item.Image.Layers.Count == 0 ? item.Image.Entry.Image.Id : item.Image.Layers[^1].Descriptor.Digest).Hex);
        }

        return repositories;
    }

    private static void WriteBlob(TarWriter tar, Digest digest, long size, Func<Stream> open, CancellationToken cancellationToken)
    {
        tar.WriteEntry(File(PathOf(digest)) with { Size = size });
        using var stream = Conveyor.ReadAhead("image-read", open);
        var buffer = new byte[Conveyor.BufferSize];
        for (var count = stream.Read(buffer); count > 0; count = stream.Read(buffer))
        {
            cancellationToken.ThrowIfCancellationRequested();
            tar.WriteData(buffer.AsSpan(0, count));
        }
    }

    private static string PathOf(Digest digest) => $"blobs/{Digest.Sha256}/{digest.Hex}";

    private static TarEntry File(string name) => new() { Name = Encoding.UTF8.GetBytes(name), Mode = FileMode };

    private static void Directory(TarWriter tar, string name) =>
        tar.WriteEntry(new TarEntry { Name = Encoding.UTF8.GetBytes(name), Type = TarEntryType.Directory, Mode = DirectoryMode });

    private static void Document(TarWriter tar, string name, byte[] data) => tar.WriteEntry(File(name), data);

    private sealed record Saved(SavedImage Image, HashSet<Reference> Tags);
}
