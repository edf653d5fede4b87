using Slipway.Api.Disk;

namespace Slipway.Engine.Disk;

/// <summary>What the engine's data takes on the disk. Sizes are those of du(1).</summary>
public interface IDisk
{
    /// <summary><c>docker system df</c>: the sizes of images, containers and volumes add up to that of the data root.</summary>
    Task<DiskUsage> UsageAsync(DiskUsageTypes types, CancellationToken cancellationToken);

    /// <summary>Every object below the data root with what it takes.</summary>
    Task<DiskLedger> LedgerAsync(CancellationToken cancellationToken);
}

/// <summary>What <see cref="IDisk.UsageAsync"/> is to tell of.</summary>
[Flags]
public enum DiskUsageTypes
{
    None = 0,
    Images = 1,
    Containers = 2,
    Volumes = 4,
    BuildCache = 8,
    All = Images | Containers | Volumes | BuildCache,
}
