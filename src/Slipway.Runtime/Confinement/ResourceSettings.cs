using System.Globalization;
using Slipway.Kernel.Cgroups;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>
/// Resources (config-linux.md, "Control groups") as files of the host's control groups. Null and zero mean: leave as it is.
/// Values are those of cgroup v1; for v2 they are converted as runc does.
/// </summary>
public static class ResourceSettings
{
    private const ulong MinimumShares = 2;
    private const ulong MaximumShares = 262144;

    /// <summary>The settings, in the order in which they should be written; without the device rules (<see cref="Devices"/>).</summary>
    /// <param name="has">Whether the group has a file; asked only where kernels differ.</param>
    /// <exception cref="ConfinementException">Values that contradict each other or that the kernel would silently change.</exception>
    public static IReadOnlyList<CgroupSetting> Convert(ResourcesSpec resources, CgroupMode mode, Func<string, bool> has)
    {
        if (resources.Cpu?.Shares is > 0 and < MinimumShares)
        {
            throw new ConfinementException($"the minimum allowed cpu-shares is {MinimumShares}");
        }

        if (resources.Cpu?.Shares > MaximumShares)
        {
            throw new ConfinementException($"the maximum allowed cpu-shares is {MaximumShares}");
        }

        List<CgroupSetting> settings = [];
        if (mode == CgroupMode.V2)
        {
            new V2(settings, has).Add(resources);
        }
        else
        {
            new V1(settings, has).Add(resources);
        }

        return settings;
    }

    /// <summary>The device rules, or null where there are none.</summary>
    /// <exception cref="ConfinementException">A rule is not valid.</exception>
    public static DeviceAccess? Devices(ResourcesSpec resources)
    {
        if (resources.Devices.Count == 0)
        {
            return null;
        }

        try
        {
            return new DeviceAccess(resources.Devices.Select(Rule));
        }
        catch (ArgumentException exception)
        {
            throw new ConfinementException(exception.Message, exception);
        }
    }

    /// <summary>cpu.shares (2…262144, default 1024) on the scale of cpu.weight (1…10000, default 100): a curve through the three pairs.</summary>
    internal static ulong WeightOfShares(ulong shares)
    {
        if (shares is 0 or <= MinimumShares)
        {
            return shares == 0 ? 0UL : 1;
        }

        if (shares >= MaximumShares)
        {
            return 10000;
        }

        double log = Math.Log2(shares);
        return (ulong)Math.Ceiling(Math.Pow(10, (((log * log) + (125 * log)) / 612) - (7.0 / 34)));
    }

    /// <summary>blkio.weight (10…1000) on the scale of io.weight (1…10000).</summary>
    internal static ulong IOWeightOfBlockIOWeight(ushort weight) => weight == 0 ? 0 : 1 + ((ulong)(weight - 10) * 9999 / 990);

    /// <summary>v1 counts memory and swap together, v2 swap alone. Null: leave as it is; -1: no limit.</summary>
    internal static long? SwapOnly(long memory, long memoryAndSwap) => (memory, memoryAndSwap) switch
    {
        (-1, 0) => -1,
        (_, 0) => null,
        (_, -1) or (-1, _) => memoryAndSwap,
        (0, _) => throw new ConfinementException("unable to set swap limit without memory limit"),
        ( < 0, _) => throw new ConfinementException(string.Create(CultureInfo.InvariantCulture, $"invalid memory value: {memory}")),
        _ when memoryAndSwap < memory => throw new ConfinementException("memory+swap limit should be >= memory limit"),
        _ => memoryAndSwap - memory,
    };

    private static DeviceRule Rule(DeviceCgroupRule rule) => new(
        rule.Allow,
        rule.Type switch
        {
            "a" or "" => DeviceKind.Any,
            "b" => DeviceKind.Block,
            "c" => DeviceKind.Character,
            _ => throw new ConfinementException($"invalid device type \"{rule.Type}\""),
        },
        Number(rule.Major),
        Number(rule.Minor),
        rule.Access.Length == 0 || rule.Access.AsSpan().ContainsAnyExcept('r', 'w', 'm')
            ? throw new ConfinementException($"invalid device access \"{rule.Access}\"")
            : DeviceAccess.Permissions(rule.Access));

    private static uint? Number(long? number) => number switch
    {
        null or -1 => null,
        >= 0 and <= int.MaxValue => (uint)number,
        _ => throw new ConfinementException(string.Create(CultureInfo.InvariantCulture, $"invalid device number {number}")),
    };

    private static string Text<T>(T value) where T : IFormattable => value.ToString(null, CultureInfo.InvariantCulture);

    private static string OfDevice(long major, long minor, string value) => string.Create(CultureInfo.InvariantCulture, $"{major}:{minor} {value}");

    /// <summary>Documentation/admin-guide/cgroup-v1.</summary>
    private readonly struct V1(List<CgroupSetting> settings, Func<string, bool> has)
    {
        public void Add(ResourcesSpec resources)
        {
            if (resources.Memory is { } memory)
            {
                Add(memory);
            }

            if (resources.Cpu is { } cpu)
            {
                Set("cpu.shares", cpu.Shares);
                Set("cpu.cfs_period_us", cpu.Period);
                Set("cpu.cfs_quota_us", cpu.Quota);
                Set("cpu.rt_period_us", cpu.RealtimePeriod);
                Set("cpu.rt_runtime_us", cpu.RealtimeRuntime);
                Set("cpuset.cpus", cpu.Cpus);
                Set("cpuset.mems", cpu.Mems);
            }

            if (resources.Pids is { Limit: not 0 and var limit })
            {
                Set("pids.max", limit > 0 ? Text(limit) : "max");
            }

            if (resources.BlockIO is { } blockIO)
            {
                Add(blockIO);
            }

            foreach (HugepageLimit hugepages in resources.HugepageLimits)
            {
                Set($"hugetlb.{hugepages.PageSize}.limit_in_bytes", Text(hugepages.Limit));
                settings.Add(new CgroupSetting($"hugetlb.{hugepages.PageSize}.rsvd.limit_in_bytes", Text(hugepages.Limit), Optional: true));
            }
        }

        private void Add(MemoryResources memory)
        {
            // memory.rst section 2.7: the kernel memory limit is deprecated and without effect; like runc we do not write it.
            // Without a memory limit there can be none on memory and swap: an unset one is lifted too.
            long? swap = memory is { Limit: -1, Swap: null or 0 } ? -1 : memory.Swap;
            Set("memory.limit_in_bytes", memory.Limit);
            if (swap is not (null or 0))
            {
                settings.Add(new CgroupSetting("memory.memsw.limit_in_bytes", Text(swap.Value), Optional: swap == -1));
            }

            Set("memory.soft_limit_in_bytes", memory.Reservation);
            if (memory.DisableOOMKiller == true)
            {
                Set("memory.oom_control", "1");
            }

            // 0 is a value here; the highest number is Docker's word for unset.
            if (memory.Swappiness is { } swappiness and not ulong.MaxValue)
            {
                Set("memory.swappiness", swappiness <= 100 ? Text(swappiness) : throw new ConfinementException(
                    string.Create(CultureInfo.InvariantCulture, $"invalid value: {swappiness}, valid memory swappiness range is 0-100")));
            }
        }

        private void Add(BlockIOResources blockIO)
        {
            // Since kernel 5.0 weights belong to the BFQ scheduler, under another name where it is built.
            string weight = has("blkio.bfq.weight") ? "blkio.bfq.weight" : "blkio.weight";
            Set(weight, blockIO.Weight);
            foreach (WeightDevice device in blockIO.WeightDevice)
            {
                Set($"{weight}_device", OfDevice(device.Major, device.Minor, Text(device.Weight)));
            }

            Throttle("blkio.throttle.read_bps_device", blockIO.ThrottleReadBpsDevice);
            Throttle("blkio.throttle.write_bps_device", blockIO.ThrottleWriteBpsDevice);
            Throttle("blkio.throttle.read_iops_device", blockIO.ThrottleReadIOPSDevice);
            Throttle("blkio.throttle.write_iops_device", blockIO.ThrottleWriteIOPSDevice);
        }

        private void Throttle(string file, IReadOnlyList<ThrottleDevice> devices)
        {
            foreach (ThrottleDevice device in devices)
            {
                Set(file, OfDevice(device.Major, device.Minor, Text(device.Rate)));
            }
        }

        private void Set<T>(string file, T? value) where T : struct, IFormattable, IEquatable<T>
        {
            if (value is { } number && !number.Equals(default))
            {
                Set(file, Text(number));
            }
        }

        private void Set(string file, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                settings.Add(new CgroupSetting(file, value));
            }
        }
    }

    /// <summary>Documentation/admin-guide/cgroup-v2.rst.</summary>
    private readonly struct V2(List<CgroupSetting> settings, Func<string, bool> has)
    {
        public void Add(ResourcesSpec resources)
        {
            if (resources.Memory is { } memory)
            {
                Add(memory);
            }

            if (resources.Cpu is { } cpu)
            {
                Add(cpu);
            }

            if (resources.Pids is { Limit: not 0 and var limit })
            {
                Set("pids.max", limit > 0 ? Text(limit) : "max");
            }

            if (resources.BlockIO is { } blockIO)
            {
                Add(blockIO);
            }

            foreach (HugepageLimit hugepages in resources.HugepageLimits)
            {
                Set($"hugetlb.{hugepages.PageSize}.max", Text(hugepages.Limit));
                settings.Add(new CgroupSetting($"hugetlb.{hugepages.PageSize}.rsvd.max", Text(hugepages.Limit), Optional: true));
            }

            foreach ((string file, string value) in resources.Unified ?? new Dictionary<string, string>())
            {
                if (file.Contains('/', StringComparison.Ordinal) || !file.Contains('.', StringComparison.Ordinal))
                {
                    throw new ConfinementException($"unified resource \"{file}\" must be a file name of the form controller.name");
                }

                Set(file, value);
            }
        }

        private void Add(MemoryResources memory)
        {
            // There is no swappiness, kernel memory limit or OOM killer switch on v2.
            if (SwapOnly(memory.Limit ?? 0, memory.Swap ?? 0) is { } swap)
            {
                settings.Add(new CgroupSetting("memory.swap.max", Maximum(swap), Optional: swap is -1 or 0));
            }

            if (memory.Limit is not (null or 0) and var limit)
            {
                Set("memory.max", Maximum(limit.Value));
            }

            if (memory.Reservation is not (null or 0) and var reservation)
            {
                Set("memory.low", Maximum(reservation.Value));
            }
        }

        private void Add(CpuResources cpu)
        {
            if (cpu.RealtimePeriod is > 0 || cpu.RealtimeRuntime is not (null or 0))
            {
                throw new ConfinementException("realtime CPU limits are not supported with cgroup v2");
            }

            if (cpu.Shares is > 0 and var shares)
            {
                Set("cpu.weight", Text(WeightOfShares(shares)));
            }

            if (cpu.Quota is not (null or 0) || cpu.Period is > 0)
            {
                const ulong defaultPeriod = 100_000;
                Set("cpu.max", $"{(cpu.Quota > 0 ? Text(cpu.Quota.Value) : "max")} {Text(cpu.Period is > 0 ? cpu.Period.Value : defaultPeriod)}");
            }

            if (!string.IsNullOrEmpty(cpu.Cpus))
            {
                Set("cpuset.cpus", cpu.Cpus);
            }

            if (!string.IsNullOrEmpty(cpu.Mems))
            {
                Set("cpuset.mems", cpu.Mems);
            }
        }

        private void Add(BlockIOResources blockIO)
        {
            bool bfq = (blockIO.Weight is > 0 || blockIO.WeightDevice.Count > 0) && has("io.bfq.weight");
            if (blockIO.Weight is > 0 and var weight)
            {
                Set(bfq ? "io.bfq.weight" : "io.weight", bfq ? Text(weight) : Text(IOWeightOfBlockIOWeight(weight)));
            }

            foreach (WeightDevice device in bfq ? blockIO.WeightDevice : [])
            {
                Set("io.bfq.weight", OfDevice(device.Major, device.Minor, Text(device.Weight)));
            }

            Throttle("rbps", blockIO.ThrottleReadBpsDevice);
            Throttle("wbps", blockIO.ThrottleWriteBpsDevice);
            Throttle("riops", blockIO.ThrottleReadIOPSDevice);
            Throttle("wiops", blockIO.ThrottleWriteIOPSDevice);
        }

        private void Throttle(string key, IReadOnlyList<ThrottleDevice> devices)
        {
            foreach (ThrottleDevice device in devices)
            {
                Set("io.max", OfDevice(device.Major, device.Minor, $"{key}={Text(device.Rate)}"));
            }
        }

        private void Set(string file, string value) => settings.Add(new CgroupSetting(file, value));

        private static string Maximum(long value) => value == -1 ? "max" : Text(value);
    }
}
