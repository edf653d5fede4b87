using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Health;

/// <summary>How a container's health is found out: its HEALTHCHECK with Docker's defaults where it says nothing.</summary>
/// <param name="Command">The probe's program and arguments.</param>
/// <param name="Retries">Failures in a row that make it unhealthy.</param>
/// <param name="StartPeriod">Since the container's start: failures do not count yet.</param>
/// <param name="StartInterval">Between probes in the start period, until the container is healthy.</param>
internal sealed record HealthPolicy(IReadOnlyList<string> Command, TimeSpan Interval, TimeSpan Timeout, int Retries, TimeSpan StartPeriod, TimeSpan StartInterval)
{
    /// <summary>The word of an image, or of <c>--no-healthcheck</c>, for no health check.</summary>
    public const string NoCheck = "NONE";

    private const int DefaultRetries = 3;
    private const int NanosecondsPerTick = 100;

    private static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan DefaultStartInterval = TimeSpan.FromSeconds(5);
    private static readonly string[] DefaultShell = ["/bin/sh", "-c"];

    /// <summary>Null for a container without a health check. As in Docker, a kind of test that is not known is none.</summary>
    public static HealthPolicy? Of(ContainerConfig config) => config.Healthcheck switch
    {
        { Test: ["CMD", _, ..] } check => Of(check, check.Test[1..]),
        { Test: ["CMD-SHELL", _, ..] } check => Of(check, [.. config.Shell is { Count: > 0 } shell ? [.. shell] : DefaultShell, .. check.Test[1..]]),
        _ => null,
    };

    /// <summary>The pause before the next probe.</summary>
    public TimeSpan PauseFor(HealthStatus status, TimeSpan sinceStart) => status == HealthStatus.Starting && sinceStart < StartPeriod ? StartInterval : Interval;

    private static HealthPolicy Of(HealthConfig check, IReadOnlyList<string> command) => new(
        command,
        Duration(check.Interval, DefaultInterval),
        Duration(check.Timeout, DefaultTimeout),
        check.Retries > 0 ? check.Retries : DefaultRetries,
        Duration(check.StartPeriod, TimeSpan.Zero),
        Duration(check.StartInterval, DefaultStartInterval));

    /// <summary>No longer than a timer can wait: 49 days.</summary>
    private static TimeSpan Duration(long nanoseconds, TimeSpan otherwise) =>
        nanoseconds == 0 ? otherwise : TimeSpan.FromTicks(Math.Min(nanoseconds / NanosecondsPerTick, TimeSpan.FromDays(49).Ticks));
}
