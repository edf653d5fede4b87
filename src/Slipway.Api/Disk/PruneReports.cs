using Slipway.Api.Images;

namespace Slipway.Api.Disk;

/// <summary>POST /containers/prune. <see cref="SpaceReclaimed"/> is in bytes, in all of these.</summary>
public sealed record ContainersPruneReport(List<string>? ContainersDeleted, long SpaceReclaimed);

/// <summary>POST /images/prune.</summary>
public sealed record ImagesPruneReport(List<ImageDeleteItem>? ImagesDeleted, long SpaceReclaimed);

/// <summary>POST /volumes/prune.</summary>
public sealed record VolumesPruneReport(List<string> VolumesDeleted, long SpaceReclaimed);

/// <summary>POST /networks/prune.</summary>
public sealed record NetworksPruneReport(List<string>? NetworksDeleted);

/// <summary>POST /build/prune.</summary>
public sealed record BuildCachePruneReport(List<string>? CachesDeleted, long SpaceReclaimed);
