using Slipway.Engine.Daemon;
using Slipway.Telemetry;

namespace Slipway.Engine.Telemetry;

/// <summary>What <c>/metrics</c> answers: what was counted, and what is.</summary>
internal static class MetricsText
{
    public static string Render(DaemonParts parts, HostFacts host)
    {
        PrometheusText text = new();
        parts.Metrics.Write(text);
        ContainerCounts containers = parts.Containers();
        text.Family("engine_daemon_container_states_containers", "gauge", "Containers, by what they do.");
        foreach ((string state, int count) in (ReadOnlySpan<(string, int)>)[("paused", containers.Paused), ("running", containers.Running), ("stopped", containers.Stopped)])
        {
            text.Sample("engine_daemon_container_states_containers", count, ("state", state));
        }

        text.Family("engine_daemon_engine_info", "gauge", "The engine and its host; always 1.");
        text.Sample(
            "engine_daemon_engine_info",
            1,
            ("architecture", host.Machine),
            ("commit", EngineVersion.Commit),
            ("daemon_id", parts.Id),
            ("graphdriver", "overlay2"),
            ("kernel", host.KernelVersion),
            ("os", host.OperatingSystem),
            ("os_type", "linux"),
            ("os_version", host.OsVersion),
            ("version", EngineVersion.Current));
        Gauge("engine_daemon_engine_cpus_cpus", "Processors that the engine may use.", host.Cpus);
        Gauge("engine_daemon_engine_memory_bytes", "Memory of the host.", host.Memory);
        Gauge("engine_daemon_events_subscribers_total", "Clients that listen to events.", parts.EventListeners());
        text.Family("engine_daemon_events_total", "counter", "Events that happened.");
        text.Sample("engine_daemon_events_total", parts.Events());
        WriteProcess(text, parts.StartedAt);
        return text.ToString();

        void Gauge(string name, string help, double value)
        {
            text.Family(name, "gauge", help);
            text.Sample(name, value);
        }
    }

    /// <summary>The engine's own process, as clients of Prometheus tell of theirs (prometheus.io, "Writing client libraries", standard metrics).</summary>
    private static void WriteProcess(PrometheusText text, DateTimeOffset startedAt)
    {
        text.Family("process_cpu_seconds_total", "counter", "Processor time of the engine's process, user and system.");
        text.Sample("process_cpu_seconds_total", Environment.CpuUsage.TotalTime.TotalSeconds);
        text.Family("process_open_fds", "gauge", "Open descriptors of the engine's process.");
        text.Sample("process_open_fds", Directory.GetFiles("/proc/self/fd").Length);
        text.Family("process_resident_memory_bytes", "gauge", "Resident memory of the engine's process.");
        text.Sample("process_resident_memory_bytes", Environment.WorkingSet);
        text.Family("process_start_time_seconds", "gauge", "When the engine started, in seconds since 1970.");
        text.Sample("process_start_time_seconds", startedAt.ToUnixTimeMilliseconds() / 1000.0);
    }
}
