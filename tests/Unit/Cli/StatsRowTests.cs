using Slipway.Api.Containers;
using Slipway.Cli.Output;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

public sealed class StatsRowTests
{
    [Theory]
    [InlineData(0, "0B")]
    [InlineData(1023, "1023B")]
    [InlineData(1 << 20, "1MiB")]
    [InlineData(1_609_728, "1.535MiB")]
    [InlineData(64UL << 20, "64MiB")]
    [InlineData(1010UL << 20, "1010MiB")]
    [InlineData(16_500_000_000, "15.37GiB")]
    public void Binary_sizes_have_four_significant_digits(ulong bytes, string expected) => Assert.Equal(expected, HumanText.BinarySize(bytes));

    [Fact]
    public void Shares_are_of_one_processor()
    {
        // A fifth of what two processors had is two fifths of one.
        ContainerStats stats = new()
        {
            Id = new string('a', 64),
            Name = "/web",
            CpuStats = new() { CpuUsage = new() { TotalUsage = 500 }, SystemCpuUsage = 3000, OnlineCpus = 2 },
            PrecpuStats = new() { CpuUsage = new() { TotalUsage = 100 }, SystemCpuUsage = 1000 },
            MemoryStats = new() { Usage = 50 << 20, Limit = 100 << 20, Stats = new Dictionary<string, ulong> { ["inactive_file"] = 25 << 20 } },
            Networks = new() { ["eth0"] = new() { RxBytes = 1500, TxBytes = 1 }, ["eth1"] = new() { RxBytes = 500 } },
        };
        var row = StatsRow.Of("web", stats, whole: false);
        Assert.Equal(("40.00%", "25MiB / 100MiB", "25.00%", "2kB / 1B"), ((string)row["CPUPerc"]!, (string)row["MemUsage"]!, (string)row["MemPerc"]!, (string)row["NetIO"]!));
        Assert.Equal((new string('a', 12), "web"), ((string)row["ID"]!, (string)row["Name"]!));
        Assert.Equal("0.00%", (string)StatsRow.Of("web", stats with { PrecpuStats = stats.CpuStats }, whole: false)["CPUPerc"]!);
    }

    /// <summary>cgroup v1 counts the whole hierarchy apart.</summary>
    [Theory]
    [InlineData(100, 30, 0, 70)]
    [InlineData(100, 30, 20, 80)]
    [InlineData(10, 30, 0, 10)]
    public void Pages_of_files_that_nobody_uses_are_no_memory_in_use(ulong usage, ulong inactive, ulong total, ulong expected) =>
        Assert.Equal(expected, StatsRow.UsedMemory(new() { Usage = usage, Stats = new Dictionary<string, ulong> { ["inactive_file"] = inactive, ["total_inactive_file"] = total } }));
}
