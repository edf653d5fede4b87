using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Cgroups;

namespace Slipway.Engine.Containers.Stats;

/// <summary>What of a sample the next one shows beside its own numbers.</summary>
/// <param name="Read">When it was read, as the API writes times.</param>
internal sealed record CpuSample(string Read, CpuStats Cpu)
{
    public static CpuSample Of(ContainerStats stats) => new(stats.Read, stats.CpuStats);
}

/// <summary>Reads what a container uses, in the shape from which clients compute the columns of <c>docker stats</c>.</summary>
/// <param name="hostMemory">Bytes.</param>
internal sealed class StatsReader(EngineServices services, int onlineCpus, ulong hostMemory)
{
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    /// <summary>A sample that only another is compared with: the CPU alone. Null for a container that does not run.</summary>
    public CpuSample? ReadCpu(ContainerSnapshot container)
    {
        using Cgroup? group = Open(container);
        return group is null ? null : new CpuSample(Now(), Cpu(CpuStatistics.Read(group)));
    }

    /// <summary>A sample; one without numbers for a container that does not run, as in Docker.</summary>
    /// <param name="before">The sample before, or null.</param>
    public ContainerStats Read(ContainerSnapshot container, CpuSample? before)
    {
        ContainerStats stats = new() { Name = "/" + container.Name, Id = container.Id };
        using Cgroup? group = Open(container);
        if (group is null)
        {
            return stats;
        }

        CgroupStatistics used = CgroupStatistics.Read(group);
        bool v1 = group.Mode != CgroupMode.V2;
        return stats with
        {
            Read = Now(),
            Preread = before?.Read ?? Rfc3339.Zero,
            PidsStats = new PidsStats { Current = used.Pids.Current, Limit = used.Pids.Limit ?? 0 },
            BlkioStats = BlockIO(used.BlockIO, v1),
            CpuStats = Cpu(used.Cpu),
            PrecpuStats = before?.Cpu ?? new CpuStats(),
            MemoryStats = new MemoryStats
            {
                Usage = used.Memory.Usage,
                MaxUsage = v1 ? used.Memory.MaxUsage ?? 0 : 0,
                Stats = used.Memory.Details,
                Failcnt = used.Memory.FailCount,
                Limit = Math.Min(used.Memory.Limit ?? hostMemory, hostMemory),
            },
            Networks = HasNetwork(container.HostConfig) ? NetworkCounters.OfProcess(container.State.Pid) : null,
        };
    }

    private Cgroup? Open(ContainerSnapshot container) => container.State.IsLive ? services.Cgroups.TryOpen(services.CgroupPath(container)) : null;

    private string Now() => Rfc3339.Format(services.Time.GetUtcNow());

    private CpuStats Cpu(CpuStatistics used) => new()
    {
        CpuUsage = new CpuUsage
        {
            TotalUsage = used.Total,
            PercpuUsage = used.PerCpu.Count > 0 ? [.. used.PerCpu] : null,
            UsageInKernelmode = used.System,
            UsageInUsermode = used.User,
        },
        SystemCpuUsage = SystemUsage(),
        OnlineCpus = (uint)onlineCpus,
        ThrottlingData = new ThrottlingData { Periods = used.Periods, ThrottledPeriods = used.ThrottledPeriods, ThrottledTime = used.ThrottledTime },
    };

    /// <summary>
    /// The time all CPUs have had since boot: what the fields of /proc/stat's first line add up to, but in nanoseconds rather than ticks,
    /// so that samples may be close to each other. The clock is CLOCK_MONOTONIC, which begins with the boot.
    /// </summary>
    private ulong SystemUsage() =>
        (ulong)((UInt128)(ulong)services.Time.GetTimestamp() * NanosecondsPerSecond / (ulong)services.Time.TimestampFrequency) * (ulong)onlineCpus;

    private static BlkioStats BlockIO(IReadOnlyList<BlockIOStatistics> devices, bool v1)
    {
        BlkioStats stats = new()
        {
            IOServiceBytesRecursive = [.. devices.SelectMany(device => Entries(device, device.ReadBytes, device.WriteBytes))],
        };

        // On v2 Docker leaves all other lists unread.
        return !v1 ? stats : stats with
        {
            IOServicedRecursive = [.. devices.SelectMany(device => Entries(device, device.ReadOperations, device.WriteOperations))],
            IOQueueRecursive = [],
            IOServiceTimeRecursive = [],
            IOWaitTimeRecursive = [],
            IOMergedRecursive = [],
            IOTimeRecursive = [],
            SectorsRecursive = [],
        };
    }

    private static IEnumerable<BlkioStatEntry> Entries(BlockIOStatistics device, ulong read, ulong written) =>
        [new BlkioStatEntry(device.Major, device.Minor, "read", read), new BlkioStatEntry(device.Major, device.Minor, "write", written)];

    /// <summary>The host's interfaces are nobody's own. One that shares a container's network shows that container's.</summary>
    private static bool HasNetwork(HostConfig host) => host.NetworkMode is not (NamespaceModes.Host or NamespaceModes.None);
}
