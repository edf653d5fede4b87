using Slipway.Kernel.Cgroups;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

public sealed class ResourceSettingsTests
{
    private static string[] Convert(ResourcesSpec resources, CgroupMode mode, params string[] files) =>
        [.. ResourceSettings.Convert(resources, mode, files.Contains).Select(setting => $"{setting.File}={setting.Value}")];

    /// <summary>The pairs that define the curve (runc: "2 → 1, 1024 → 100, 262144 → 10000"), and others worked out from its formula.</summary>
    [Theory]
    [InlineData(0, 0)]
    [InlineData(2, 1)]
    [InlineData(1024, 100)]
    [InlineData(262144, 10000)]
    [InlineData(512, 59)]
    [InlineData(2048, 174)]
    public void Shares_become_a_weight(ulong shares, ulong weight) => Assert.Equal(weight, ResourceSettings.WeightOfShares(shares));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(10, 1)]
    [InlineData(500, 4950)]
    [InlineData(1000, 10000)]
    public void Block_weight_becomes_a_weight(int weight, ulong converted) => Assert.Equal(converted, ResourceSettings.IOWeightOfBlockIOWeight((ushort)weight));

    [Theory]
    [InlineData(100, 250, 150L)]
    [InlineData(100, 100, 0L)]
    [InlineData(100, -1, -1L)]
    [InlineData(-1, 0, -1L)]
    [InlineData(-1, 300, 300L)]
    [InlineData(100, 0, null)]
    public void Swap_alone_is_the_difference(long memory, long both, long? swap) => Assert.Equal(swap, ResourceSettings.SwapOnly(memory, both));

    [Theory]
    [InlineData(0, 100, "unable to set swap limit without memory limit")]
    [InlineData(200, 100, "memory+swap limit should be >= memory limit")]
    [InlineData(-5, 100, "invalid memory value: -5")]
    public void Swap_that_makes_no_sense_is_refused(long memory, long both, string message) =>
        Assert.Equal(message, Assert.Throws<ConfinementException>(() => ResourceSettings.SwapOnly(memory, both)).Message);

    [Theory]
    [InlineData(1, "the minimum allowed cpu-shares is 2")]
    [InlineData(262145, "the maximum allowed cpu-shares is 262144")]
    public void Shares_out_of_range_are_refused(ulong shares, string message) =>
        Assert.Equal(message, Assert.Throws<ConfinementException>(() => Convert(new() { Cpu = new() { Shares = shares } }, CgroupMode.V1)).Message);

    [Fact]
    public void Nothing_asked_is_nothing_written()
    {
        ResourcesSpec resources = new()
        {
            Memory = new() { Limit = 0, Swap = 0, Reservation = 0, Swappiness = ulong.MaxValue, DisableOOMKiller = false },
            Cpu = new() { Quota = 0, Shares = 0, Period = 0, Cpus = "", Mems = "" },
            Pids = new(0),
            BlockIO = new() { Weight = 0 },
        };
        Assert.Empty(Convert(resources, CgroupMode.V1));
        Assert.Empty(Convert(resources, CgroupMode.V2));
    }

    [Fact]
    public void Version_1_gets_the_values_as_they_are()
    {
        ResourcesSpec resources = new()
        {
            Memory = new() { Limit = 100, Swap = 200, Reservation = 50, Kernel = 70, Swappiness = 0, DisableOOMKiller = true },
            Cpu = new() { Shares = 512, Quota = 5000, Period = 10000, RealtimePeriod = 1000, RealtimeRuntime = 900, Cpus = "0-1", Mems = "0" },
            Pids = new(-1),
            BlockIO = new()
            {
                Weight = 300,
                WeightDevice = [new(8, 0, 400)],
                ThrottleReadBpsDevice = [new(8, 0, 1)],
                ThrottleWriteBpsDevice = [new(8, 0, 2)],
                ThrottleReadIOPSDevice = [new(8, 0, 3)],
                ThrottleWriteIOPSDevice = [new(8, 16, 4)],
            },
            HugepageLimits = [new("2MB", 4096)],
        };
        Assert.Equal(
            [
                "memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=200", "memory.soft_limit_in_bytes=50", "memory.oom_control=1", "memory.swappiness=0",
                "cpu.shares=512", "cpu.cfs_period_us=10000", "cpu.cfs_quota_us=5000", "cpu.rt_period_us=1000", "cpu.rt_runtime_us=900",
                "cpuset.cpus=0-1", "cpuset.mems=0", "pids.max=max",
                "blkio.bfq.weight=300", "blkio.bfq.weight_device=8:0 400", "blkio.throttle.read_bps_device=8:0 1", "blkio.throttle.write_bps_device=8:0 2",
                "blkio.throttle.read_iops_device=8:0 3", "blkio.throttle.write_iops_device=8:16 4",
                "hugetlb.2MB.limit_in_bytes=4096", "hugetlb.2MB.rsvd.limit_in_bytes=4096",
            ],
            Convert(resources, CgroupMode.V1, "blkio.bfq.weight"));
        Assert.Contains("blkio.weight=300", Convert(resources, CgroupMode.Hybrid));
    }

    [Fact]
    public void Version_2_gets_them_converted()
    {
        ResourcesSpec resources = new()
        {
            Memory = new() { Limit = 100, Swap = 250, Reservation = 50, Kernel = 70, Swappiness = 10, DisableOOMKiller = true },
            Cpu = new() { Shares = 1024, Quota = 5000, Cpus = "0-1", Mems = "0" },
            Pids = new(9),
            BlockIO = new()
            {
                Weight = 1000,
                WeightDevice = [new(8, 0, 400)],
                ThrottleReadBpsDevice = [new(8, 0, 1)],
                ThrottleWriteBpsDevice = [new(8, 0, 2)],
                ThrottleReadIOPSDevice = [new(8, 0, 3)],
                ThrottleWriteIOPSDevice = [new(8, 16, 4)],
            },
            HugepageLimits = [new("2MB", 4096)],
            Unified = new Dictionary<string, string> { ["memory.high"] = "90" },
        };
        Assert.Equal(
            [
                "memory.swap.max=150", "memory.max=100", "memory.low=50", "cpu.weight=100", "cpu.max=5000 100000", "cpuset.cpus=0-1", "cpuset.mems=0", "pids.max=9",
                "io.weight=10000", "io.max=8:0 rbps=1", "io.max=8:0 wbps=2", "io.max=8:0 riops=3", "io.max=8:16 wiops=4",
                "hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096", "memory.high=90",
            ],
            Convert(resources, CgroupMode.V2));
        string[] bfq = Convert(resources, CgroupMode.V2, "io.bfq.weight");
        Assert.Contains("io.bfq.weight=1000", bfq);
        Assert.Contains("io.bfq.weight=8:0 400", bfq);
    }

    [Fact]
    public void No_limit_is_max_on_version_2()
    {
        Assert.Equal(["memory.swap.max=max", "memory.max=max"], Convert(new() { Memory = new() { Limit = -1 } }, CgroupMode.V2));
        Assert.Equal(["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"], Convert(new() { Memory = new() { Limit = -1 } }, CgroupMode.V1));
        Assert.Equal(["memory.swap.max=0", "memory.max=7"], Convert(new() { Memory = new() { Limit = 7, Swap = 7 } }, CgroupMode.V2));
        Assert.Equal(["cpu.max=max 100000"], Convert(new() { Cpu = new() { Quota = -1 } }, CgroupMode.V2));
        Assert.Equal(["cpu.max=max 5000"], Convert(new() { Cpu = new() { Period = 5000 } }, CgroupMode.V2));
    }

    [Fact]
    public void What_version_2_cannot_do_is_refused()
    {
        Assert.Throws<ConfinementException>(() => Convert(new() { Cpu = new() { RealtimeRuntime = 5 } }, CgroupMode.V2));
        Assert.Throws<ConfinementException>(() => Convert(new() { Unified = new Dictionary<string, string> { ["../x.y"] = "1" } }, CgroupMode.V2));
        Assert.Throws<ConfinementException>(() => Convert(new() { Memory = new() { Swappiness = 101 } }, CgroupMode.V1));
    }

    [Fact]
    public void What_a_host_cannot_hold_is_discarded_with_dockers_warnings()
    {
        ResourcesSpec resources = new()
        {
            Memory = new() { Limit = 100, Swap = 200, Reservation = 50, Swappiness = 0, DisableOOMKiller = true },
            Cpu = new() { Shares = 512, Quota = 5000, Cpus = "0" },
            Pids = new(5),
            BlockIO = new() { Weight = 300, WeightDevice = [new(8, 0, 400)], ThrottleReadBpsDevice = [new(8, 0, 1)] },
        };
        (ResourcesSpec left, IReadOnlyList<string> warnings) = new ResourceSupport().Discard(resources);
        Assert.Empty(Convert(left, CgroupMode.V1));
        Assert.Equal(
            [
                "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
                "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
                "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
                "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
                "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
                "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
                "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
                "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
                "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
            ],
            warnings);
        (_, warnings) = (new ResourceSupport() with { MemoryLimit = true }).Discard(new() { Memory = new() { Limit = 100, Swap = 200 } });
        Assert.Equal(["Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."], warnings);
    }

    [Theory]
    [InlineData("x", "rwm", "invalid device type")]
    [InlineData("c", "", "invalid device access")]
    [InlineData("c", "rx", "invalid device access")]
    public void Bad_device_rules_are_refused(string type, string access, string message) => Assert.Contains(
        message,
        Assert.Throws<ConfinementException>(() => ResourceSettings.Devices(new() { Devices = [new(true, type, 1, 1, access)] })).Message,
        StringComparison.Ordinal);

    [Fact]
    public void Cpu_lists_are_read() => Assert.Equal([0, 1, 2, 3, 8, 10, 11], SystemPaths.CpuList("0-3,8,10-11"));
}
