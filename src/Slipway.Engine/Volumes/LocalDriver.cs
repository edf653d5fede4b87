using System.Runtime.InteropServices;
using Slipway.Engine.Containers;
using Slipway.Kernel;
using Slipway.Storage;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>
/// The driver <c>local</c>: a directory below the data root. With options <c>type</c>, <c>device</c> and <c>o</c>, as of mount(8), a file system is mounted
/// on it while containers use it.
/// </summary>
internal sealed class LocalDriver(IVolumeStore store) : IVolumeDriver
{
    public const string Name = "local";
    public const string LocalScope = "local";

    public Task<string> CreateAsync(string name, VolumeDocument document, CancellationToken cancellationToken)
    {
        LocalMount.Validate(document.Options);
        return Task.FromResult(PathOf(name));
    }

    public async Task RemoveAsync(string name, CancellationToken cancellationToken)
    {
        // A volume that nobody uses is not mounted, unless the engine was killed at the wrong moment; a removal must not go into what is.
        await store.UnmountAsync(name);
    }

    public async Task<string> MountAsync(string name, VolumeDocument document, string user, CancellationToken cancellationToken)
    {
        if (LocalMount.Of(document.Options) is { } mount)
        {
            try
            {
                await store.MountAsync(name, mount.Make, cancellationToken);
            }
            catch (KernelException error)
            {
                throw new EngineException(
                    ErrorKind.System,
                    $"error while mounting volume '{PathOf(name)}': failed to mount local volume: mount {mount.Device}:{PathOf(name)}, {error.Operation}: {Marshal.GetPInvokeErrorMessage(error.Errno).ToLowerInvariant()}",
                    error);
            }
        }
        else if (store.HasImage(name))
        {
            await MountImageAsync(name, cancellationToken);
        }
        else if (document.Size is { } size)
        {
            HoldSize(name, size);
        }
        else
        {
            store.Ensure(name);
        }

        return PathOf(name);
    }

    public Task UnmountAsync(string name, VolumeDocument document, string user, bool isLast) =>
        isLast && !OwnsDirectory(name, document) ? store.UnmountAsync(name) : Task.CompletedTask;

    public bool OwnsFiles(VolumeDocument document) => LocalMount.Of(document.Options) is null;

    public bool OwnsDirectory(string name, VolumeDocument document) => LocalMount.Of(document.Options) is null && !store.HasImage(name);

    private void HoldSize(string name, long size)
    {
        try
        {
            store.HoldSize(name, size);
        }
        catch (StorageException error)
        {
            throw ContainerErrors.From(error);
        }
        catch (KernelException error)
        {
            throw new EngineException(ErrorKind.System, $"error while mounting volume '{PathOf(name)}': {error.Message}", error);
        }
    }

    private async Task MountImageAsync(string name, CancellationToken cancellationToken)
    {
        try
        {
            await store.MountImageAsync(name, cancellationToken);
        }
        catch (KernelException error)
        {
            throw new EngineException(ErrorKind.System, $"error while mounting volume '{PathOf(name)}': {error.Message}", error);
        }
    }

    private string PathOf(string name) => store.DataPath(name);
}
