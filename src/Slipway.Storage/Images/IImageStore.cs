using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>
/// Images: loaded, imported, saved, named, removed. Queries answer from memory and never wait; changes are durable when
/// the call returns and leave nothing behind when it fails. Every method throws <see cref="StorageException"/>.
/// </summary>
public interface IImageStore
{
    /// <summary>All images, newest first; an immutable snapshot.</summary>
    IReadOnlyList<Image> All { get; }

    /// <summary>
    /// Finds an image by name (<c>alpine</c>, <c>alpine:3.20</c>, <c>alpine@sha256:…</c>), full id, or unambiguous id prefix.
    /// </summary>
    /// <exception cref="StorageException">NotFound: <c>No such image: x:latest</c>; an ambiguous prefix finds nothing, as with Docker. InvalidParameter: no valid name.</exception>
    Image Get(string nameOrId);

    /// <summary>As <see cref="Get"/>, null where there is none.</summary>
    Image? Find(string nameOrId);

    /// <summary>As <see cref="Find(string)"/> for one platform: a name may denote an index of which several platforms are here.</summary>
    Image? Find(string nameOrId, Platform platform);

    /// <summary>The configuration document, byte for byte.</summary>
    ReadOnlyMemory<byte> RawConfig(Digest imageId);

    /// <summary>Begins to add an image layer by layer.</summary>
    IImageIngest BeginIngest();

    /// <summary>
    /// An image as a registry gets it. An index is published as a whole where all its platforms are here and none was asked for;
    /// otherwise the manifest of one platform. An image without a manifest gets one, its layers compressed by gzip.
    /// </summary>
    /// <param name="platform">Null for the whole index, or the host's.</param>
    /// <exception cref="StorageException">NotFound: no such image, or not for this platform.</exception>
    Task<ImagePublication> PublishAsync(string nameOrId, Platform? platform, CancellationToken cancellationToken);

    /// <summary>Layers, of images or not, as a registry gets them: each once, compressed by gzip, without documents.</summary>
    /// <exception cref="StorageException">NotFound: one of them is not in the store.</exception>
    Task<ImagePublication> PublishLayersAsync(IReadOnlyList<Layer> layers, CancellationToken cancellationToken);

    /// <summary>The tar of a layer that an image has, by its digest; null where none has it, or its tar cannot be made again.</summary>
    LayerTar? FindLayer(Digest diffId);

    /// <summary>
    /// <c>docker load</c>: an archive of <c>docker save</c> or an OCI layout, as a tar, plain or compressed by gzip, bzip2, xz or
    /// zstd. Read once, in bounded memory.
    /// </summary>
    /// <param name="platform">Which image of an index to load; null for all that are in the archive.</param>
    Task<IReadOnlyList<LoadedImage>> LoadAsync(
        Stream archive, Platform? platform, IProgress<ImageProgress>? progress, CancellationToken cancellationToken);

    /// <summary><c>docker import</c>: makes an image of one layer from a root file system's tar, plain or compressed.</summary>
    Task<Image> ImportAsync(Stream rootfs, ImportOptions options, IProgress<ImageProgress>? progress, CancellationToken cancellationToken);

    /// <summary><c>docker save</c>: writes an archive that is both a docker-archive and an OCI layout.</summary>
    /// <param name="platform">Which image of an index to save; null for all that are here.</param>
    Task SaveAsync(IReadOnlyList<string> namesOrIds, Platform? platform, Stream output, CancellationToken cancellationToken);

    /// <summary>Gives <paramref name="target"/> to an image; another image that had the name loses it.</summary>
    Task<Image> TagAsync(string nameOrId, Reference target, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes all that no image and no container needs, at once: also the layers of interrupted pulls, which would have stayed for
    /// a while. What an ingest at work has added stays.
    /// </summary>
    Task PurgeAsync(CancellationToken cancellationToken);

    /// <summary><c>docker rmi</c>.</summary>
    Task<IReadOnlyList<RemovedItem>> RemoveAsync(string nameOrId, RemoveOptions options, CancellationToken cancellationToken);
}

/// <summary>What an archive yielded.</summary>
/// <param name="Image">The image as stored.</param>
/// <param name="Name">The name it got, or null where the archive gave none.</param>
public sealed record LoadedImage(Image Image, string? Name)
{
    /// <summary>Docker's line: <c>Loaded image: x:latest</c>, <c>Loaded image ID: sha256:…</c>.</summary>
    public string Message => Name is null ? $"Loaded image ID: {Image.Id}" : $"Loaded image: {Name}";
}

/// <summary>A step of a long operation.</summary>
/// <param name="Id">What is worked on: a layer's short digest; null for the operation as a whole.</param>
/// <param name="Action">Docker's words: <c>Loading layer</c>, <c>Importing</c>.</param>
/// <param name="Current">Bytes done.</param>
/// <param name="Total">Bytes to do, or 0 where not known.</param>
public sealed record ImageProgress(string? Id, string Action, long Current, long Total);

/// <summary>What <c>docker import</c> says about the image it makes.</summary>
public sealed record ImportOptions
{
    /// <summary>The name to give, or null.</summary>
    public Reference? Reference { get; init; }

    /// <summary>How its containers are run.</summary>
    public ImageRunConfig Config { get; init; } = new();

    /// <summary>The comment of the history entry.</summary>
    public string Message { get; init; } = "";

    /// <summary>Null for the host's.</summary>
    public Platform? Platform { get; init; }
}

public sealed record RemoveOptions
{
    /// <summary>Remove all names, and names that stopped containers use.</summary>
    public bool Force { get; init; }

    /// <summary>Containers by the image they were made from. Asked while the store's lock is held, so it must not call back.</summary>
    public required Func<Digest, IReadOnlyList<ImageUse>> UsedBy { get; init; }
}

/// <summary>A container that was made from an image.</summary>
public sealed record ImageUse(string ContainerId, bool Running);

/// <summary>One line of <c>docker rmi</c>; exactly one of the two is set.</summary>
public sealed record RemovedItem(string? Untagged, string? Deleted);
