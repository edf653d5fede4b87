namespace Slipway.Engine.Builds;

/// <summary>A record of the cache (GET /system/df, BuildKit's DiskUsage).</summary>
public sealed record BuildCacheRecord
{
    /// <summary>Lower-case hexadecimal digits.</summary>
    public required string Id { get; init; }

    public IReadOnlyList<string> Parents { get; init; } = [];

    /// <summary><c>regular</c>, <c>source.local</c>, <c>exec.cachemount</c>, <c>internal</c>, <c>frontend</c>.</summary>
    public required string Type { get; init; }

    public required string Description { get; init; }

    /// <summary>A build uses it now.</summary>
    public bool InUse { get; init; }

    /// <summary>An image needs it too: taking it out frees nothing.</summary>
    public bool Shared { get; init; }

    /// <summary>Bytes.</summary>
    public long Size { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    public int UsageCount { get; init; }
}

/// <summary>What to take out of the cache.</summary>
public sealed record BuildCachePrune
{
    /// <summary>Also what images share, and what only the engine itself makes.</summary>
    public bool All { get; init; }

    /// <summary>Bytes that may stay: those used last.</summary>
    public long KeepStorage { get; init; }

    /// <summary><c>until</c>, <c>id</c>, <c>parent</c>, <c>type</c>, <c>description</c>, <c>inuse</c>, <c>shared</c>, <c>private</c>.</summary>
    public Filters Filters { get; init; } = Filters.None;

    /// <summary>Which records are meant, of those that the filters leave; null: all.</summary>
    public Func<BuildCacheRecord, bool>? Where { get; init; }
}

/// <summary>What was taken out.</summary>
public sealed record BuildCachePruned(IReadOnlyList<BuildCacheRecord> Records, long SpaceReclaimed);
