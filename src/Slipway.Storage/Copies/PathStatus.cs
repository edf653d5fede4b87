using Slipway.Kernel.Files;

namespace Slipway.Storage.Copies;

/// <summary>What a path in a container is; the last component is not followed.</summary>
/// <param name="Name">The last component, <c>.</c> where the path ends in <c>/.</c>, <c>/</c> for the root.</param>
/// <param name="LinkTarget">Where a symbolic link leads, canonical and seen from the container's root, though there be nothing; else empty.</param>
public sealed record PathStatus(string Name, FileStatus Status, string LinkTarget);
