using System.Text.Json.Serialization;

namespace Slipway.Api.Containers;

/// <summary>The header X-Docker-Container-Path-Stat: what a path in a container is.</summary>
/// <param name="Mode">Permissions and kind in the bits of Go's os.FileMode.</param>
/// <param name="ModificationTime">RFC 3339.</param>
/// <param name="LinkTarget">Where a symbolic link leads in the end, seen from the container's root.</param>
public sealed record ContainerPathStat(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("size")] long Size,
    [property: JsonPropertyName("mode")] uint Mode,
    [property: JsonPropertyName("mtime")] string ModificationTime,
    [property: JsonPropertyName("linkTarget")] string LinkTarget);
