using System.Text.Json.Serialization;

namespace Slipway.Engine.Builds.History;

/// <summary>A build, as it is remembered.</summary>
public sealed record BuildRecord
{
    /// <summary>What its client knows it by; the engine names what has no name.</summary>
    public required string Reference { get; init; }

    /// <summary>What was asked for, in BuildKit's words: <c>filename</c>, <c>target</c>, <c>platform</c>, <c>context</c>, <c>build-arg:NAME</c>, <c>label:NAME</c>. Never values of proxies and secrets.</summary>
    public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>();

    /// <summary>That the result was to get, as users write them.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    public BuildState State { get; init; }

    /// <summary>Empty: it did not fail.</summary>
    public string Error { get; init; } = "";

    public DateTimeOffset Started { get; init; }

    public DateTimeOffset? Completed { get; init; }

    /// <summary>Of the Dockerfile, as far as the target needs them; 0 before it was read.</summary>
    public int TotalSteps { get; init; }

    /// <summary>Those of the completed that were found in the cache.</summary>
    public int CachedSteps { get; init; }

    public int CompletedSteps { get; init; }

    public int Warnings { get; init; }

    /// <summary>BuildKit's exporter response; <c>containerimage.config.digest</c> is the id of the image.</summary>
    public IReadOnlyDictionary<string, string> Result { get; init; } = new Dictionary<string, string>();

    /// <summary>Somebody wants it kept.</summary>
    public bool IsPinned { get; init; }
}

[JsonConverter(typeof(JsonStringEnumConverter<BuildState>))]
public enum BuildState
{
    Running,
    Completed,
    Error,
    Cancelled,
}

/// <param name="Change">What has become of the record.</param>
public sealed record BuildRecordChange(RecordChange Change, BuildRecord Record);

public enum RecordChange
{
    Started,
    Completed,
    Deleted,
}
