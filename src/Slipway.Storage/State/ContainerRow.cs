namespace Slipway.Storage.State;

/// <summary>A container as stored. The documents are JSON owned by the engine; the store does not look into them.</summary>
public sealed record ContainerRow
{
    public required string Id { get; init; }

    /// <summary>Without the leading slash; unique.</summary>
    public required string Name { get; init; }

    public required DateTimeOffset Created { get; init; }

    /// <summary>The image's digest as text, or empty.</summary>
    public required string ImageId { get; init; }

    public required byte[] Config { get; init; }

    public required byte[] HostConfig { get; init; }

    public required byte[] Networking { get; init; }

    public required byte[] State { get; init; }
}
