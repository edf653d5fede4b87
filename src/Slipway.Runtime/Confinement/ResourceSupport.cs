using Slipway.Kernel.Cgroups;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>Which limits this host can hold, as <c>docker info</c> reports them; an option it cannot hold is discarded with a warning.</summary>
public sealed record ResourceSupport
{
    public bool MemoryLimit { get; init; }

    public bool SwapLimit { get; init; }

    public bool MemoryReservation { get; init; }

    public bool MemorySwappiness { get; init; }

    public bool OomKillDisable { get; init; }

    public bool CpuShares { get; init; }

    /// <summary>Quota and period of the completely fair scheduler.</summary>
    public bool CpuQuota { get; init; }

    /// <summary>Real-time tasks are scheduled by groups (cgroup v1, CONFIG_RT_GROUP_SCHED).</summary>
    public bool CpuRealtime { get; init; }

    public bool CpuSet { get; init; }

    public bool PidsLimit { get; init; }

    public bool BlockIOWeight { get; init; }

    public bool BlockIOThrottle { get; init; }

    public bool Hugepages { get; init; }

    /// <summary>Looks at the files of a group; the top group of v2 lacks most, so <paramref name="group"/> is a container's or a probe's.</summary>
    public static ResourceSupport Probe(Cgroup group, IReadOnlySet<string> controllers)
    {
        bool v2 = group.Mode == CgroupMode.V2;
        bool Has(string v1File, string? v2File) => (v2 ? v2File : v1File) is { } file && group.TryRead(file) is not null;
        return new ResourceSupport
        {
            MemoryLimit = Has("memory.limit_in_bytes", "memory.max"),
            SwapLimit = Has("memory.memsw.limit_in_bytes", "memory.swap.max"),
            MemoryReservation = Has("memory.soft_limit_in_bytes", "memory.low"),
            MemorySwappiness = Has("memory.swappiness", null),
            OomKillDisable = Has("memory.oom_control", null),
            CpuShares = Has("cpu.shares", "cpu.weight"),
            CpuRealtime = Has("cpu.rt_runtime_us", null),
            CpuQuota = Has("cpu.cfs_quota_us", "cpu.max"),
            CpuSet = Has("cpuset.cpus", "cpuset.cpus"),
            PidsLimit = Has("pids.max", "pids.max"),
            BlockIOWeight = Has("blkio.weight", "io.weight") || Has("blkio.bfq.weight", "io.bfq.weight"),
            BlockIOThrottle = Has("blkio.throttle.read_bps_device", "io.max"),
            Hugepages = controllers.Contains("hugetlb"),
        };
    }

    /// <summary>The resources without what this host cannot hold, and a warning in Docker's words for each part left out.</summary>
    public (ResourcesSpec Resources, IReadOnlyList<string> Warnings) Discard(ResourcesSpec resources)
    {
        List<string> warnings = [];
        MemoryResources? memory = resources.Memory;
        if (memory?.Limit is > 0 && !MemoryLimit)
        {
            warnings.Add("Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.");
            memory = memory with { Limit = null, Swap = null };
        }

        if (memory?.Limit is > 0 && memory.Swap is not (null or -1 or 0) && !SwapLimit)
        {
            warnings.Add("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.");
            memory = memory with { Swap = null };
        }

        if (memory?.Swappiness is not (null or ulong.MaxValue) && !MemorySwappiness)
        {
            warnings.Add("Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.");
            memory = memory with { Swappiness = null };
        }

        if (memory?.Reservation is > 0 && !MemoryReservation)
        {
            warnings.Add("Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.");
            memory = memory with { Reservation = null };
        }

        if (memory?.DisableOOMKiller == true && !OomKillDisable)
        {
            warnings.Add("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
            memory = memory with { DisableOOMKiller = null };
        }

        PidsResources? pids = resources.Pids;
        if (pids is { Limit: not 0 } && !PidsLimit)
        {
            // No limit (-1) is what there is then anyway.
            if (pids.Limit > 0)
            {
                warnings.Add("Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.");
            }

            pids = null;
        }

        BlockIOResources? blockIO = resources.BlockIO;
        if (blockIO?.Weight is > 0 && !BlockIOWeight)
        {
            warnings.Add("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.");
            blockIO = blockIO with { Weight = null };
        }

        if (blockIO is { WeightDevice.Count: > 0 } && !BlockIOWeight)
        {
            warnings.Add("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.");
            blockIO = blockIO with { WeightDevice = [] };
        }

        if (blockIO is not null && !BlockIOThrottle)
        {
            blockIO = DiscardThrottles(blockIO, warnings);
        }

        return (resources with { Memory = memory, Cpu = DiscardCpu(resources.Cpu, warnings), Pids = pids, BlockIO = blockIO }, warnings);
    }

    /// <summary>The part of a setting's file name that names its controller.</summary>
    internal static string Controller(string file) => file[..file.IndexOf('.', StringComparison.Ordinal)];

    /// <summary>Files that every group has.</summary>
    internal static bool IsCoreFile(string file) => file.StartsWith("cgroup.", StringComparison.Ordinal);

    private CpuResources? DiscardCpu(CpuResources? cpu, List<string> warnings)
    {
        if (cpu?.Shares is > 0 && !CpuShares)
        {
            warnings.Add("Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.");
            cpu = cpu with { Shares = null };
        }

        if (cpu is not null && (cpu.Period is > 0 || cpu.Quota is not (null or 0)) && !CpuQuota)
        {
            warnings.Add("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
            cpu = cpu with { Period = null, Quota = null };
        }

        if (cpu is not null && (!string.IsNullOrEmpty(cpu.Cpus) || !string.IsNullOrEmpty(cpu.Mems)) && !CpuSet)
        {
            warnings.Add("Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.");
            cpu = cpu with { Cpus = null, Mems = null };
        }

        return cpu;
    }

    private static BlockIOResources DiscardThrottles(BlockIOResources blockIO, List<string> warnings)
    {
        Warn(blockIO.ThrottleReadBpsDevice, "BPS Block I/O read limit", "Block I/O BPS read limit");
        Warn(blockIO.ThrottleWriteBpsDevice, "BPS Block I/O write limit", "Block I/O BPS write limit");
        Warn(blockIO.ThrottleReadIOPSDevice, "IOPS Block read limit", "Block I/O IOPS read limit");
        Warn(blockIO.ThrottleWriteIOPSDevice, "IOPS Block write limit", "Block I/O IOPS write limit");
        return blockIO with { ThrottleReadBpsDevice = [], ThrottleWriteBpsDevice = [], ThrottleReadIOPSDevice = [], ThrottleWriteIOPSDevice = [] };

        void Warn(IReadOnlyList<ThrottleDevice> devices, string what, string discarded)
        {
            if (devices.Count > 0)
            {
                warnings.Add($"Your kernel does not support {what} or the cgroup is not mounted. {discarded} discarded.");
            }
        }
    }
}
