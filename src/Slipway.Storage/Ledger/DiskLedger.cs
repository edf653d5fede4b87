using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Images;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Ledger;

internal sealed class DiskLedger : IDiskLedger, IDisposable
{
    private static readonly string[] DatabaseFiles = ["state.db", "state.db-wal", "state.db-shm", "state.db-journal", DiskReserve.Name];

    private readonly StateDatabase _database;
    private readonly TemporaryDirectory _temporary;
    private readonly IImageStore _images;
    private readonly SafeFileHandle _root;
    private readonly LayerUsage _layers;
    private readonly ImageUses _uses;
    private readonly SemaphoreSlim _reading = new(1);

    public DiskLedger(HostPath root, StateDatabase database, TemporaryDirectory temporary, IImageStore images, TimeProvider time)
    {
        (_database, _temporary, _images) = (database, temporary, images);
        _root = root.Open(OpenFlags.Directory);
        _layers = new LayerUsage(database);
        _uses = new ImageUses(database, time);
    }

    /// <summary>Reads what the last engine knew, and mends what is not as the database says.</summary>
    public async Task<LedgerRepair> OpenAsync(CancellationToken cancellationToken)
    {
        await _layers.OpenAsync(cancellationToken).ConfigureAwait(false);
        await _uses.OpenAsync(cancellationToken).ConfigureAwait(false);
        var removed = await WorkerThread.RunAsync("ledger-repair", RemoveUnknown).ConfigureAwait(false);
        var (lost, damaged) = await RemoveLostImagesAsync(cancellationToken).ConfigureAwait(false);
        return new LedgerRepair(removed, lost, damaged);
    }

    public async Task<IReadOnlyList<LedgerEntry>> ReadAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _uses.Keep(_images.All.Select(image => image.Id).ToHashSet());
            var owners = await _database.ReadAsync(Owners.Read, cancellationToken).ConfigureAwait(false);
            var measured = new List<(Digest, LayerUsage.Row)>();
            var entries = await WorkerThread.RunAsync("ledger", () => Measure(owners, measured)).ConfigureAwait(false);
            await StoreAsync(measured, cancellationToken).ConfigureAwait(false);
            return entries;
        }
        finally
        {
            _reading.Release();
        }
    }

    public void Touch(Digest imageId) => _uses.Touch(imageId);

    public DateTimeOffset? LastUsed(Digest imageId) => _uses.LastUsed(imageId);

    public void Dispose()
    {
        _root.Dispose();
        _reading.Dispose();
    }

    /// <summary>Spares the next engine a measurement. A disk too full for that is just what the ledger is asked about, so it answers all the same.</summary>
    private async Task StoreAsync(IReadOnlyList<(Digest, LayerUsage.Row)> measured, CancellationToken cancellationToken)
    {
        try
        {
            await _layers.StoreAsync(measured, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException error) when (error.Kind == StorageErrorKind.System)
        {
            // The sizes are in memory; the next start measures again.
        }
    }

    private List<LedgerEntry> Measure(Owners owners, List<(Digest, LayerUsage.Row)> measured)
    {
        var entries = new List<LedgerEntry> { new(LedgerKind.Engine, ".", TreeSize.Of(FileStatus.Of(_root)).Bytes, 1, []) };
        foreach (var name in Names(_root))
        {
            switch (name)
            {
                case "layers":
                    AddLayers(entries, owners, measured);
                    break;
                case "blobs":
                    AddBlobs(entries, owners);
                    break;
                case "containers":
                    AddEach(entries, name, LedgerKind.Container, prefix: "");
                    break;
                case "volumes":
                    AddEach(entries, name, LedgerKind.Volume, prefix: "");
                    break;
                case "tmp":
                    AddEach(entries, name, LedgerKind.Temporary, prefix: "tmp/");
                    break;
                case "base" or "builds" or "empty" or "lock" or "secrets" or "supervisor":
                    Add(entries, LedgerKind.Engine, name, TreeSize.Of(_root, name));
                    break;
                default:
                    Add(entries, DatabaseFiles.Contains(name) ? LedgerKind.Database : LedgerKind.Other, name, TreeSize.Of(_root, name));
                    break;
            }
        }

        return entries;
    }

    private void AddLayers(List<LedgerEntry> entries, Owners owners, List<(Digest, LayerUsage.Row)> measured)
    {
        AddFolder(entries, "layers", _root, "layers");
        using var layers = DirectoryEntry.Open(_root, "layers", OpenFlags.Directory);
        var chainIds = new List<Digest>();
        foreach (var name in Names(layers))
        {
            if (DigestOf(name) is { } chainId)
            {
                chainIds.Add(chainId);
            }
            else
            {
                Add(entries, LedgerKind.Other, "layers/" + name, TreeSize.Of(layers, name));
            }
        }

        foreach (var (chainId, size) in _layers.Read(layers, chainIds, measured))
        {
            Add(entries, LedgerKind.Layer, chainId.ToString(), size, owners.OfLayer(chainId));
        }
    }

    private void AddBlobs(List<LedgerEntry> entries, Owners owners)
    {
        AddFolder(entries, "blobs", _root, "blobs");
        using var blobs = DirectoryEntry.Open(_root, "blobs", OpenFlags.Directory);
        foreach (var algorithm in Names(blobs))
        {
            if (algorithm != Digest.Sha256)
            {
                Add(entries, LedgerKind.Other, "blobs/" + algorithm, TreeSize.Of(blobs, algorithm));
                continue;
            }

            AddFolder(entries, "blobs/" + algorithm, blobs, algorithm);
            using var directory = DirectoryEntry.Open(blobs, algorithm, OpenFlags.Directory);
            foreach (var name in Names(directory))
            {
                if (DigestOf(name) is { } digest)
                {
                    Add(entries, LedgerKind.Blob, digest.ToString(), TreeSize.Of(directory, name), owners.OfBlob(digest));
                }
                else
                {
                    Add(entries, LedgerKind.Other, $"blobs/{algorithm}/{name}", TreeSize.Of(directory, name));
                }
            }
        }
    }

    private void AddEach(List<LedgerEntry> entries, string folder, LedgerKind kind, string prefix)
    {
        AddFolder(entries, folder, _root, folder);
        using var directory = DirectoryEntry.Open(_root, folder, OpenFlags.Directory);
        foreach (var name in Names(directory))
        {
            Add(entries, kind, prefix + name, TreeSize.Of(directory, name));
        }
    }

    private static void AddFolder(List<LedgerEntry> entries, string path, SafeFileHandle parent, string name)
    {
        if (FileStatus.TryOf(parent, name) is { } status)
        {
            Add(entries, LedgerKind.Engine, path, TreeSize.Of(status));
        }
    }

    /// <summary>What vanished since it was listed takes no space.</summary>
    private static void Add(List<LedgerEntry> entries, LedgerKind kind, string id, TreeSize size, IReadOnlyList<Digest>? images = null)
    {
        if (size.Files > 0)
        {
            entries.Add(new LedgerEntry(kind, id, size.Bytes, size.Files, images ?? []));
        }
    }

    /// <summary>Removes from the directories of layers, blobs and containers what cannot be one: those names are the store's alone.</summary>
    private List<string> RemoveUnknown()
    {
        var removed = new List<string>();
        RemoveUnless("layers", name => DigestOf(name) is not null);
        RemoveUnless("containers", name => DigestOf(name) is not null);
        using var blobs = DirectoryEntry.Open(_root, "blobs", OpenFlags.Directory);
        RemoveIn(blobs, Digest.Sha256, "blobs/", name => DigestOf(name) is not null);
        return removed;

        void RemoveUnless(string folder, Func<string, bool> isKnown) => RemoveIn(_root, folder, "", isKnown);

        void RemoveIn(SafeFileHandle parent, string folder, string prefix, Func<string, bool> isKnown)
        {
            using var directory = DirectoryEntry.Open(parent, folder, OpenFlags.Directory);
            foreach (var name in Names(directory).Where(name => !isKnown(name)))
            {
                _temporary.Consume(directory, name);
                removed.Add($"{prefix}{folder}/{name}");
            }
        }
    }

    /// <summary>An image without a layer can be neither run nor saved: it goes, unless containers still name it.</summary>
    private async Task<(List<Digest> Lost, List<Digest> Damaged)> RemoveLostImagesAsync(CancellationToken cancellationToken)
    {
        var present = await WorkerThread.RunAsync("ledger-layers", () =>
        {
            using var layers = DirectoryEntry.Open(_root, "layers", OpenFlags.Directory);
            return Names(layers).Select(DigestOf).OfType<Digest>().ToHashSet();
        }).ConfigureAwait(false);
        var lost = new List<Digest>();
        var damaged = new List<Digest>();
        foreach (var image in _images.All.Where(image => !image.ChainIds.All(present.Contains)))
        {
            var users = await _database.ReadAsync(
                connection => connection.Query("SELECT id FROM containers WHERE image_id = $1", reader => reader.GetString(0), image.Id.ToString()), cancellationToken).ConfigureAwait(false);
            if (users.Count > 0)
            {
                damaged.Add(image.Id);
                continue;
            }

            await _images.RemoveAsync(image.Id.ToString(), new RemoveOptions { Force = true, UsedBy = _ => [] }, cancellationToken).ConfigureAwait(false);
            lost.Add(image.Id);
        }

        return (lost, damaged);
    }

    private static List<string> Names(SafeFileHandle directory) => [.. new DirectoryListing(directory).Select(entry => Encoding.UTF8.GetString(entry.Name)).Order(StringComparer.Ordinal)];

    private static Digest? DigestOf(string name) => Digest.TryParse($"{Digest.Sha256}:{name}", out var digest) ? digest : null;

    /// <summary>Which images need a layer or a blob.</summary>
    private sealed record Owners(ILookup<Digest, Digest> Layers, ILookup<Digest, Digest> Blobs)
    {
        public static Owners Read(DatabaseConnection connection) => new(
            Pairs(connection, "SELECT chain_id, image_id FROM image_layers"),
            Pairs(connection, "SELECT digest, image_id FROM image_blobs"));

        public IReadOnlyList<Digest> OfLayer(Digest chainId) => [.. Layers[chainId]];

        public IReadOnlyList<Digest> OfBlob(Digest digest) => [.. Blobs[digest]];

        private static ILookup<Digest, Digest> Pairs(DatabaseConnection connection, string query) => connection
            .Query(query, reader => (Object: Digest.Parse(reader.GetString(0)), Image: Digest.Parse(reader.GetString(1))))
            .ToLookup(pair => pair.Object, pair => pair.Image);
    }
}
