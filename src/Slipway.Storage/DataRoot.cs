using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Builds;
using Slipway.Storage.Content;
using Slipway.Storage.Images;
using Slipway.Storage.Layers;
using Slipway.Storage.Ledger;
using Slipway.Storage.Quotas;
using Slipway.Storage.Snapshots;
using Slipway.Storage.State;
using Slipway.Storage.Threading;
using Slipway.Storage.Volumes;

namespace Slipway.Storage;

/// <summary>Everything an engine stores, below one directory. One process at a time has it open.</summary>
public sealed class DataRoot : IAsyncDisposable
{
    /// <summary>Only root may look into what belongs to the engine; others may pass through to volumes they have a right to.</summary>
    internal const uint DirectoryMode = 0x1c8; // 0710

    private readonly SafeFileHandle _lock;
    private readonly SafeFileHandle _directory;
    private readonly StateDatabase _database;
    private readonly TemporaryDirectory _temporary;
    private readonly ContentStore _content;
    private readonly LayerStore _layers;
    private readonly ImageStore _images;
    private readonly ProjectQuotas _projects;
    private readonly SnapshotStore _snapshots;
    private readonly DiskLedger _ledger;
    private readonly VolumeStore _volumes;
    private readonly BuildCacheTable _builds;

    private DataRoot(DataRootOptions options, SafeFileHandle rootLock)
    {
        Path = options.Path;
        _lock = rootLock;
        var root = new HostPath(options.Path);
        _directory = root.Open(OpenFlags.Directory);
        _temporary = new TemporaryDirectory(root);
        _content = new ContentStore(root, _temporary);
        _layers = new LayerStore(root, _temporary, options.Limits);
        _database = new StateDatabase((root / "state.db").Value, new DiskReserve(root));
        _projects = new ProjectQuotas(_directory, new ProjectTable(_database));
        _snapshots = new SnapshotStore(root, _temporary, _layers, _projects, options.Limits, options.SpareRetention, options.TimeProvider);
        _images = new ImageStore(_database, _content, _layers, options);
        _ledger = new DiskLedger(root, _database, _temporary, _images, options.TimeProvider);
        _volumes = new VolumeStore(root, _temporary, _projects, new VolumeTable(_database));
        Containers = new ContainerTable(_database, _images.CollectAsync);
        Networks = new NetworkTable(_database);
        Events = new EventTable(_database);
        Values = new KeyValueTable(_database);
        _builds = new BuildCacheTable(_database, _layers, _images.CollectAsync);
        BuildHistory = new BuildHistoryStore(root, _database);
    }

    /// <summary>Absolute path of the directory.</summary>
    public string Path { get; }

    public IImageStore Images => _images;

    public ISnapshotStore Snapshots => _snapshots;

    public IDiskLedger Ledger => _ledger;

    public IVolumeStore Volumes => _volumes;

    /// <summary>Whether volumes and containers of a size are bounded by project quotas of the file system.</summary>
    public bool HasProjectQuotas => _projects.IsAvailable;

    /// <summary>What was wrong when the data root was opened.</summary>
    public LedgerRepair Repair { get; private set; } = new([], [], []);

    public IContainerTable Containers { get; }

    public INetworkTable Networks { get; }

    public IEventTable Events { get; }

    public IKeyValueTable Values { get; }

    public IBuildCacheTable Builds => _builds;

    public IBuildHistoryStore BuildHistory { get; }

    /// <summary>Opens a data root, makes it where it is missing, and removes what an interrupted run left behind.</summary>
    /// <exception cref="StorageException">Conflict: another engine has it open; System: it cannot be used.</exception>
    public static async Task<DataRoot> OpenAsync(DataRootOptions options, CancellationToken cancellationToken)
    {
        DataRoot root;
        try
        {
            root = await WorkerThread.RunAsync("data-root", () => Open(options)).ConfigureAwait(false);
        }
        catch (KernelException error)
        {
            throw new StorageException(StorageErrorKind.System, $"data root \"{options.Path}\": {error.Message}", error);
        }

        try
        {
            await root._images.OpenAsync(cancellationToken).ConfigureAwait(false);
            root.Repair = await root._ledger.OpenAsync(cancellationToken).ConfigureAwait(false);
            await root._builds.OpenAsync(cancellationToken).ConfigureAwait(false);
            await root._images.CollectAsync(cancellationToken).ConfigureAwait(false);
            await root._projects.OpenAsync(() => root._snapshots.Projects().Concat(root._volumes.Projects()), cancellationToken).ConfigureAwait(false);
            return root;
        }
        catch
        {
            await root.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync().ConfigureAwait(false);
        _ledger.Dispose();
        _images.Dispose();
        _snapshots.Dispose();
        _volumes.Dispose();
        _layers.Dispose();
        _content.Dispose();
        _temporary.Dispose();
        _directory.Dispose();
        _lock.Dispose();
    }

    private static DataRoot Open(DataRootOptions options)
    {
        var path = new HostPath(options.Path);
        path.CreateDirectories(DirectoryMode);
        var rootLock = Lock(path / "lock");
        try
        {
            return new DataRoot(options, rootLock);
        }
        catch
        {
            rootLock.Dispose();
            throw;
        }
    }

    /// <summary>A lock that the kernel takes back when the process ends, however it ends.</summary>
    private static SafeFileHandle Lock(HostPath path)
    {
        var file = path.Open(OpenFlags.ReadWrite | OpenFlags.Create, 0x180);
        if (Descriptors.TryLock(file))
        {
            return file;
        }

        file.Dispose();
        throw new StorageException(StorageErrorKind.Conflict, $"the data root is in use by another engine ({path.Value} is locked)");
    }
}
