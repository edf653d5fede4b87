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
internal sealed partial class ImageStore : IImageStore, IDisposable
{
    private readonly StateDatabase _database;
    private readonly ContentStore _content;
    private readonly LayerStore _layers;
    private readonly DataRootOptions _options;
    private readonly ImageLoader _loader;
    private readonly ImageImporter _importer;
    private readonly LayerReader _reader;
    private readonly LayerIntake _intake;
    private readonly ImagePublisher _publisher;
    private readonly LayerEncodings _encodings;
    private readonly LayerTars _tars;
    private readonly SemaphoreSlim _change = new(1);
    private ImageCatalog _catalog = ImageCatalog.Empty;

    public ImageStore(StateDatabase database, ContentStore content, LayerStore layers, DataRootOptions options)
    {
        (_database, _content, _layers, _options) = (database, content, layers, options);
        _loader = new ImageLoader(content, layers, options.Limits);
        _importer = new ImageImporter(content, layers, options.Limits, options.TimeProvider);
        _reader = new LayerReader(layers, database, options);
        _intake = new LayerIntake(_reader);
        _tars = new LayerTars(layers, content);
        _encodings = new LayerEncodings(database, _tars);
        _publisher = new ImagePublisher(database, content, layers, _tars, _encodings, options.Limits);
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

    public Image? Find(string nameOrId, Platform platform) => TryEntry(nameOrId, platform)?.Image;

    public IImageIngest BeginIngest() => new ImageIngest(_layers, _intake, _reader, _options.Limits, AbandonAsync, CommitAsync);

    public async Task<ImagePublication> PublishAsync(string nameOrId, Platform? platform, CancellationToken cancellationToken)
    {
        var name = NamedBy(nameOrId);
        var catalog = Volatile.Read(ref _catalog);
        var entry = platform is null ? Entry(nameOrId) : Entry(nameOrId, platform);
        return await _publisher.PublishAsync(entry, name is null ? default : catalog.TargetOf(name), name is null || platform is not null ? [entry] : catalog.AllByName(name), cancellationToken).ConfigureAwait(false);
    }

    public Task<ImagePublication> PublishLayersAsync(IReadOnlyList<Layer> layers, CancellationToken cancellationToken) => _publisher.PublishLayersAsync(layers, cancellationToken);

    public LayerTar? FindLayer(Digest diffId) => Volatile.Read(ref _catalog).FindLayer(diffId) is { } found ? _tars.TryHold(found.Layer, found.Blob) : null;

    public ReadOnlyMemory<byte> RawConfig(Digest imageId) =>
        (Volatile.Read(ref _catalog).ById(imageId) ?? throw NoSuchImage(imageId.ToString())).RawConfig;

    public Task<IReadOnlyList<LoadedImage>> LoadAsync(
        Stream archive, Platform? platform, IProgress<ImageProgress>? progress, CancellationToken cancellationToken) =>
        CleaningUpAsync<IReadOnlyList<LoadedImage>>(async () =>
        {
            using var staged = await AsyncToBlockingStream.RunAsync(
                "image-load", archive, stream => _loader.Load(stream, platform, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
            await ChangeAsync(() => CommitAsync(staged, cancellationToken), cancellationToken).ConfigureAwait(false);
            return [.. staged.Images.Where(image => image.Image.IsMain).SelectMany(Loaded)];
        });

    public Task<Image> ImportAsync(Stream rootfs, ImportOptions options, IProgress<ImageProgress>? progress, CancellationToken cancellationToken) =>
        CleaningUpAsync(async () =>
        {
            using var imported = await AsyncToBlockingStream.RunAsync(
                "image-import", rootfs, stream => _importer.Import(stream, options, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
            await ChangeAsync(() => CommitAsync(imported, options.Reference, cancellationToken), cancellationToken).ConfigureAwait(false);
            return Volatile.Read(ref _catalog).ById(imported.ConfigBlob.Digest)!.Image;
        });

    public async Task SaveAsync(IReadOnlyList<string> namesOrIds, Platform? platform, Stream output, CancellationToken cancellationToken)
    {
        var pins = new List<IDisposable>();
        try
        {
            var saver = new ImageSaver(_content, _tars, _encodings, _options.Limits);
            var saved = new List<Digest>();
            foreach (var nameOrId in namesOrIds)
            {
                var name = NamedBy(nameOrId);
                var main = platform is null ? Entry(nameOrId) : Entry(nameOrId, platform);
                var platforms = name is null || platform is not null ? [main] : _catalog.AllByName(name);
                pins.AddRange(platforms.SelectMany(Pin));
                await saver.AddAsync(main, platforms, name is null ? main.Names : [name], name is null ? default : _catalog.TargetOf(name), cancellationToken).ConfigureAwait(false);
                saved.AddRange(platforms.Select(entry => entry.Image.Id));
            }

            foreach (var id in saved)
            {
                saver.AddReferrers(await _database.ReadAsync(connection => ImageRows.Referrers(connection, id), cancellationToken).ConfigureAwait(false));
            }

            await BlockingToAsyncStream.RunAsync("image-save", output, stream => saver.Write(stream, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            pins.ForEach(pin => pin.Dispose());
        }
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
                var entry = Entry(nameOrId);
                id = entry.Image.Id;
                var source = NamedBy(nameOrId);
                var denoted = source is null ? entry.Image.ManifestDigest : _catalog.TargetOf(source);
                IReadOnlyList<ImageCatalog.Entry> platforms = source is null ? [entry] : _catalog.AllByName(source);
                var now = _options.TimeProvider.GetUtcNow();
                await WriteAsync(
                    connection =>
                    {
                        foreach (var platform in platforms)
                        {
                            ImageRows.Tag(connection, target.WithDefaultTag(), platform.Image.Id, denoted, platforms.Count > 1, now);
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
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
                var name = NamedBy(nameOrId);
                IReadOnlyList<ImageCatalog.Entry> platforms = name is null ? [Entry(nameOrId)] : _catalog.AllByName(name);
                var plans = platforms.Select(entry => (entry.Image.Id, Plan: ImageRemoval.Plan(entry, name, nameOrId, options))).ToList();
                removed.AddRange(plans.SelectMany(item => item.Plan.Untag).Distinct().Select(untagged => new RemovedItem(untagged.Familiar, null)));
                var deleted = new List<RemovedItem>();
                await WriteAsync(
                    connection =>
                    {
                        deleted.Clear();
                        foreach (var (id, plan) in plans)
                        {
                            deleted.AddRange(ImageRows.Apply(connection, id, plan));
                        }
                    },
                    WritePurpose.GivesRoom,
                    cancellationToken).ConfigureAwait(false);
                removed.AddRange(deleted);
                if (plans.Exists(item => item.Plan.Delete))
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
                var now = _options.TimeProvider.GetUtcNow();
                await _database.WriteAsync(
                    connection =>
                    {
                        LayerRows.EndHolds(connection, now, BootId.Current);
                        foreach (var chainId in LayerRows.Held(connection).Where(chainId => !_layers.Contains(chainId)))
                        {
                            // Its row was written, and then the process ended before the layer got its name.
                            LayerRows.EndHold(connection, chainId);
                        }

                        return true;
                    },
                    WritePurpose.GivesRoom,
                    cancellationToken).ConfigureAwait(false);
                await DeleteUnusedAsync(cancellationToken).ConfigureAwait(false);
            },
            cancellationToken);

    public Task PurgeAsync(CancellationToken cancellationToken) =>
        ChangeAsync(
            async () =>
            {
                await _database.WriteAsync(LayerRows.EndHolds, WritePurpose.GivesRoom, cancellationToken).ConfigureAwait(false);
                await DeleteUnusedAsync(cancellationToken).ConfigureAwait(false);
            },
            cancellationToken);

    /// <summary>Reads the images at start, and completes what the end of the last engine cut off.</summary>
    public Task OpenAsync(CancellationToken cancellationToken) =>
        ChangeAsync(
            async () =>
            {
                await _database.WriteAsync(
                    connection =>
                    {
                        DocumentJournal.Settle(connection, _content);
                        return true;
                    },
                    WritePurpose.GivesRoom,
                    cancellationToken).ConfigureAwait(false);
                await RefreshAsync(cancellationToken).ConfigureAwait(false);
            },
            cancellationToken);

    public void Dispose() => _change.Dispose();

    /// <summary>The image of a name for one platform; null where there is none.</summary>
    private ImageCatalog.Entry? TryEntry(string nameOrId, Platform platform)
    {
        var candidates = NamedBy(nameOrId) is { } name ? _catalog.AllByName(name) : Find(nameOrId) is { } image ? [_catalog.ById(image.Id)!] : [];
        return candidates.FirstOrDefault(entry => entry.Image.Config.Platform.Normalize() == platform.Normalize())
            ?? candidates.FirstOrDefault(entry => entry.Image.Config.Platform.RunsOn(platform));
    }

    private ImageCatalog.Entry Entry(string nameOrId, Platform platform) => TryEntry(nameOrId, platform) ?? throw new StorageException(
        StorageErrorKind.NotFound, $"image with reference {nameOrId} was found but does not provide the specified platform ({platform})");

    /// <summary>Keeps all that an image consists of in the store.</summary>
    private IEnumerable<IDisposable> Pin(ImageCatalog.Entry entry) =>
        [.. entry.Image.Layers.Select(layer => _layers.Pin(layer.ChainId)), .. entry.Blobs.Append(entry.Image.ManifestDigest).Where(blob => !blob.IsNone).Select(_content.Pin)];

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

    private IEnumerable<LoadedImage> Loaded(StagedImage staged)
    {
        var image = Volatile.Read(ref _catalog).ById(staged.Id)!.Image;
        return staged.Image.Names.Count == 0 ? [new LoadedImage(image, null)] : staged.Image.Names.Select(name => new LoadedImage(image, name.Familiar));
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
            var mapped = error is IOException failure ? HostErrors.Map(failure) : null;
            await AbandonAsync(HostErrors.IsDiskFull(mapped ?? error)).ConfigureAwait(false);
            if (mapped is not null)
            {
                throw mapped;
            }

            throw;
        }
    }

    /// <summary>Cleans up after what did not become an image. A full disk also ends what is kept for later.</summary>
    private Task AbandonAsync(bool diskFull) => diskFull ? PurgeAsync(CancellationToken.None) : CollectAsync(CancellationToken.None);

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

    private Task WriteAsync(Action<DatabaseConnection> write, CancellationToken cancellationToken) => WriteAsync(write, WritePurpose.Ordinary, cancellationToken);

    /// <summary>A durable transaction, after which queries see the new state. What <paramref name="write"/> does may be undone and done again.</summary>
    private async Task WriteAsync(Action<DatabaseConnection> write, WritePurpose purpose, CancellationToken cancellationToken)
    {
        var previous = _catalog;
        var catalog = await _database.WriteDurablyAsync(write, connection => ImageCatalog.Read(connection, previous), purpose, cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _catalog, catalog);
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var previous = _catalog;
        var catalog = await _database.ReadAsync(connection => ImageCatalog.Read(connection, previous), cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _catalog, catalog);
    }

    private async Task DeleteUnusedAsync(CancellationToken cancellationToken)
    {
        await _database.WriteAsync(
            connection =>
            {
                ImageRows.DeleteUnusedBlobs(connection);
                return LayerRows.DeleteUnused(connection);
            },
            WritePurpose.GivesRoom,
            cancellationToken).ConfigureAwait(false);
        await SweepAsync().ConfigureAwait(false);
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
