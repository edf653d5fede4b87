using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>The drivers of volumes, by name.</summary>
internal sealed class VolumeDrivers(IVolumeStore store)
{
    private readonly LocalDriver _local = new(store);

    /// <summary>Null where there is none of the name.</summary>
    public IVolumeDriver? Find(string name) => name == LocalDriver.Name ? _local : null;
}
