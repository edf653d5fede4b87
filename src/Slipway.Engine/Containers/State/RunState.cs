using System.Text.Json.Serialization;
using Slipway.Engine.Containers.Health;

namespace Slipway.Engine.Containers.State;

/// <summary>Where a container is in its life; the words of the API are the lower-case names.</summary>
internal enum ContainerPhase
{
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// <summary>The changing part of a container, stored as one JSON document.</summary>
internal sealed record RunState
{
    public ContainerPhase Phase { get; init; }

    /// <summary>Of the init process in the host's pid namespace; 0 where none runs.</summary>
    public int Pid { get; init; }

    public int ExitCode { get; init; }

    public bool OomKilled { get; init; }

    /// <summary>Why the last start failed, or empty.</summary>
    public string Error { get; init; } = "";

    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>Restarts by policy since the user started it.</summary>
    public int RestartCount { get; init; }

    /// <summary>The user stopped it: <c>unless-stopped</c> does not start it again.</summary>
    public bool StoppedByUser { get; init; }

    /// <summary>Null for a container without a health check, and for one that never ran.</summary>
    public HealthState? Health { get; init; }

    /// <summary>On the default bridge, while the container runs.</summary>
    public StoredEndpoint? Endpoint { get; init; }

    /// <summary>On networks of users, by name, while the container runs; null for none.</summary>
    public Dictionary<string, StoredEndpoint>? Endpoints { get; init; }

    /// <summary>All endpoints.</summary>
    [JsonIgnore]
    public AttachedNetworks Attached
    {
        get => AttachedNetworks.None with { Endpoint = Endpoint, Networks = Endpoints is null ? AttachedNetworks.None.Networks : AttachedNetworks.None.Networks.AddRange(Endpoints) };
        init => (Endpoint, Endpoints) = (value.Endpoint, value.Networks.Count == 0 ? null : new(value.Networks));
    }

    /// <summary>It is a commit, or a copy of a volume, that has paused the container: an engine that finds it so after the end of another lets it go on.</summary>
    public bool PausedForCommit { get; init; }

    /// <summary>
    /// Mounts that are being attached or detached while the container runs: whether they are there is not known to an engine that finds this, and
    /// they are not to be.
    /// </summary>
    public IReadOnlyList<ContainerMount>? UnsettledMounts { get; init; }

    /// <summary>A process exists: running or paused.</summary>
    public bool IsLive => Phase is ContainerPhase.Running or ContainerPhase.Paused;

    /// <summary>Docker counts a container that waits for its restart as running.</summary>
    public bool IsRunning => IsLive || Phase == ContainerPhase.Restarting;

    public RunState Exited(int exitCode, bool oomKilled, DateTimeOffset at) =>
        this with { Phase = ContainerPhase.Exited, Pid = 0, ExitCode = exitCode, OomKilled = oomKilled, FinishedAt = at, Attached = AttachedNetworks.None, PausedForCommit = false, UnsettledMounts = null, Health = Health?.Suspended() };
}

internal static class ContainerPhaseText
{
    public static string Word(this ContainerPhase phase) => phase switch
    {
        ContainerPhase.Created => "created",
        ContainerPhase.Running => "running",
        ContainerPhase.Paused => "paused",
        ContainerPhase.Restarting => "restarting",
        ContainerPhase.Removing => "removing",
        ContainerPhase.Exited => "exited",
        _ => "dead",
    };
}
