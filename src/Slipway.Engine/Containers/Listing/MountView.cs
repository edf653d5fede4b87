using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Listing;

/// <summary>A container's mounts as the API shows them.</summary>
internal static class MountView
{
    public static List<MountPoint> Of(ContainerSnapshot container) => [.. container.Mounts.Where(mount => mount.Type != "tmpfs").Select(mount => new MountPoint
    {
        Type = mount.Type,
        Name = mount.VolumeName,
        Source = mount.Source,
        Destination = mount.Destination,
        Driver = mount.Type == "volume" ? "local" : null,
        Mode = mount.Mode,
        RW = !mount.ReadOnly,
        Propagation = mount.Propagation,
    })];
}
