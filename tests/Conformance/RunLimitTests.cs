using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Limits of `docker run` as the container's own control group shows them, in version 1 and 2.</summary>
public sealed class RunLimitTests(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>Runs with the options; what the group's file holds, by version, or null where this host has no such limit, which then has to be said.</summary>
    private async Task Holds(string[] options, string v1, string expected1, string v2, string expected2)
    {
        var result = (await Docker.Run(
            ["run", "--rm", "--cgroupns", "private", .. options, "alpine", "sh", "-c", $"for f in /sys/fs/cgroup/{v1} /sys/fs/cgroup/{v2}; do [ -e $f ] && cat $f; done; true"])).Ok();
        if (result.Error.Contains("does not support", StringComparison.Ordinal) || result.Error.Contains("discarded", StringComparison.OrdinalIgnoreCase))
        {
            return;
        }
        Assert.Contains(result.Output.Trim(), new[] { expected1, expected2 });
    }

    private static string BlockDevice()
    {
        var device = Directory.EnumerateDirectories("/sys/block").Select(Path.GetFileName).FirstOrDefault(name => File.Exists($"/dev/{name}"));
        Assert.SkipWhen(device is null, "this host shows no block device");
        return device;
    }

    [Fact]
    [RunOption("--cpu-period", "--cpu-quota")]
    public async Task Processor_quota_and_period()
    {
        await Holds(["--cpu-period", "50000", "--cpu-quota", "25000"], "cpu/cpu.cfs_quota_us", "25000", "cpu.max", "25000 50000");
        await Holds(["--cpu-period", "50000", "--cpu-quota", "25000"], "cpu/cpu.cfs_period_us", "50000", "cpu.max", "25000 50000");
    }

    [Fact]
    [RunOption("--cpu-shares")]
    public Task Processor_shares() => Holds(["--cpu-shares", "512"], "cpu/cpu.shares", "512", "cpu.weight", "20");

    [Fact]
    [RunOption("--cpuset-mems")]
    public async Task Memory_nodes() =>
        Assert.Equal("0", (await Docker.Ok("run", "--rm", "--cpuset-mems", "0", "alpine", "sh", "-c", "grep Mems_allowed_list /proc/self/status")).Split('\t')[1]);

    [Fact]
    [RunOption("--memory-reservation")]
    public Task Memory_reservation() =>
        Holds(["--memory", "64m", "--memory-reservation", "32m"], "memory/memory.soft_limit_in_bytes", "33554432", "memory.low", "33554432");

    [Fact]
    [RunOption("--memory-swappiness")]
    public Task Memory_swappiness() => Holds(["--memory-swappiness", "10"], "memory/memory.swappiness", "10", "none", "");

    [Fact]
    [RunOption("--oom-kill-disable")]
    public async Task Without_the_out_of_memory_killer()
    {
        var result = (await Docker.Run("run", "--rm", "--cgroupns", "private", "--memory", "64m", "--oom-kill-disable", "alpine", "sh", "-c", "cat /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null; true")).Ok();
        Assert.True(result.Output.Contains("oom_kill_disable 1", StringComparison.Ordinal) || result.Error.Contains("OomKillDisable", StringComparison.Ordinal), result.ToString());
    }

    [Fact]
    [RunOption("--blkio-weight")]
    public Task Block_device_weight() => Holds(["--blkio-weight", "300"], "blkio/blkio.bfq.weight", "300", "io.bfq.weight", "default 300");

    [Theory]
    [InlineData("--device-read-bps", "1mb", "blkio.throttle.read_bps_device", "1048576", "rbps=1048576 wbps=max riops=max wiops=max")]
    [InlineData("--device-write-bps", "1mb", "blkio.throttle.write_bps_device", "1048576", "rbps=max wbps=1048576 riops=max wiops=max")]
    [InlineData("--device-read-iops", "100", "blkio.throttle.read_iops_device", "100", "rbps=max wbps=max riops=100 wiops=max")]
    [InlineData("--device-write-iops", "100", "blkio.throttle.write_iops_device", "100", "rbps=max wbps=max riops=max wiops=100")]
    [RunOption("--device-read-bps", "--device-write-bps", "--device-read-iops", "--device-write-iops")]
    public async Task Block_device_throttles(string option, string value, string file, string v1, string v2)
    {
        var device = BlockDevice();
        var number = (await File.ReadAllTextAsync($"/sys/block/{device}/dev", Cancellation)).Trim();
        await Holds([option, $"/dev/{device}:{value}"], $"blkio/{file}", $"{number} {v1}", "io.max", $"{number} {v2}");
    }

    [Fact]
    [RunOption("--blkio-weight-device")]
    public async Task Bad_weights_of_devices_are_refused_and_good_ones_kept()
    {
        Assert.NotEqual(0, (await Docker.Run("create", "--blkio-weight-device", "/dev/null:5", "alpine", "true")).ExitCode);
        var device = BlockDevice();
        var name = Container();
        await Docker.Ok("create", "--name", name, "--blkio-weight-device", $"/dev/{device}:300", "alpine", "true");
        Assert.Equal($"/dev/{device} 300", await Docker.Inspect(name, "{{range .HostConfig.BlkioWeightDevice}}{{.Path}} {{.Weight}}{{end}}"));
    }

    [Fact]
    [RunOption("--cpu-rt-period", "--cpu-rt-runtime")]
    public async Task Real_time_is_given_where_the_kernel_schedules_it_by_groups()
    {
        const string Hierarchy = "/sys/fs/cgroup/cpu";
        Assert.Contains(
            File.Exists($"{Hierarchy}/cpu.rt_runtime_us") ? "cpu real-time runtime cannot be higher than cpu real-time period" : "kernel does not support CPU real-time scheduler",
            (await Docker.Run("run", "--rm", "--cpu-rt-period", "1000", "--cpu-rt-runtime", "2000", "alpine", "true")).Error,
            StringComparison.Ordinal);
        if (!File.Exists($"{Hierarchy}/cpu.rt_runtime_us"))
        {
            return;
        }

        // A group has as much as its parent gives it, which by itself is nothing.
        Assert.Contains("cpu.rt_runtime_us", (await Docker.Run("run", "--rm", "--cpu-rt-runtime", "1000", "alpine", "true")).Error, StringComparison.Ordinal);
        var parent = $"slipway-rt-{Environment.ProcessId}";
        Directory.CreateDirectory($"{Hierarchy}/{parent}");
        Cleanup(() =>
        {
            // The engine has made it in every hierarchy.
            foreach (var hierarchy in Directory.GetDirectories("/sys/fs/cgroup").Where(folder => new DirectoryInfo(folder).LinkTarget is null && Directory.Exists($"{folder}/{parent}")))
            {
                Directory.Delete($"{hierarchy}/{parent}");
            }

            return Task.CompletedTask;
        });
        await File.WriteAllTextAsync($"{Hierarchy}/{parent}/cpu.rt_runtime_us", "10000", Cancellation);
        Assert.Equal(
            "500000\n4000",
            await Docker.Ok(
                "run", "--rm", "--cgroup-parent", $"/{parent}", "--cpu-rt-period", "500000", "--cpu-rt-runtime", "4000", "alpine", "cat", $"{Hierarchy}/cpu.rt_period_us", $"{Hierarchy}/cpu.rt_runtime_us"));
    }
}
