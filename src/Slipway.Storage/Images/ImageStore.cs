using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>
/// The images of a data root. Reading and unpacking archives happens side by side; what makes it visible (publishing blobs,
/// committing rows, replacing the catalog) and what deletes happen one at a time, under <see cref="_change"/>.
/// </summary>
internal sealed class ImageStore : IImageStore, IDisposable
{
    private readonly StateDatabase _database;
    private readonly ContentStore _content;
    private readonly LayerStore _layers;
    private readonly DataRootOptions _options;
    private readonly ImageLoader _loader;
    private readonly ImageImporter _importer;
    private readonly SemaphoreSlim _change = new(1);
    private ImageCatalog _catalog = ImageCatalog.Empty;

    public ImageStore(StateDatabase database, ContentStore content, LayerStore layers, DataRootOptions options)
    {
        (_database, _content, _layers, _options) = (database, content, layers, options);
        _loader = new ImageLoader(content, layers, options.Limits);
        _importer = new ImageImporter(content, layers, options.Limits, options.TimeProvider);
    }

    public IReadOnlyList<Image> All => Volatile.Read(ref _catalog).All;

    public Image Get(string nameOrId) => Entry(nameOrId).Image;

    public Image? Find(string nameOrId)
    {
        try
        {
            return Get(nameOrId);
        }
        catch (StorageException error) when (error.Kind == StorageErrorKind.NotFound)
        {
            return null;
        }
    }

    public ReadOnlyMemory<byte> RawConfig(Digest imageId) =>
        (Volatile.Read(ref _catalog).ById(imageId) ?? throw NoSuchImage(imageId.ToString())).RawConfig;

    public Task<IReadOnlyList<LoadedImage>> LoadAsync(
        Stream archive, Platform? platform, IProgress<ImageProgress>? progress, CancellationToken cancellationToken) =>
        CleaningUpAsync<IReadOnlyList<LoadedImage>>(async () =>
        {
            using var staged = await AsyncToBlockingStream.RunAsync(
                "image-load", archive, stream => _loader.Load(stream, platform, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
            await ChangeAsync(() => CommitAsync(staged, cancellationToken), cancellationToken).ConfigureAwait(false);
            return [.. staged.Images.SelectMany(Loaded)];
        });

    public Task<Image> ImportAsync(Stream rootfs, ImportOptions options, IProgress<ImageProgress>? progress, CancellationToken cancellationToken) =>
        CleaningUpAsync(async () =>
        {
            using var imported = await AsyncToBlockingStream.RunAsync(
                "image-import", rootfs, stream => _importer.Import(stream, options, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
            await ChangeAsync(() => CommitAsync(imported, options.Reference, cancellationToken), cancellationToken).ConfigureAwait(false);
            return Volatile.Read(ref _catalog).ById(imported.ConfigBlob.Digest)!.Image;
        });

    public Task SaveAsync(IReadOnlyList<string> namesOrIds, Stream output, CancellationToken cancellationToken)
    {
        var saver = new ImageSaver(_content);
        foreach (var nameOrId in namesOrIds)
        {
            saver.Add(Entry(nameOrId), NamedBy(nameOrId));
        }

        return BlockingToAsyncStream.RunAsync("image-save", output, stream => saver.Write(stream, cancellationToken), cancellationToken);
    }

    public async Task<Image> TagAsync(string nameOrId, Reference target, CancellationToken cancellationToken)
    {
        if (!target.Digest.IsNone)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, "refusing to create a tag with a digest reference");
        }

        var id = default(Digest);
        await ChangeAsync(
            async () =>
            {
                id = Entry(nameOrId).Image.Id;
                var now = _options.TimeProvider.GetUtcNow();
                await WriteAsync(connection => ImageRows.Tag(connection, target.WithDefaultTag(), id, now), cancellationToken).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        return Volatile.Read(ref _catalog).ById(id)?.Image ?? throw NoSuchImage(nameOrId);
    }

    public async Task<IReadOnlyList<RemovedItem>> RemoveAsync(string nameOrId, RemoveOptions options, CancellationToken cancellationToken)
    {
        var removed = new List<RemovedItem>();
        await ChangeAsync(
            async () =>
            {
                var entry = Entry(nameOrId);
                var plan = ImageRemoval.Plan(entry, NamedBy(nameOrId), options);
                removed.AddRange(plan.Untag.Select(name => new RemovedItem(name.Familiar, null)));
                await WriteAsync(
                    connection =>
                    {
                        foreach (var name in plan.Untag)
                        {
                            ImageRows.Untag(connection, name);
                        }

                        if (plan.Delete)
                        {
                            ImageRows.Delete(connection, entry.Image.Id);
                            removed.Add(new RemovedItem(null, entry.Image.Id.ToString()));
                            removed.AddRange(ImageRows.DeleteUnusedLayers(connection).Select(chainId => new RemovedItem(null, chainId.ToString())));
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
                if (plan.Delete)
                {
                    await SweepAsync().ConfigureAwait(false);
                }
            },
            cancellationToken).ConfigureAwait(false);
        return removed;
    }

    /// <summary>Deletes layers and blobs that no row names and nobody is working with.</summary>
    public Task CollectAsync(CancellationToken cancellationToken) =>
        ChangeAsync(
            async () =>
            {
                await _database.WriteAsync(ImageRows.DeleteUnusedLayers, cancellationToken).ConfigureAwait(false);
                await SweepAsync().ConfigureAwait(false);
            },
            cancellationToken);

    /// <summary>Reads the images at start.</summary>
    public Task OpenAsync(CancellationToken cancellationToken) => ChangeAsync(() => RefreshAsync(cancellationToken), cancellationToken);

    public void Dispose() => _change.Dispose();

    /// <summary>Docker's order: a name first, then an id or what an id begins with.</summary>
    private ImageCatalog.Entry Entry(string nameOrId)
    {
        var catalog = Volatile.Read(ref _catalog);
        if (Digest.TryParse(nameOrId, out var id) || Digest.TryParse($"{Digest.Sha256}:{nameOrId}", out id))
        {
            return catalog.ById(id) ?? throw NoSuchImage(nameOrId);
        }

        var hex = nameOrId.StartsWith(Digest.Sha256 + ":", StringComparison.Ordinal) ? nameOrId[(Digest.Sha256.Length + 1)..] : nameOrId;
        var isPrefix = hex.Length > 0 && Digest.IsLowerHex(hex);
        Reference name;
        try
        {
            name = Reference.Parse(nameOrId).WithDefaultTag();
        }
        catch (OciException error)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, error.Message, error);
        }

        // With both a tag and a digest the digest decides (Docker ignores the tag then).
        var byName = catalog.ByName(name.Digest.IsNone ? name : name.WithDigest(name.Digest));
        return byName ?? (isPrefix ? catalog.ByPrefix(hex) : null) ?? throw NoSuchImage(name.Familiar);
    }

    /// <summary>The name an image was asked for by, or null where it was by id.</summary>
    private Reference? NamedBy(string nameOrId) =>
        Reference.TryParse(nameOrId, out var reference) && Volatile.Read(ref _catalog) is { } catalog && reference!.WithDefaultTag() is var name && catalog.ByName(name) is not null ? name : null;

    private async Task CommitAsync(StagedImages staged, CancellationToken cancellationToken)
    {
        await WorkerThread.RunAsync("image-publish", () =>
        {
            foreach (var image in staged.Images)
            {
                image.ConfigBlob.Publish();
                image.Manifest?.Publish();
                foreach (var layer in image.LayerBlobs)
                {
                    layer.Publish();
                }
            }

            return true;
        }).ConfigureAwait(false);
        var now = _options.TimeProvider.GetUtcNow();
        await WriteAsync(
            connection =>
            {
                foreach (var image in staged.Images)
                {
                    var id = image.ConfigBlob.Digest;
                    ImageRows.Insert(connection, id, ImageArchive.ReadDocument(image.ConfigBlob), image.Manifest?.Digest ?? default, image.Layers);
                    foreach (var name in image.Names)
                    {
                        ImageRows.Tag(connection, name, id, now);
                    }
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async Task CommitAsync(ImportedImage imported, Reference? name, CancellationToken cancellationToken)
    {
        await WorkerThread.RunAsync("image-publish", () =>
        {
            imported.ConfigBlob.Publish();
            imported.LayerBlob.Publish();
            return true;
        }).ConfigureAwait(false);
        var now = _options.TimeProvider.GetUtcNow();
        await WriteAsync(
            connection =>
            {
                ImageRows.Insert(connection, imported.ConfigBlob.Digest, ImageArchive.ReadDocument(imported.ConfigBlob), default, [imported.Layer!]);
                if (name is not null)
                {
                    ImageRows.Tag(connection, name.WithDefaultTag(), imported.ConfigBlob.Digest, now);
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    private IEnumerable<LoadedImage> Loaded(StagedImage staged)
    {
        var image = Volatile.Read(ref _catalog).ById(staged.ConfigBlob.Digest)!.Image;
        return staged.Names.Count == 0 ? [new LoadedImage(image, null)] : staged.Names.Select(name => new LoadedImage(image, name.Familiar));
    }

    /// <summary>Layers and blobs that were stored before a failure belong to nobody after it.</summary>
    private async Task<T> CleaningUpAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            await CollectAsync(CancellationToken.None).ConfigureAwait(false);
            if (error is IOException failure)
            {
                throw HostErrors.Map(failure);
            }

            throw;
        }
    }

    private async Task ChangeAsync(Func<Task> change, CancellationToken cancellationToken)
    {
        await _change.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await change().ConfigureAwait(false);
        }
        finally
        {
            _change.Release();
        }
    }

    /// <summary>A durable transaction, after which queries see the new state.</summary>
    private async Task WriteAsync(Action<DatabaseConnection> write, CancellationToken cancellationToken)
    {
        await _database.WriteDurablyAsync(
            connection =>
            {
                write(connection);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
        await RefreshAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var previous = _catalog;
        var catalog = await _database.ReadAsync(connection => ImageCatalog.Read(connection, previous), cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _catalog, catalog);
    }

    private async Task SweepAsync()
    {
        var (layers, blobs) = await _database.ReadAsync(ImageRows.Used, CancellationToken.None).ConfigureAwait(false);
        await WorkerThread.RunAsync("image-sweep", () =>
        {
            foreach (var chainId in _layers.List().Where(chainId => !layers.Contains(chainId)).ToList())
            {
                _layers.TryDelete(chainId);
            }

            foreach (var digest in _content.List().Where(digest => !blobs.Contains(digest)).ToList())
            {
                _content.Delete(digest);
            }

            return true;
        }).ConfigureAwait(false);
    }

    private static StorageException NoSuchImage(string name) => new(StorageErrorKind.NotFound, $"No such image: {name}");
}
