using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Listing;

/// <summary>The STATUS column of <c>docker ps</c>.</summary>
internal static class StatusText
{
    public static string Of(RunState state, DateTimeOffset now) => state.Phase switch
    {
        ContainerPhase.Running => $"Up {Duration(now - (state.StartedAt ?? now))}{Suffix(state.Health)}",
        ContainerPhase.Paused => $"Up {Duration(now - (state.StartedAt ?? now))} (Paused)",
        ContainerPhase.Restarting => $"Restarting ({state.ExitCode}) {Duration(now - (state.FinishedAt ?? now))} ago",
        ContainerPhase.Removing => "Removal In Progress",
        ContainerPhase.Dead => "Dead",
        ContainerPhase.Created => "Created",
        _ => state.FinishedAt is { } finished ? $"Exited ({state.ExitCode}) {Duration(now - finished)} ago" : "Created",
    };

    private static string Suffix(HealthState? health) => health switch
    {
        null => "",
        { Status: HealthStatus.Starting } => " (health: starting)",
        { Status: var status } => $" ({status.Word()})",
    };

    /// <summary>A duration as go-units' HumanDuration words it.</summary>
    public static string Duration(TimeSpan duration)
    {
        long seconds = (long)duration.TotalSeconds;
        if (seconds < 1)
        {
            return "Less than a second";
        }

        if (seconds == 1)
        {
            return "1 second";
        }

        if (seconds < 60)
        {
            return $"{seconds} seconds";
        }

        long minutes = (long)duration.TotalMinutes;
        if (minutes == 1)
        {
            return "About a minute";
        }

        if (minutes < 60)
        {
            return $"{minutes} minutes";
        }

        long hours = (long)(duration.TotalHours + 0.5);
        return hours switch
        {
            1 => "About an hour",
            < 48 => $"{hours} hours",
            < 24 * 7 * 2 => $"{hours / 24} days",
            < 24 * 30 * 2 => $"{hours / 24 / 7} weeks",
            < 24 * 365 * 2 => $"{hours / 24 / 30} months",
            _ => $"{(long)(duration.TotalHours / 24 / 365)} years",
        };
    }
}
