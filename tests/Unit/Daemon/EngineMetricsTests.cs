using System.Globalization;
using Slipway.Engine;
using Slipway.Engine.Daemon;
using Slipway.Engine.Telemetry;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Daemon;

public sealed class EngineMetricsTests
{
    /// <summary>Those of dockerd, but for builds and swarms, and those every process has.</summary>
    private const string Names = """
        engine_daemon_container_actions_seconds histogram; engine_daemon_container_states_containers gauge; engine_daemon_engine_cpus_cpus gauge; engine_daemon_engine_info gauge
        engine_daemon_engine_memory_bytes gauge; engine_daemon_events_subscribers_total gauge; engine_daemon_events_total counter; engine_daemon_health_checks_failed_total counter
        engine_daemon_health_checks_total counter; engine_daemon_image_actions_seconds histogram; engine_daemon_network_actions_seconds histogram
        process_cpu_seconds_total counter; process_open_fds gauge; process_resident_memory_bytes gauge; process_start_time_seconds gauge
        """;

    private readonly EngineMetrics _metrics = new(TimeProvider.System);

    [Fact]
    public void Names_and_types_are_those_of_dockerd()
    {
        IEnumerable<string> types = Render().Split('\n').Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line[7..]);
        Assert.Equal(Names.Split([';', '\n'], StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal), types.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_is_is_told()
    {
        string text = Render();
        Assert.Contains("engine_daemon_container_states_containers{state=\"paused\"} 2\nengine_daemon_container_states_containers{state=\"running\"} 1\nengine_daemon_container_states_containers{state=\"stopped\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"engine_daemon_engine_cpus_cpus {Environment.ProcessorCount}\n"), text, StringComparison.Ordinal);
        Assert.Matches(@"engine_daemon_engine_info\{architecture=""\w+"",commit=""[0-9a-f]*"",daemon_id=""id"",graphdriver=""overlay2"",kernel=""[^""]+"",os=""[^""]+"",os_type=""linux"",os_version=""[^""]*"",version=""[\d.]+""\} 1\n", text);
        Assert.Contains("engine_daemon_events_subscribers_total 5\n", text, StringComparison.Ordinal);
        Assert.Contains("engine_daemon_events_total 6\n", text, StringComparison.Ordinal);
        Assert.Contains("process_start_time_seconds 1.5\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_happened_is_counted_and_what_did_not_is_zero()
    {
        _metrics.Done(ContainerAction.Start, _metrics.Begin());
        _metrics.Done(ContainerAction.Start, _metrics.Begin());
        _metrics.Done(ImageAction.Pull, _metrics.Begin());
        _metrics.Done(NetworkAction.Release, _metrics.Begin());
        _metrics.Probed(hasRun: true);
        _metrics.Probed(hasRun: false);
        string text = Render();
        foreach (string line in new[]
        {
            "engine_daemon_container_actions_seconds_count{action=\"start\"} 2", "engine_daemon_container_actions_seconds_bucket{action=\"start\",le=\"+Inf\"} 2", "engine_daemon_container_actions_seconds_count{action=\"changes\"} 0",
            "engine_daemon_container_actions_seconds_count{action=\"commit\"} 0", "engine_daemon_container_actions_seconds_count{action=\"create\"} 0", "engine_daemon_container_actions_seconds_count{action=\"delete\"} 0",
            "engine_daemon_image_actions_seconds_count{action=\"pull\"} 1", "engine_daemon_network_actions_seconds_count{action=\"allocate\"} 0", "engine_daemon_network_actions_seconds_count{action=\"release\"} 1",
            "engine_daemon_health_checks_total 2", "engine_daemon_health_checks_failed_total 1",
        })
        {
            Assert.Contains(line + "\n", text, StringComparison.Ordinal);
        }
    }

    private string Render() => new DaemonService(new DaemonParts
    {
        Options = new EngineOptions { DataRoot = "/tmp" },
        Time = TimeProvider.System,
        Id = "id",
        Containers = () => new ContainerCounts(1, 2, 3),
        Images = () => 4,
        EventListeners = () => 5,
        Events = () => 6,
        Metrics = _metrics,
        StartedAt = DateTimeOffset.FromUnixTimeMilliseconds(1500),
        Limits = new ResourceSupport(),
        CgroupVersion = 2,
    }).Metrics();
}
