using Slipway.Telemetry;

namespace Slipway.Engine.Telemetry;

/// <summary>What the engine counts of itself since its start. Names and labels are dockerd's, so that its dashboards can be used (docs/metrics.md).</summary>
internal sealed class EngineMetrics(TimeProvider time)
{
    private readonly ActionTimes<ContainerAction> _containers = new("engine_daemon_container_actions_seconds", "Time that actions on containers took.");
    private readonly ActionTimes<ImageAction> _images = new("engine_daemon_image_actions_seconds", "Time that actions on images took.");
    private readonly ActionTimes<NetworkAction> _networks = new("engine_daemon_network_actions_seconds", "Time that connecting containers to networks, and taking them off, took.");
    private readonly Counter _healthChecks = new();
    private readonly Counter _failedHealthChecks = new();

    /// <summary>When something begins whose time is told by <c>Done</c>.</summary>
    public long Begin() => time.GetTimestamp();

    public void Done(ContainerAction action, long begin) => _containers.Record(action, time.GetElapsedTime(begin));

    public void Done(ImageAction action, long begin) => _images.Record(action, time.GetElapsedTime(begin));

    public void Done(NetworkAction action, long begin) => _networks.Record(action, time.GetElapsedTime(begin));

    /// <param name="hasRun">As in dockerd, one that finds its container unhealthy has not failed.</param>
    public void Probed(bool hasRun)
    {
        _healthChecks.Increment();
        if (!hasRun)
        {
            _failedHealthChecks.Increment();
        }
    }

    public void Write(PrometheusText text)
    {
        _containers.Write(text);
        _images.Write(text);
        _networks.Write(text);
        _healthChecks.Write(text, "engine_daemon_health_checks_total", "Probes of health checks that were run.");
        _failedHealthChecks.Write(text, "engine_daemon_health_checks_failed_total", "Probes that could not be run.");
    }
}

/// <summary>The names, in lower case, are the values of the label <c>action</c>; so for all of these.</summary>
internal enum ContainerAction
{
    Changes,
    Commit,
    Create,
    Delete,
    Start,
}

internal enum ImageAction
{
    Delete,
    History,
    Pull,
    Push,
}

internal enum NetworkAction
{
    Allocate,
    Release,
}
