namespace Slipway.Engine.Builds.History;

/// <summary>What was built, and what it told: the last builds, as far as number, age and size go (<see cref="HistoryLimits"/>).</summary>
public interface IBuildHistory
{
    /// <summary>All records, the newest first.</summary>
    Task<IReadOnlyList<BuildRecord>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Null: it is not remembered.</summary>
    Task<BuildRecord?> FindAsync(string reference, CancellationToken cancellationToken);

    /// <summary>Changes of records from now on, until it is cancelled. Who does not keep up misses the oldest of them.</summary>
    IAsyncEnumerable<BuildRecordChange> WatchAsync(CancellationToken cancellationToken);

    /// <summary>Tells again what a build told; of one that runs, until it ends.</summary>
    /// <exception cref="EngineException">NotFound.</exception>
    Task ReplayAsync(string reference, IBuildProgress progress, CancellationToken cancellationToken);

    /// <summary>Remembers a request that no build came of.</summary>
    /// <param name="request">As far as it could be read.</param>
    Task RefuseAsync(BuildRequest request, string error);

    /// <summary>Keeps a record from being forgotten, or no longer.</summary>
    /// <exception cref="EngineException">NotFound; Conflict: too many are kept.</exception>
    Task PinAsync(string reference, bool isPinned, CancellationToken cancellationToken);

    /// <exception cref="EngineException">NotFound; Conflict: it still runs.</exception>
    Task RemoveAsync(string reference, CancellationToken cancellationToken);
}

/// <summary>What is remembered. Number and age are BuildKit's.</summary>
/// <param name="Records">Builds; those that run count, and are never forgotten.</param>
/// <param name="Bytes">Of all logs.</param>
/// <param name="LogBytes">Of the output of one build's steps; what comes after is not kept.</param>
public sealed record HistoryLimits(int Records, TimeSpan Age, long Bytes, long LogBytes)
{
    public static HistoryLimits Default { get; } = new(Records: 50, TimeSpan.FromHours(48), Bytes: 64 << 20, LogBytes: 4 << 20);
}
