using System.Globalization;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Builds;

namespace Slipway.Engine.Builds;

/// <summary>What the cache holds, what of it goes, and that it does not grow without bound.</summary>
internal sealed partial class BuildService
{
    /// <summary>Of the disk the cache may have, in parts of a hundred; what was used least recently goes beyond.</summary>
    private const int DiskShare = 10;

    private readonly SemaphoreSlim _maintaining = new(1);
    private Task _maintenance = Task.CompletedTask;

    public async Task<IReadOnlyList<BuildCacheRecord>> CacheAsync(CancellationToken cancellationToken) =>
        [.. (await services.Data.Builds.ListAsync(cancellationToken)).Select(Record)];

    public async Task<BuildCachePruned> PruneAsync(BuildCachePrune prune, CancellationToken cancellationToken)
    {
        Validate(prune.Filters);
        DateTimeOffset now = services.Time.GetUtcNow();
        TimeSpan? unusedFor = (prune.Filters["until"] is [var until, ..] ? until : prune.Filters["unused-for"] is [var unused, ..] ? unused : null) is { } text ? Age(text) : null;
        List<BuildCacheEntry> doomed = [];
        long kept = 0;
        foreach (BuildCacheEntry entry in await services.Data.Builds.ListAsync(cancellationToken))
        {
            if (!Matches(prune.Filters, entry) || prune.Where?.Invoke(Record(entry)) == false || (unusedFor is { } age && entry.LastUsed > now - age))
            {
                continue;
            }

            // Those used last come first, and stay as long as there is room.
            kept += entry.Shared ? 0 : entry.Row.Size;
            if (prune.KeepStorage == 0 || kept > prune.KeepStorage)
            {
                doomed.Add(entry);
            }
        }

        await services.Data.Builds.DeleteAsync([.. doomed.Select(entry => entry.Row.Key)], cancellationToken);

        // A layer that an image has too stays: taking its record out frees nothing.
        long reclaimed = doomed.Where(entry => !entry.Shared && !entry.Row.ChainId.IsNone).DistinctBy(entry => entry.Row.ChainId).Sum(entry => entry.Row.Size);
        services.Events.Publish("builder", "prune", "", new Dictionary<string, string> { ["reclaimed"] = reclaimed.ToString(CultureInfo.InvariantCulture) });
        return new BuildCachePruned([.. doomed.Where(entry => prune.All || entry.Row.Kind != "internal").Select(Record)], reclaimed);
    }

    private static BuildCacheRecord Record(BuildCacheEntry entry) => new()
    {
        Id = entry.Row.Key.Hex[..25],
        Parents = entry.Row.Parent.IsNone ? [] : [entry.Row.Parent.Hex[..25]],
        Type = entry.Row.Kind,
        Description = entry.Row.Description,
        Shared = entry.Shared,
        Size = entry.Row.Size,
        CreatedAt = entry.Row.Created,
        LastUsedAt = entry.LastUsed,
        UsageCount = entry.Uses,
    };

    private static bool Matches(Filters filters, BuildCacheEntry entry)
    {
        BuildCacheRecord record = Record(entry);
        return !filters.Has("label") && Any("id", id => record.Id.StartsWith(id, StringComparison.Ordinal))
            && Any("parent", parent => record.Parents.Contains(parent))
            && Any("type", type => record.Type == type)
            && Any("description", words => record.Description.Contains(words, StringComparison.Ordinal))
            && Any("inuse", value => (value is not ("0" or "false")) == record.InUse)
            && Any("shared", value => (value is not ("0" or "false")) == record.Shared)
            && Any("private", value => (value is not ("0" or "false")) != record.Shared);

        bool Any(string key, Func<string, bool> matches) => !filters.Has(key) || filters[key].Any(matches);
    }

    /// <summary><c>system prune --filter label=…</c> sends its filters to all kinds of objects: no record has a label, so it takes none of them.</summary>
    private static void Validate(Filters filters)
    {
        try
        {
            filters.Validate("until", "unused-for", "id", "parent", "type", "description", "inuse", "shared", "private", "label", "label!");
        }
        catch (EngineException error)
        {
            throw new EngineException(error.Kind, $"failed to prune build cache: {error.Message}", error);
        }
    }

    private static TimeSpan Age(string text)
    {
        try
        {
            return Slipway.Build.Syntax.GoDuration.Parse(text);
        }
        catch (FormatException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"failed to prune build cache: \"until\" filter expects a duration (e.g., '24h'): {error.Message}", error);
        }
    }

    /// <summary>After a build: what it made reaches the disk, and what nobody has used for long goes where there is too much.</summary>
    private void BeginMaintenance()
    {
        if (_maintaining.Wait(0))
        {
            _maintenance = MaintainAsync();
        }
    }

    private async Task MaintainAsync()
    {
        try
        {
            await services.Data.Builds.FlushAsync(CancellationToken.None);
            IReadOnlyList<BuildCacheEntry> entries = await services.Data.Builds.ListAsync(CancellationToken.None);
            long limit = services.Options.BuildCacheLimit ?? new DriveInfo(services.Options.DataRoot).TotalSize / 100 * DiskShare;
            long size = 0;
            Digest[] doomed = [.. entries.Where(entry => (size += entry.Shared ? 0 : entry.Row.Size) > limit).Select(entry => entry.Row.Key)];
            if (doomed.Length > 0)
            {
                await services.Data.Builds.DeleteAsync(doomed, CancellationToken.None);
            }
        }
        catch (Exception error) when (error is StorageException or IOException)
        {
            // The next build tries again; until then a reboot may end records of this one.
            services.Log.Write(EngineLogLevel.Warning, "the build cache could not be maintained", error);
        }
        finally
        {
            _maintaining.Release();
        }
    }

    private async Task EndMaintenanceAsync()
    {
        await _maintenance;
        _maintaining.Dispose();
    }
}
