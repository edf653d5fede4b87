using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>Reads an archive, whose layers are unpacked on the way, and finds out what they are layers of; what it yields waits to be committed.</summary>
internal sealed class ImageLoader(ContentStore content, LayerStore layers, UnpackLimits limits)
{
    /// <summary>Blocks; for a thread of its own.</summary>
    public StagedImages Load(Stream source, Platform? platform, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var staged = new StagedImages(ImageArchive.Read(source, content, layers, limits, progress, cancellationToken));
        try
        {
            foreach (var image in Open(staged.Archive, platform).OrderBy(image => image.IsMain))
            {
                staged.Images.Add(new StagedImage(image, [.. Stack(image, staged, cancellationToken)]));
            }

            layers.Flush();
            return staged;
        }
        catch (Exception error)
        {
            staged.Dispose();
            throw error switch
            {
                OciException => new StorageException(StorageErrorKind.InvalidParameter, error.Message, error),
                InvalidDataException => new StorageException(StorageErrorKind.InvalidParameter, $"invalid layer: {error.Message}", error),
                KernelException kernel => HostErrors.Map(kernel, "invalid layer"),
                _ => error,
            };
        }
    }

    /// <summary>An archive may have both forms (Docker writes both); a platform asked for can only be looked up in an index.</summary>
    private static IReadOnlyList<ArchivedImage> Open(ImageArchive archive, Platform? platform)
    {
        var hasIndex = archive.Contains(OciLayout.IndexName) && archive.Contains(OciLayout.MarkerName);
        var hasList = archive.Contains(DockerArchive.ManifestName);
        return hasIndex && (platform is not null || !hasList) ? OciLayout.Images(archive, platform)
            : !hasList ? throw new OciException("invalid archive: does not contain a manifest.json")
            : hasIndex ? WithManifests(DockerArchive.Images(archive), OciLayout.Images(archive, null))
            : DockerArchive.Images(archive);
    }

    /// <summary>With both forms the list says which images there are, and the layout knows their documents.</summary>
    private static List<ArchivedImage> WithManifests(IReadOnlyList<ArchivedImage> listed, IReadOnlyList<ArchivedImage> described)
    {
        var known = described.ToLookup(image => image.ConfigFile.Digest);
        var images = listed
            .Select(image => known[image.ConfigFile.Digest].OrderByDescending(other => other.Names.Intersect(image.Names).Any()).FirstOrDefault() is { } document
                ? image with { Manifest = document.Manifest, Index = document.Index, SharedTarget = document.SharedTarget, Referrers = document.Referrers }
                : image)
            .ToList();

        // The list has no platforms: those beside the one that it names are in the layout alone.
        images.AddRange(described
            .Where(image => !image.IsMain && listed.All(other => other.ConfigFile.Digest != image.ConfigFile.Digest))
            .Select(image => images.Find(main => main.SharedTarget == image.SharedTarget) is { } main ? image with { Names = main.Names } : image)
            .ToList());
        return images;
    }

    /// <summary>Makes what was unpacked the layers of an image, lowest first.</summary>
    private IEnumerable<StoredLayer> Stack(ArchivedImage image, StagedImages staged, CancellationToken cancellationToken)
    {
        if (image.Layers.Count > limits.MaxLayers)
        {
            throw new OciException($"invalid image: it has {image.Layers.Count} layers, the limit is {limits.MaxLayers}");
        }

        var chainId = default(Digest);
        for (var i = 0; i < image.Layers.Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (parent, diffId, file) = (chainId, image.Config.DiffIds[i], image.Layers[i]);
            chainId = LayerStore.ChainId(parent, diffId);
            if (layers.TryPin(chainId) is { } pin)
            {
                staged.Keep(pin);
            }
            else
            {
                staged.Keep(layers.Pin(chainId));
                Publish(file, chainId, diffId, parent, cancellationToken);
            }

            yield return new StoredLayer(new Layer(chainId, diffId, layers.SizeOf(chainId)), file.Digest);
        }
    }

    private void Publish(ArchiveFile file, Digest chainId, Digest diffId, Digest parent, CancellationToken cancellationToken)
    {
        if (file.Layer is not null)
        {
            file.Layer.Publish(layers, chainId, diffId, parent);
            return;
        }

        using var staging = layers.Stage();
        using var lower = new LowerLayers(() => layers.OpenDiffs(layers.Lineage(parent)));
        using var tar = new DigestStream(Decompression.Open(file.Blob!.OpenRead(), limits.Expansion));
        staging.Unpack(tar, lower, cancellationToken);
        var actual = tar.Finish(cancellationToken);
        if (actual != diffId)
        {
            throw LayerReader.WrongDiffId(diffId, actual);
        }

        staging.Publish(chainId, parent);
    }
}
