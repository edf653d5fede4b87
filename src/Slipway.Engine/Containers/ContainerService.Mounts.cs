using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Files;
using Slipway.Storage;
using Slipway.Storage.Images;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    /// <summary>
    /// The mounts of a container that is being created. Its volumes are made, and those that are empty filled from its image, as Docker does at this
    /// point. Where that fails nothing is left of it but named volumes.
    /// </summary>
    private async Task<IReadOnlyList<ContainerMount>> CreateMountsAsync(ContainerSnapshot container, Image image, JudgedObjects? judged, CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<ContainerMount> mounts = MountSpecs.Resolve(container.Config, container.HostConfig, Lookups);
            mounts = await _services.Volumes.AcquireAsync(mounts, container.Id, judged, cancellationToken);
            try
            {
                await PopulateAsync(mounts, container.Id, image, cancellationToken);
                return mounts;
            }
            catch
            {
                await _services.Volumes.ReleaseAsync(mounts, container.Id, removeAnonymous: true);
                throw;
            }
        }
        catch (EngineException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            // A client would take "not found" for the container's image, pull that, and ask again.
            throw new EngineException(ErrorKind.InvalidParameter, exception.Message, exception);
        }
    }

    private MountLookups Lookups => new(MountsOf, name => FindImage(name, platform: null).Id.ToString());

    private IReadOnlyList<ContainerMount> MountsOf(string reference) => _index.Resolve(reference).Snapshot.Mounts;

    private async Task PopulateAsync(IReadOnlyList<ContainerMount> mounts, string container, Image image, CancellationToken cancellationToken)
    {
        RootDirectory? tree = null;
        try
        {
            foreach (ContainerMount mount in mounts.Where(mount => mount is { Type: "volume", NoCopy: false, Subpath: null }))
            {
                await _services.Volumes.PopulateAsync(mount, container, () => tree ??= new RootDirectory(_services.Data.Snapshots.MountImage(image.ChainIds)), cancellationToken);
            }
        }
        finally
        {
            tree?.Dispose();
        }
    }
}
