namespace Slipway.Api.Containers;

/// <summary>Body of <c>POST /containers/{id}/checkpoints</c>.</summary>
public sealed record CheckpointCreateRequest
{
    public string CheckpointID { get; set; } = "";

    /// <summary>Of the host; empty: where checkpoints are kept.</summary>
    public string CheckpointDir { get; set; } = "";

    /// <summary>The container ends with it.</summary>
    public bool Exit { get; set; }
}

public sealed record CheckpointSummary(string Name);
