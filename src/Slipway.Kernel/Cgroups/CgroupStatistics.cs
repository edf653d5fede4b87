using System.Collections.Concurrent;
using System.Globalization;

namespace Slipway.Kernel.Cgroups;

/// <summary>What a container uses, as the kernel counts it. A counter whose controller is missing is null or empty.</summary>
public sealed record CgroupStatistics
{
    private static readonly ConcurrentDictionary<string, string> s_keys = new(StringComparer.Ordinal);
    private static readonly ConcurrentDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> s_keysByName = s_keys.GetAlternateLookup<ReadOnlySpan<char>>();

    public required CpuStatistics Cpu { get; init; }

    public required MemoryStatistics Memory { get; init; }

    public required PidsStatistics Pids { get; init; }

    /// <summary>Bytes and operations by device.</summary>
    public required IReadOnlyList<BlockIOStatistics> BlockIO { get; init; }

    /// <summary>Reads all counters of a group.</summary>
    public static CgroupStatistics Read(Cgroup group) => group.Mode == CgroupMode.V2
        ? new CgroupStatistics { Cpu = CpuStatistics.Read(group), Memory = MemoryStatistics.ReadV2(group), Pids = PidsStatistics.Read(group), BlockIO = BlockIOStatistics.ReadV2(group) }
        : new CgroupStatistics { Cpu = CpuStatistics.Read(group), Memory = MemoryStatistics.ReadV1(group), Pids = PidsStatistics.Read(group), BlockIO = BlockIOStatistics.ReadV1(group) };

    /// <summary>A file with one number; null where it is missing or says <c>max</c>.</summary>
    internal static ulong? Number(Cgroup group, string file) =>
        ulong.TryParse(group.TryRead(file).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;

    /// <summary>A file of <c>key value</c> lines.</summary>
    internal static Dictionary<string, ulong> Keyed(Cgroup group, string file)
    {
        Dictionary<string, ulong> values = [];
        foreach (ReadOnlySpan<char> line in group.TryRead(file).AsSpan().EnumerateLines())
        {
            int space = line.IndexOf(' ');
            if (space > 0 && ulong.TryParse(line[(space + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out ulong value))
            {
                values[KeyOf(line[..space])] = value;
            }
        }

        return values;
    }

    /// <summary>The kernel's files have few keys, the same in all groups.</summary>
    private static string KeyOf(ReadOnlySpan<char> name)
    {
        if (!s_keysByName.TryGetValue(name, out string? key))
        {
            key = name.ToString();
            s_keys.TryAdd(key, key);
        }

        return key;
    }

    internal static string[] Lines(Cgroup group, string file) => group.TryRead(file)?.Split('\n', StringSplitOptions.RemoveEmptyEntries) ?? [];
}

/// <summary>Times in nanoseconds.</summary>
/// <param name="PerCpu">By CPU; v1 only.</param>
/// <param name="Periods">Quota periods that passed.</param>
/// <param name="ThrottledPeriods">Those in which the quota ran out.</param>
public sealed record CpuStatistics(ulong Total, ulong User, ulong System, IReadOnlyList<ulong> PerCpu, ulong Periods, ulong ThrottledPeriods, ulong ThrottledTime)
{
    /// <summary>Reads these counters of a group alone.</summary>
    public static CpuStatistics Read(Cgroup group) => group.Mode == CgroupMode.V2 ? ReadV2(group) : ReadV1(group);

    /// <summary>
    /// In nanoseconds, from as few files as have it: <c>cpuacct.usage</c> is the sum of <c>usage_percpu</c>, and <c>usage_user</c> and <c>usage_sys</c> are those of
    /// <c>usage_all</c>, whose lines are <c>cpu user system</c> (kernel/sched/cpuacct.c).
    /// </summary>
    private static CpuStatistics ReadV1(Cgroup group)
    {
        Dictionary<string, ulong> stat = CgroupStatistics.Keyed(group, "cpu.stat");
        ulong[] perCpu = [.. CgroupHierarchy.Words(group.TryRead("cpuacct.usage_percpu")).Select(word => ulong.Parse(word, CultureInfo.InvariantCulture))];
        (ulong total, ulong user, ulong system) = (0, 0, 0);
        foreach (ulong usage in perCpu)
        {
            total += usage;
        }

        foreach (string line in CgroupStatistics.Lines(group, "cpuacct.usage_all").Skip(1))
        {
            string[] fields = line.Split(' ');
            user += ulong.Parse(fields[1], CultureInfo.InvariantCulture);
            system += ulong.Parse(fields[2], CultureInfo.InvariantCulture);
        }

        return new CpuStatistics(
            total, user, system, perCpu, stat.GetValueOrDefault("nr_periods"), stat.GetValueOrDefault("nr_throttled"), stat.GetValueOrDefault("throttled_time"));
    }

    private static CpuStatistics ReadV2(Cgroup group)
    {
        Dictionary<string, ulong> stat = CgroupStatistics.Keyed(group, "cpu.stat");
        return new CpuStatistics(
            stat.GetValueOrDefault("usage_usec") * 1000,
            stat.GetValueOrDefault("user_usec") * 1000,
            stat.GetValueOrDefault("system_usec") * 1000,
            [],
            stat.GetValueOrDefault("nr_periods"),
            stat.GetValueOrDefault("nr_throttled"),
            stat.GetValueOrDefault("throttled_usec") * 1000);
    }
}

/// <summary>Bytes.</summary>
/// <param name="Limit">Null: none.</param>
/// <param name="MaxUsage">The highest usage so far; v2 has it from kernel 5.19 on.</param>
/// <param name="FailCount">How often the limit was hit (v1), or an allocation failed because of it (v2), as Docker counts.</param>
/// <param name="Details">memory.stat as it is.</param>
public sealed record MemoryStatistics(ulong Usage, ulong? Limit, ulong? MaxUsage, ulong FailCount, IReadOnlyDictionary<string, ulong> Details)
{
    /// <summary>What cgroup v1 shows for no limit: the largest multiple of the page size in 63 bits.</summary>
    private static readonly ulong Unlimited = long.MaxValue / (ulong)Environment.SystemPageSize * (ulong)Environment.SystemPageSize;

    internal static MemoryStatistics ReadV1(Cgroup group)
    {
        ulong? limit = CgroupStatistics.Number(group, "memory.limit_in_bytes");
        return new MemoryStatistics(
            CgroupStatistics.Number(group, "memory.usage_in_bytes") ?? 0,
            limit >= Unlimited ? null : limit,
            CgroupStatistics.Number(group, "memory.max_usage_in_bytes"),
            CgroupStatistics.Number(group, "memory.failcnt") ?? 0,
            CgroupStatistics.Keyed(group, "memory.stat"));
    }

    internal static MemoryStatistics ReadV2(Cgroup group)
    {
        Dictionary<string, ulong> events = CgroupStatistics.Keyed(group, "memory.events");
        return new MemoryStatistics(
            CgroupStatistics.Number(group, "memory.current") ?? 0,
            CgroupStatistics.Number(group, "memory.max"),
            CgroupStatistics.Number(group, "memory.peak"),
            events.GetValueOrDefault("oom"),
            CgroupStatistics.Keyed(group, "memory.stat"));
    }
}

/// <param name="Limit">Null: none.</param>
public sealed record PidsStatistics(ulong Current, ulong? Limit)
{
    internal static PidsStatistics Read(Cgroup group) =>
        new(CgroupStatistics.Number(group, "pids.current") ?? 0, CgroupStatistics.Number(group, "pids.max"));
}

/// <summary>What was read from and written to one block device.</summary>
public sealed record BlockIOStatistics(uint Major, uint Minor)
{
    public ulong ReadBytes { get; init; }

    public ulong WriteBytes { get; init; }

    public ulong ReadOperations { get; init; }

    public ulong WriteOperations { get; init; }

    internal static IReadOnlyList<BlockIOStatistics> ReadV1(Cgroup group)
    {
        // blkio-controller.rst: lines "8:0 Read 1282048" and, at the end, "Total 3477504".
        Dictionary<string, BlockIOStatistics> devices = [];
        Add("blkio.throttle.io_service_bytes_recursive", (device, read, value) => read ? device with { ReadBytes = value } : device with { WriteBytes = value });
        Add("blkio.throttle.io_serviced_recursive", (device, read, value) => read ? device with { ReadOperations = value } : device with { WriteOperations = value });
        return [.. devices.Values];

        void Add(string file, Func<BlockIOStatistics, bool, ulong, BlockIOStatistics> set)
        {
            foreach (string line in CgroupStatistics.Lines(group, file))
            {
                if (line.Split(' ') is [string numbers, string operation, string count] && operation is ("Read" or "Write"))
                {
                    ulong value = ulong.Parse(count, CultureInfo.InvariantCulture);
                    devices[numbers] = set(devices.TryGetValue(numbers, out BlockIOStatistics? known) ? known : OfDevice(numbers), operation == "Read", value);
                }
            }
        }
    }

    internal static IReadOnlyList<BlockIOStatistics> ReadV2(Cgroup group)
    {
        // cgroup-v2.rst, io.stat: "8:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0".
        List<BlockIOStatistics> devices = [];
        foreach (string line in CgroupStatistics.Lines(group, "io.stat"))
        {
            string[] fields = line.Split(' ');
            if (fields.Length > 1)
            {
                devices.Add(OfDevice(fields[0]) with
                {
                    ReadBytes = Value("rbytes="),
                    WriteBytes = Value("wbytes="),
                    ReadOperations = Value("rios="),
                    WriteOperations = Value("wios="),
                });
            }

            ulong Value(string key) => fields.FirstOrDefault(field => field.StartsWith(key, StringComparison.Ordinal)) is { } field
                ? ulong.Parse(field.AsSpan(key.Length), CultureInfo.InvariantCulture) : 0;
        }

        return devices;
    }

    private static BlockIOStatistics OfDevice(string numbers)
    {
        int colon = numbers.IndexOf(':', StringComparison.Ordinal);
        return new BlockIOStatistics(
            uint.Parse(numbers.AsSpan(0, colon), CultureInfo.InvariantCulture), uint.Parse(numbers.AsSpan(colon + 1), CultureInfo.InvariantCulture));
    }
}
