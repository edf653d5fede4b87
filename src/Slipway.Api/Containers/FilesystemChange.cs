namespace Slipway.Api.Containers;

/// <summary>An item of GET /containers/{id}/changes.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="Kind">0 modified, 1 added, 2 deleted.</param>
public sealed record FilesystemChange(string Path, int Kind);
