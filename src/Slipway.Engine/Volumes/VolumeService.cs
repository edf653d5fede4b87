using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Slipway.Api.Disk;
using Slipway.Api.Volumes;
using Slipway.Engine.Containers;
using Slipway.Engine.Disk;
using Slipway.Engine.Events;
using Slipway.Engine.Images;
using Slipway.Engine.Plugins;
using Slipway.Storage;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>
/// The volumes of an engine. Each has a lock of its own, held while its driver works: one whose server does not answer holds up nobody but
/// those who use it. The parts of this class are one subject each.
/// </summary>
internal sealed partial class VolumeService : IVolumes, IDisposable
{
    private readonly ConcurrentDictionary<string, VolumeEntry> _byName = new(StringComparer.Ordinal);
    private readonly DataRoot _data;
    private readonly IVolumeStore _store;
    private readonly EventLog _events;
    private readonly TimeProvider _time;
    private readonly IEngineLog _log;
    private readonly VolumeDrivers _drivers;
    private readonly PruneGate _pruning = new();

    private VolumeService(DataRoot data, PluginDirectory plugins, EventLog events, TimeProvider time, IEngineLog log)
    {
        (_data, _store, _events, _time, _log) = (data, data.Volumes, events, time, log);
        _drivers = new VolumeDrivers(data.Volumes, plugins);
    }

    /// <summary>Reads the volumes of the data root.</summary>
    /// <param name="plugins">Where other drivers are found.</param>
    public static async Task<VolumeService> OpenAsync(
        DataRoot data, PluginDirectory plugins, EventLog events, TimeProvider time, IEngineLog log, CancellationToken cancellationToken)
    {
        VolumeService service = new(data, plugins, events, time, log);
        foreach (VolumeRow row in await data.Volumes.OpenAsync((name, size) => Adopted(name, size).ToBytes(), cancellationToken))
        {
            try
            {
                VolumeDocument document = VolumeDocument.Parse(row.Document);
                string path = document.Driver == LocalDriver.Name ? data.Volumes.DataPath(row.Name) : "";
                service._byName[row.Name] = new VolumeEntry(row.Name) { Document = document, Created = row.Created, Path = path };
            }
            catch (JsonException exception)
            {
                throw new EngineException(ErrorKind.System, $"volume {row.Name} in the state database cannot be read: {exception.Message}", exception);
            }
        }

        return service;
    }

    public VolumeList List(Filters filters)
    {
        VolumeFilter filter = new(filters);
        return new VolumeList([.. Entries.Where(filter.Includes).OrderBy(entry => entry.Name, StringComparer.Ordinal).Select(Describe)], null);
    }

    public async Task<Volume> CreateAsync(VolumeCreateRequest request, CancellationToken cancellationToken)
    {
        if (request.ClusterVolumeSpec is not null)
        {
            throw new EngineException(ErrorKind.Unavailable, "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.");
        }

        bool anonymous = string.IsNullOrEmpty(request.Name);
        VolumeSpec spec = new(request.Driver, request.DriverOpts, anonymous ? WithMark(request.Labels) : request.Labels);
        using Held held = await LockAsync(anonymous ? Identifiers.New() : VolumeNames.Check(request.Name!), cancellationToken);
        await EnsureHeldAsync(held.Volume, spec, owner: null, cancellationToken);
        return Describe(held.Volume);
    }

    public Volume Inspect(string name) => Find(name) is { } entry ? Describe(entry) : throw VolumeErrors.NoSuchVolume(name);

    public IVolumes Judged(Volume volume) => new JudgedVolumes(this, volume);

    public Task RemoveAsync(string name, bool force, CancellationToken cancellationToken) => RemoveAsync(name, force, incarnation: null, cancellationToken);

    private async Task RemoveAsync(string name, bool force, long? incarnation, CancellationToken cancellationToken)
    {
        using Held held = await LockAsync(name, cancellationToken);
        if (held.Volume.Document is null || !held.Volume.Is(incarnation))
        {
            if (!force)
            {
                throw VolumeErrors.NoSuchVolume(name);
            }

            return;
        }

        if (held.Volume.Users.Count > 0)
        {
            throw VolumeErrors.InUse("remove", held.Volume);
        }

        await RemoveHeldAsync(held.Volume, cancellationToken, force);
    }

    public void Dispose() => _drivers.Dispose();

    public Task<VolumesPruneReport> PruneAsync(Filters filters, bool all, CancellationToken cancellationToken)
    {
        filters.Validate("all", "label", "label!");
        all = PruneFilter.Flag(filters, "all", all);
        PruneFilter filter = new(filters, _time, "all");
        return _pruning.RunAsync(async () =>
        {
            List<string> deleted = [];
            long reclaimed = 0;
            Dictionary<string, long> sizes = (await StorageErrors.OfAsync(() => _data.Ledger.ReadAsync(cancellationToken)))
                .Where(entry => entry.Kind == Storage.Ledger.LedgerKind.Volume)
                .ToDictionary(entry => entry.Id, entry => entry.Bytes);
            foreach (VolumeEntry candidate in Entries.OrderBy(entry => entry.Name, StringComparer.Ordinal))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using Held held = await LockAsync(candidate.Name, cancellationToken);

                // As in Docker, one with options stays: it is somebody's mount, and its contents need not be the engine's.
                if (held.Volume is { Document: { Options: null or { Count: 0 } } document, Users.Count: 0 } volume && (all || document.IsAnonymous) && filter.Includes(DateTimeOffset.MinValue, document.Labels))
                {
                    await RemoveHeldAsync(volume, cancellationToken);
                    deleted.Add(volume.Name);
                    reclaimed += sizes.GetValueOrDefault(volume.Name);
                }
            }

            _events.Publish("volume", "prune", "", new Dictionary<string, string> { ["reclaimed"] = reclaimed.ToString(CultureInfo.InvariantCulture) });
            return new VolumesPruneReport(deleted, reclaimed);
        });
    }

    /// <summary>The volumes as <c>docker system df</c> shows them.</summary>
    /// <param name="sizes">Bytes on the disk, by name.</param>
    internal List<Volume> Usage(IReadOnlyDictionary<string, long> sizes) =>
        [.. Entries.OrderBy(entry => entry.Name, StringComparer.Ordinal).Select(entry => Describe(entry) with { UsageData = new VolumeUsage(sizes.GetValueOrDefault(entry.Name), entry.Users.Count) })];

    private IEnumerable<VolumeEntry> Entries => _byName.Values.Where(entry => entry.Document is not null);

    private VolumeEntry? Find(string name) => _byName.TryGetValue(name, out VolumeEntry? entry) && entry.Document is not null ? entry : null;

    private Volume Describe(VolumeEntry entry)
    {
        VolumeDocument document = entry.Document ?? throw VolumeErrors.NoSuchVolume(entry.Name);
        return new Volume
        {
            CreatedAt = entry.Created.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            Driver = document.Driver,
            Labels = document.Labels is null ? null : new Dictionary<string, string>(document.Labels),
            Mountpoint = entry.Path,
            Name = entry.Name,
            Options = document.Options is null ? null : new Dictionary<string, string>(document.Options),
            Scope = _drivers.ScopeOf(document.Driver),
            Incarnation = entry.Incarnation,
        };
    }

    /// <summary>Makes the volume where it does not exist.</summary>
    /// <param name="owner">The container it is made for; only for an anonymous volume.</param>
    private async Task EnsureHeldAsync(VolumeEntry volume, VolumeSpec spec, string? owner, CancellationToken cancellationToken)
    {
        if (volume.Document is { } existing)
        {
            if (!string.IsNullOrEmpty(spec.Driver) && spec.Driver != existing.Driver)
            {
                throw VolumeErrors.OtherDriver(volume);
            }

            return;
        }

        VolumeDocument document = new() { Driver = string.IsNullOrEmpty(spec.Driver) ? LocalDriver.Name : spec.Driver, Options = spec.Options, Labels = spec.Labels, Owner = owner };
        IVolumeDriver driver = await _drivers.FindAsync(document.Driver, cancellationToken) ?? throw VolumeErrors.NoDriver(volume.Name, document.Driver);
        DateTimeOffset now = _time.GetUtcNow();
        string path;
        try
        {
            path = await driver.CreateAsync(volume.Name, document, cancellationToken);
            await _store.CreateAsync(new VolumeRow(volume.Name, now, document.ToBytes()), document.Size, cancellationToken);
        }
        catch (EngineException exception)
        {
            throw new EngineException(exception.Kind, $"create {volume.Name}: {exception.Message}", exception);
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }

        volume.Created = now;
        volume.Path = path;
        volume.Document = document;
        Publish(volume, "create");
    }

    /// <param name="force">What the driver says about it does not matter: it may be gone for good.</param>
    private async Task RemoveHeldAsync(VolumeEntry volume, CancellationToken cancellationToken, bool force = false)
    {
        try
        {
            try
            {
                await (await DriverAsync(volume, cancellationToken)).RemoveAsync(volume.Name, cancellationToken);
            }
            catch (EngineException exception) when (!force)
            {
                throw new EngineException(exception.Kind, $"remove {volume.Name}: {exception.Message}", exception);
            }
            catch (EngineException exception)
            {
                _log.Write(EngineLogLevel.Warning, $"volume {volume.Name} is removed by force: {exception.Message}");
            }

            await _store.RemoveAsync(volume.Name, cancellationToken);
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }

        Publish(volume, "destroy");
        volume.Document = null;
    }

    private void Publish(VolumeEntry volume, string action, params ReadOnlySpan<(string Key, string Value)> details)
    {
        Dictionary<string, string> attributes = new() { ["driver"] = volume.Document!.Driver };
        foreach ((string key, string value) in details)
        {
            attributes[key] = value;
        }

        _events.Publish("volume", action, volume.Name, attributes);
    }

    private static VolumeDocument Adopted(string name, long? size) => new()
    {
        Driver = LocalDriver.Name,
        Labels = VolumeNames.LooksAnonymous(name) ? WithMark(null) : null,
        Options = size is { } bytes ? new Dictionary<string, string> { [LocalMount.SizeOption] = bytes.ToString(CultureInfo.InvariantCulture) } : null,
    };

    private static Dictionary<string, string> WithMark(Dictionary<string, string>? labels) => new(labels ?? []) { [VolumeDocument.AnonymousLabel] = "" };

    private async Task<Held> LockAsync(string name, CancellationToken cancellationToken)
    {
        while (true)
        {
            VolumeEntry entry = _byName.GetOrAdd(name, static name => new VolumeEntry(name));
            AsyncLock.Holder holder = await entry.Lock.AcquireAsync(cancellationToken);
            if (!entry.IsGone)
            {
                return new Held(this, entry, holder);
            }

            holder.Dispose();
        }
    }

    /// <summary>A volume whose lock is held. One that does not exist when it is let go leaves the index.</summary>
    private readonly struct Held(VolumeService service, VolumeEntry volume, AsyncLock.Holder holder) : IDisposable
    {
        public VolumeEntry Volume => volume;

        public void Dispose()
        {
            if (volume.Document is null)
            {
                volume.IsGone = true;
                service._byName.TryRemove(KeyValuePair.Create(volume.Name, volume));
            }

            holder.Dispose();
        }
    }
}
