using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Engine.Builds;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Images;
using Slipway.Engine.Volumes;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;

namespace Slipway.Engine.Disk;

/// <summary>The storage's ledger in the words of the API: whose is it, and what would a prune give back.</summary>
/// <param name="containers">The containers as they are now.</param>
/// <param name="builds">The records of the build cache.</param>
internal sealed class DiskService(EngineOptions options, DataRoot data, VolumeService volumes, IContainers listing, Func<IEnumerable<ContainerSnapshot>> containers, Func<CancellationToken, Task<IReadOnlyList<BuildCacheRecord>>> builds) : IDisk
{
    public async Task<DiskUsage> UsageAsync(DiskUsageTypes types, CancellationToken cancellationToken)
    {
        IReadOnlyList<LedgerEntry> entries = await StorageErrors.OfAsync(() => data.Ledger.ReadAsync(cancellationToken));
        ILookup<LedgerKind, LedgerEntry> byKind = entries.ToLookup(entry => entry.Kind);
        Dictionary<string, long> containerBytes = byKind[LedgerKind.Container].ToDictionary(entry => entry.Id, entry => entry.Bytes);
        Dictionary<string, long> volumeBytes = byKind[LedgerKind.Volume].ToDictionary(entry => entry.Id, entry => entry.Bytes);
        List<ContainerSummary> summaries = [.. listing.List(new ContainerListOptions(All: true, Size: true))];
        foreach (ContainerSummary summary in summaries)
        {
            summary.SizeRw = containerBytes.GetValueOrDefault(summary.Id);
        }

        // Images own what neither containers nor volumes do: layers and blobs, and the database that knows them.
        long others = summaries.Sum(summary => summary.SizeRw ?? 0) + volumeBytes.Values.Sum();
        return new DiskUsage
        {
            LayersSize = types.HasFlag(DiskUsageTypes.Images) ? entries.Sum(entry => entry.Bytes) - others : 0,
            Images = types.HasFlag(DiskUsageTypes.Images) ? Images() : null,
            Containers = types.HasFlag(DiskUsageTypes.Containers) ? summaries : null,
            Volumes = types.HasFlag(DiskUsageTypes.Volumes) ? volumes.Usage(volumeBytes) : null,
            BuildCache = types.HasFlag(DiskUsageTypes.BuildCache) ? [.. (await builds(cancellationToken)).Select(Item)] : null,
        };
    }

    public async Task<DiskLedger> LedgerAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<LedgerEntry> entries = await StorageErrors.OfAsync(() => data.Ledger.ReadAsync(cancellationToken));
        Dictionary<Digest, Image> images = data.Images.All.ToDictionary(image => image.Id);
        Dictionary<string, string> names = containers().ToDictionary(container => container.Id, container => container.Name);
        return new DiskLedger
        {
            Total = entries.Sum(entry => entry.Bytes),
            Budget = options.DiskBudget,
            Objects = [.. entries.Select(Object)],
        };

        DiskObject Object(LedgerEntry entry) => new()
        {
            Kind = entry.Kind.ToString().ToLowerInvariant(),
            Id = entry.Id,
            Bytes = entry.Bytes,
            Files = entry.Files,
            UsedBy = entry.Kind switch
            {
                LedgerKind.Container => names.TryGetValue(entry.Id, out string? name) ? [name] : [],
                LedgerKind.Volume => [.. UsersOf(entry.Id).Select(container => container.Name)],
                _ => [.. entry.Images.SelectMany(id => images.GetValueOrDefault(id) is { RepoTags: { Count: > 0 } tags } ? tags : [id.ToString()])],
            },
            LastUsed = entry.Images.Select(id => images.TryGetValue(id, out Image? image) ? LastUse.Of(data.Ledger, image) : null).Max() is { } last ? Rfc3339.Format(last) : null,
        };
    }

    private static BuildCacheItem Item(BuildCacheRecord record) => new()
    {
        ID = record.Id,
        Parents = record.Parents.Count == 0 ? null : [.. record.Parents],
        Type = record.Type,
        Description = record.Description,
        InUse = record.InUse,
        Shared = record.Shared,
        Size = record.Size,
        CreatedAt = Rfc3339.Format(record.CreatedAt),
        LastUsedAt = record.LastUsedAt is { } used ? Rfc3339.Format(used) : null,
        UsageCount = record.UsageCount,
    };

    private List<Api.Images.ImageSummary> Images()
    {
        IReadOnlyList<Image> all = data.Images.All;
        SharedSizes shared = new(all);
        ILookup<string, ContainerSnapshot> users = containers().ToLookup(container => container.ImageId);
        return [.. all.Select(image =>
        {
            Api.Images.ImageSummary summary = ImageShapes.Summary(image);
            summary.SharedSize = shared.Of(image);
            summary.Containers = users[image.Id.ToString()].Count();
            return summary;
        })];
    }

    private IEnumerable<ContainerSnapshot> UsersOf(string volume) => containers().Where(container => container.Mounts.Any(mount => mount.VolumeName == volume));
}
