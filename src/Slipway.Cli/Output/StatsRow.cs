using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;

namespace Slipway.Cli.Output;

/// <summary>A sample of a container as docker's <c>stats</c> shows it.</summary>
internal static class StatsRow
{
    private const string None = "--";

    /// <param name="container">As it was asked for.</param>
    /// <param name="whole">Ids are not cut.</param>
    public static JsonObject Of(string container, ContainerStats stats, bool whole)
    {
        ulong memory = UsedMemory(stats.MemoryStats);
        ulong limit = stats.MemoryStats.Limit;
        return new JsonObject
        {
            ["BlockIO"] = Both(Blocks(stats, "read"), Blocks(stats, "write")),
            ["CPUPerc"] = Share(CpuShare(stats)),
            ["Container"] = container,
            ["ID"] = whole ? stats.Id : HumanText.ShortId(stats.Id),
            ["MemPerc"] = Share(limit == 0 ? 0 : memory * 100.0 / limit),
            ["MemUsage"] = $"{HumanText.BinarySize(memory)} / {HumanText.BinarySize(limit)}",
            ["Name"] = stats.Name.TrimStart('/'),
            ["NetIO"] = Both(Sum(stats, network => network.RxBytes), Sum(stats, network => network.TxBytes)),
            ["PIDs"] = stats.PidsStats.Current.ToString(CultureInfo.InvariantCulture),
        };
    }

    /// <summary>Of one that has gone while it was looked at.</summary>
    public static JsonObject Gone(string container) => new()
    {
        ["BlockIO"] = None, ["CPUPerc"] = None, ["Container"] = container, ["ID"] = None, ["MemPerc"] = None, ["MemUsage"] = $"{None} / {None}", ["Name"] = None, ["NetIO"] = None, ["PIDs"] = None,
    };

    /// <summary>Percent of one CPU, between the two samples.</summary>
    public static double CpuShare(ContainerStats stats)
    {
        double used = (double)stats.CpuStats.CpuUsage.TotalUsage - stats.PrecpuStats.CpuUsage.TotalUsage;
        double all = (double)stats.CpuStats.SystemCpuUsage - stats.PrecpuStats.SystemCpuUsage;
        return used > 0 && all > 0 ? used / all * stats.CpuStats.OnlineCpus * 100 : 0;
    }

    /// <summary>Without pages of files that nobody has used lately, which the kernel would give back.</summary>
    public static ulong UsedMemory(MemoryStats memory)
    {
        ulong reclaimable = memory.Stats?.GetValueOrDefault("total_inactive_file") is { } version1 and > 0 ? version1 : memory.Stats?.GetValueOrDefault("inactive_file") ?? 0;
        return reclaimable < memory.Usage ? memory.Usage - reclaimable : memory.Usage;
    }

    private static ulong Blocks(ContainerStats stats, string operation) => (stats.BlkioStats.IOServiceBytesRecursive ?? [])
        .Where(entry => string.Equals(entry.Op, operation, StringComparison.OrdinalIgnoreCase)).Aggregate(0UL, (sum, entry) => sum + entry.Value);

    private static ulong Sum(ContainerStats stats, Func<NetworkStats, ulong> bytes) => (stats.Networks ?? []).Values.Aggregate(0UL, (sum, network) => sum + bytes(network));

    private static string Both(ulong first, ulong second) => $"{HumanText.Size((long)first)} / {HumanText.Size((long)second)}";

    private static string Share(double percent) => percent.ToString("0.00", CultureInfo.InvariantCulture) + "%";
}
