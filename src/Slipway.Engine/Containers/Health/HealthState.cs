using Slipway.Api;
using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Health;

/// <summary>What the probes of a container have told so far; part of its state.</summary>
/// <param name="Log">The last probes, oldest first.</param>
internal sealed record HealthState(HealthStatus Status, int FailingStreak, IReadOnlyList<ProbeResult> Log)
{
    /// <summary>Probes that inspect shows.</summary>
    private const int LogLength = 5;

    /// <summary>Of a container that has just started. As in Docker, the log of an earlier run stays to be seen.</summary>
    public static HealthState Starting(HealthState? before) => new(HealthStatus.Starting, 0, before?.Log ?? []);

    /// <summary>
    /// The state after a further probe. In the start period of a container that was never healthy a failure does not count; after it the
    /// container is unhealthy from the given number of failures in a row on.
    /// </summary>
    public HealthState Next(ProbeResult probe, HealthPolicy policy, DateTimeOffset containerStarted)
    {
        IReadOnlyList<ProbeResult> log = [.. Log.Skip(Log.Count + 1 - LogLength), probe];
        if (probe.ExitCode == 0)
        {
            return new HealthState(HealthStatus.Healthy, 0, log);
        }

        if (Status == HealthStatus.Starting && probe.Start - containerStarted < policy.StartPeriod)
        {
            return this with { Log = log };
        }

        int streak = FailingStreak + 1;
        return new HealthState(streak >= policy.Retries ? HealthStatus.Unhealthy : Status, streak, log);
    }

    /// <summary>Of a container that is not probed any more, since it ended or was paused: Docker calls it unhealthy.</summary>
    public HealthState Suspended() => this with { Status = HealthStatus.Unhealthy };

    public Api.Containers.Health ToApi() => new()
    {
        Status = Status.Word(),
        FailingStreak = FailingStreak,
        Log = [.. Log.Select(probe => new HealthcheckResult(Rfc3339.Format(probe.Start), Rfc3339.Format(probe.End), probe.ExitCode, probe.Output))],
    };
}

/// <summary>The words of the API are the lower-case names.</summary>
internal enum HealthStatus
{
    Starting,
    Healthy,
    Unhealthy,
}

/// <summary>One probe.</summary>
/// <param name="ExitCode">0 is healthy; -1 where the probe could not be started or did not end in time.</param>
/// <param name="Output">The beginning of what it wrote to stdout and stderr.</param>
/// <param name="HasRun">False where it could not be started.</param>
internal sealed record ProbeResult(DateTimeOffset Start, DateTimeOffset End, int ExitCode, string Output, bool HasRun = true);

internal static class HealthStatusText
{
    /// <summary>What the API says of a container without a health check.</summary>
    public const string None = "none";

    public static string Word(this HealthStatus status) => status switch
    {
        HealthStatus.Starting => "starting",
        HealthStatus.Healthy => "healthy",
        _ => "unhealthy",
    };
}
