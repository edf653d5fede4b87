using System.Text;
using System.Text.Json;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Content;

namespace Slipway.Storage.Images;

/// <summary>
/// Writes images as Docker 25 and later does: one tar that is an OCI layout (oci-layout, index.json, blobs) and a docker-archive
/// (manifest.json, repositories) over the same blobs. Times are zero, so that the same images give the same bytes.
/// </summary>
internal sealed class ImageSaver(ContentStore content)
{
    private const uint FileMode = 0x1a4; // 0644
    private const uint DirectoryMode = 0x1ed; // 0755

    private readonly List<Saved> _images = [];
    private readonly SortedDictionary<string, byte[]> _documents = new(StringComparer.Ordinal);

    /// <summary>Adds an image. Asked for by name it is saved with this name, by id with all names it has.</summary>
    public void Add(ImageCatalog.Entry entry, Reference? name)
    {
        var names = name is null ? entry.Names : [name];
        var tags = names.Where(reference => reference.Tag is not null);
        if (_images.Find(image => image.Entry.Image.Id == entry.Image.Id) is { } known)
        {
            known.Tags.UnionWith(tags);
            return;
        }

        var layers = entry.Blobs.Select(Describe).ToList();
        var manifest = Manifest(entry, layers);
        _images.Add(new Saved(entry, manifest, layers, [.. tags]));
    }

    /// <summary>Blocks; for a thread of its own.</summary>
    public void Write(Stream output, CancellationToken cancellationToken)
    {
        var tar = new TarWriter(output);
        Directory(tar, "blobs/");
        Directory(tar, $"blobs/{Digest.Sha256}/");
        var blobs = _images.SelectMany(image => image.Entry.Blobs.Append(image.Entry.Image.Id).Append(image.Manifest.Digest)).Distinct().Order();
        foreach (var digest in blobs)
        {
            cancellationToken.ThrowIfCancellationRequested();
            WriteBlob(tar, digest, cancellationToken);
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

    /// <summary>The manifest the image came with, or one made from what is stored.</summary>
    private Descriptor Manifest(ImageCatalog.Entry entry, List<Descriptor> layers)
    {
        if (!entry.Image.ManifestDigest.IsNone)
        {
            using var stored = content.OpenRead(entry.Image.ManifestDigest);
            var document = content.ReadAll(entry.Image.ManifestDigest, (int)Math.Min(stored.Length, int.MaxValue));
            var type = ImageDocument.Parse(document) is ImageDocument.OfManifest { Value.MediaType: { Length: > 0 } mediaType } ? mediaType : MediaTypes.OciManifest;
            return new Descriptor { MediaType = type, Digest = entry.Image.ManifestDigest, Size = document.Length };
        }

        var manifest = JsonSerializer.SerializeToUtf8Bytes(
            new Manifest
            {
                MediaType = MediaTypes.OciManifest,
                Config = new Descriptor { MediaType = MediaTypes.OciConfig, Digest = entry.Image.Id, Size = entry.RawConfig.Length },
                Layers = layers,
            },
            OciJson.Default.Manifest);
        var digest = Digest.Of(manifest);
        _documents[digest.ToString()] = manifest;
        return new Descriptor { MediaType = MediaTypes.OciManifest, Digest = digest, Size = manifest.Length };
    }

    private Descriptor Describe(Digest blob)
    {
        using var stream = content.OpenRead(blob);
        Span<byte> head = stackalloc byte[Decompression.MagicLength];
        var length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        return new Descriptor
        {
            MediaType = Decompression.Detect(head[..length]) switch
            {
                CompressionFormat.Gzip => MediaTypes.OciLayerGzip,
                CompressionFormat.Zstd => MediaTypes.OciLayerZstd,
                _ => MediaTypes.OciLayer,
            },
            Digest = blob,
            Size = stream.Length,
        };
    }

    private ImageIndex Index() => new()
    {
        MediaType = MediaTypes.OciIndex,
        Manifests = [.. _images.SelectMany(image => image.Tags.Count == 0
            ? [image.Manifest with { Platform = image.Entry.Image.Config.Platform }]
            : image.Tags.Select(tag => image.Manifest with
            {
                Platform = image.Entry.Image.Config.Platform,
                Annotations = new Dictionary<string, string>
                {
                    [OciLayout.ImageNameAnnotation] = tag.ToString(),
                    [OciLayout.RefNameAnnotation] = tag.Tag!,
                },
            }))],
    };

    private static DockerArchiveImage Archived(Saved image) => new()
    {
        Config = PathOf(image.Entry.Image.Id),
        RepoTags = image.Tags.Count == 0 ? null : [.. image.Tags.Select(tag => tag.Familiar)],
        Layers = [.. image.Entry.Blobs.Select(PathOf)],
        LayerSources = image.Entry.Image.Layers.Zip(image.Layers).DistinctBy(pair => pair.First.DiffId).ToDictionary(pair => pair.First.DiffId.ToString(), pair => pair.Second),
    };

    /// <summary>The file of Docker's first archive format; some readers still want it. The value was the id of the top layer.</summary>
    private SortedDictionary<string, IReadOnlyDictionary<string, string>> Repositories()
    {
        var repositories = new SortedDictionary<string, IReadOnlyDictionary<string, string>>(StringComparer.Ordinal);
        foreach (var group in _images.SelectMany(image => image.Tags.Select(tag => (Tag: tag, image.Entry))).GroupBy(item => item.Tag.FamiliarName))
        {
            repositories[group.Key] = group.ToDictionary(item => item.Tag.Tag!, item => (item.Entry.Blobs.Count == 0 ? item.Entry.Image.Id : item.Entry.Blobs[^1]).Hex);
        }

        return repositories;
    }

    private void WriteBlob(TarWriter tar, Digest digest, CancellationToken cancellationToken)
    {
        if (_documents.TryGetValue(digest.ToString(), out var document))
        {
            Document(tar, PathOf(digest), document);
            return;
        }

        using var stream = content.OpenRead(digest);
        tar.WriteEntry(File(PathOf(digest)) with { Size = stream.Length });
        var buffer = new byte[256 << 10];
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

    private sealed record Saved(ImageCatalog.Entry Entry, Descriptor Manifest, IReadOnlyList<Descriptor> Layers, HashSet<Reference> Tags);
}
