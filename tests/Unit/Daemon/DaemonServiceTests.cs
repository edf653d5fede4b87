using Slipway.Api.Daemon;
using Slipway.Engine;
using Slipway.Engine.Daemon;
using Slipway.Engine.Telemetry;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Daemon;

public sealed class DaemonServiceTests
{
    private static readonly ResourceSupport s_all = new()
    {
        MemoryLimit = true, SwapLimit = true, OomKillDisable = true, CpuQuota = true, CpuShares = true, CpuSet = true, PidsLimit = true,
    };

    [Fact]
    public void Info_counts_and_tells_of_the_host()
    {
        SystemInfo info = Service(s_all, 1).Info();

        Assert.Equal((6, 1, 2, 3, 4, 5), (info.Containers, info.ContainersRunning, info.ContainersPaused, info.ContainersStopped, info.Images, info.NEventsListener));
        Assert.Equal(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), info.KernelVersion);
        Assert.Equal(Environment.ProcessorCount, info.NCPU);
        Assert.InRange(info.MemTotal, 64L << 20, 1L << 50);
        Assert.Contains(info.Architecture, new[] { "x86_64", "aarch64" });
        Assert.Equal(("1", "cgroupfs", "linux", "/tmp"), (info.CgroupVersion, info.CgroupDriver, info.OSType, info.DockerRootDir));
        Assert.Equal(["name=seccomp,profile=builtin"], info.SecurityOptions);
        Assert.NotEqual("", info.OperatingSystem);
        Assert.True(info.NFd > 2);
    }

    [Fact]
    public void A_cgroup_namespace_is_an_option_of_version_2() =>
        Assert.Equal(["name=seccomp,profile=builtin", "name=cgroupns"], Service(s_all, 2).Info().SecurityOptions);

    [Fact]
    public void Limits_the_host_cannot_hold_are_warned_of()
    {
        List<string> warnings = Service(new ResourceSupport(), 1).Info().Warnings!.Where(warning => !warning.Contains("forwarding", StringComparison.Ordinal)).ToList();

        Assert.Equal(
            ["memory limit", "swap limit", "oom kill disable", "cpu cfs quota", "cpu cfs period", "cpu shares", "cpuset", "pids limit"],
            warnings.Select(warning => warning["WARNING: No ".Length..^" support".Length]));
        Assert.DoesNotContain("WARNING: No oom kill disable support", Service(new ResourceSupport(), 2).Info().Warnings!);
    }

    [Fact]
    public void Version_has_the_component_that_docker_version_prints()
    {
        SystemVersion version = Service(s_all, 1).Version("1.50", "1.24");
        ComponentVersion engine = Assert.Single(version.Components);

        Assert.Equal(("Slipway", "1.50", "1.24"), (version.Platform.Name, version.ApiVersion, version.MinAPIVersion));
        Assert.Equal(("Engine", version.Version, "1.50", "1.24"), (engine.Name, engine.Version, engine.Details["ApiVersion"], engine.Details["MinAPIVersion"]));
        Assert.Matches(@"^\d+\.\d+\.\d+$", version.Version);
        Assert.Contains(version.Arch, new[] { "amd64", "arm64" });
    }

    [Fact]
    public void Os_release_is_read_with_and_without_quotes() =>
        Assert.Equal(
            new Dictionary<string, string> { ["PRETTY_NAME"] = "Debian GNU/Linux 12 (bookworm)", ["VERSION_ID"] = "12", ["ID"] = "debian", ["EMPTY"] = "" },
            HostFacts.ParseOsRelease(["PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"", "# comment=1", "VERSION_ID='12'", "ID=debian", "", "EMPTY="]));

    [Theory]
    [InlineData("MemTotal:       24684092 kB", 24684092L * 1024)]
    [InlineData("MemFree: 1 kB", 0)]
    [InlineData("MemTotal:", 0)]
    public void Memory_is_in_kibibytes(string line, long bytes) => Assert.Equal(bytes, HostFacts.MemoryTotal(["X: 1", line]));

    private static DaemonService Service(ResourceSupport limits, int cgroupVersion) => new(new DaemonParts
    {
        Options = new EngineOptions { DataRoot = "/tmp" },
        Time = TimeProvider.System,
        Id = "id",
        Containers = () => new ContainerCounts(1, 2, 3),
        Images = () => 4,
        EventListeners = () => 5,
        Events = () => 6,
        Metrics = new EngineMetrics(TimeProvider.System),
        StartedAt = DateTimeOffset.UnixEpoch,
        Limits = limits,
        CgroupVersion = cgroupVersion,
    });
}
