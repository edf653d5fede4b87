using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Volumes;

namespace Slipway.Engine.Containers.Listing;

/// <summary>A container's mounts as the API shows them.</summary>
internal static class MountView
{
    public static List<MountPoint> Of(ContainerSnapshot container) => [.. container.Mounts.Where(mount => !IsTmpfsOption(container, mount)).Select(mount => new MountPoint
    {
        Type = mount.Type,
        Name = mount.VolumeName,
        Source = mount.Source,
        Destination = mount.Destination,
        Driver = mount.Type == "volume" ? mount.Volume?.Driver ?? LocalDriver.Name : null,
        Mode = mount.Mode,
        RW = !mount.ReadOnly,
        Propagation = mount.Propagation,
    })];

    /// <summary>As Docker: what <c>--tmpfs</c> says stands in the host configuration alone.</summary>
    private static bool IsTmpfsOption(ContainerSnapshot container, ContainerMount mount) =>
        mount.Type == "tmpfs" && container.HostConfig.Mounts?.Exists(other => other.Type == "tmpfs" && MountPaths.Normalize(other.Target) == mount.Destination) != true;
}
