using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Files;
using Slipway.Storage;

namespace Slipway.Engine.Volumes;

internal sealed partial class VolumeService
{
    /// <summary>
    /// Makes the volumes that a container's mounts name and that do not exist, and keeps them from being removed as long as the container exists.
    /// Either all are acquired or none.
    /// </summary>
    /// <param name="judged">The volumes that names stand for; null, and for other names: whichever has the name.</param>
    /// <returns>The mounts, with what is known of their volumes now.</returns>
    public async Task<IReadOnlyList<ContainerMount>> AcquireAsync(IReadOnlyList<ContainerMount> mounts, string container, JudgedObjects? judged, CancellationToken cancellationToken)
    {
        List<ContainerMount> acquired = [];
        try
        {
            foreach (ContainerMount mount in mounts)
            {
                acquired.Add(mount.VolumeName is { } name ? await AcquireAsync(mount, name, container, judged, cancellationToken) : mount);
            }

            return acquired;
        }
        catch
        {
            await ReleaseAsync(acquired, container, removeAnonymous: true);
            throw;
        }
    }

    /// <summary>What the mounts of a stored container name, when an engine starts: volumes are not made, containers are not told.</summary>
    public void Refer(IReadOnlyList<ContainerMount> mounts, string container)
    {
        foreach (ContainerMount mount in mounts)
        {
            if (mount.VolumeName is { } name && Find(name) is { } volume)
            {
                volume.AddUser(container);
            }
        }
    }

    /// <summary>A container goes: its volumes may be removed, and those made for it are, if that is asked for.</summary>
    public async Task ReleaseAsync(IReadOnlyList<ContainerMount> mounts, string container, bool removeAnonymous)
    {
        foreach (ContainerMount mount in mounts)
        {
            if (mount.VolumeName is not { } name)
            {
                continue;
            }

            using Held held = await LockAsync(name, CancellationToken.None);
            VolumeEntry volume = held.Volume;
            volume.RemoveUser(container);
            if (volume.Document is null)
            {
                continue;
            }

            if (removeAnonymous && mount.Anonymous && volume.Users.Count == 0)
            {
                await TryRemoveHeldAsync(volume);
            }
            else if (volume.Document.Owner is not null)
            {
                volume.Document = volume.Document with { Owner = null };
                await _store.UpdateAsync(name, volume.Document.ToBytes(), CancellationToken.None);
            }
        }
    }

    /// <summary>Mounts the volumes of a container that is about to start.</summary>
    /// <returns>The container's mounts, with the paths of their contents.</returns>
    public async Task<IReadOnlyList<ContainerMount>> MountAsync(IReadOnlyList<ContainerMount> mounts, string container, CancellationToken cancellationToken)
    {
        List<ContainerMount> mounted = [];
        try
        {
            foreach (ContainerMount mount in mounts)
            {
                if (mount.VolumeName is not { } name)
                {
                    mounted.Add(mount);
                    continue;
                }

                using Held held = await LockForMountAsync(name, cancellationToken);
                if (held.Volume.Document is null)
                {
                    // Somebody has taken it from the data root.
                    await EnsureHeldAsync(held.Volume, mount.Volume ?? VolumeSpec.Default, owner: null, cancellationToken);
                    held.Volume.AddUser(container);
                }

                mounted.Add(mount with
                {
                    Source = await MountHeldAsync(held.Volume, container, cancellationToken),
                    IsOwnVolume = (await DriverAsync(held.Volume, cancellationToken)).OwnsFiles(held.Volume.Document!),
                    IdMap = IdMapOf(held.Volume.Document!),
                });
                Publish(
                    held.Volume, "mount", ("container", container), ("destination", mount.Destination), ("propagation", mount.Propagation),
                    ("read/write", mount.ReadOnly ? "false" : "true"));
            }

            return mounted;
        }
        catch
        {
            await UnmountAsync(mounted, container);
            throw;
        }
    }

    /// <summary>Unmounts the volumes of a container that has ended. What fails is told to the operator: nobody else could do anything about it.</summary>
    public async Task UnmountAsync(IReadOnlyList<ContainerMount> mounts, string container)
    {
        foreach (ContainerMount mount in mounts)
        {
            if (mount.VolumeName is not { } name)
            {
                continue;
            }

            using Held held = await LockAsync(name, CancellationToken.None);
            if (held.Volume.Document is not null && held.Volume.Mounted.Contains(container))
            {
                await UnmountHeldAsync(held.Volume, container);
                Publish(held.Volume, "unmount", ("container", container));
            }
        }
    }

    /// <summary>Fills a volume that is empty with what an image has at a path. Errors are those of a creation.</summary>
    /// <param name="open">Opens the image, if it is needed.</param>
    public async Task PopulateAsync(ContainerMount mount, string container, Func<RootDirectory> open, CancellationToken cancellationToken)
    {
        using Held held = await LockForMountAsync(mount.VolumeName!, cancellationToken);
        VolumeEntry volume = held.Volume;
        if (volume.Mounted.Count == 0 && _store.HasImage(volume.Name))
        {
            await TranslateAsync(_store.PopulateImageAsync(volume.Name, open, mount.Destination, cancellationToken));
            return;
        }

        string path = await MountHeldAsync(volume, container, cancellationToken);
        try
        {
            HostPath data = new(path);
            if (_store.IsEmpty(data))
            {
                bool inUse = volume.Mounted.Count > 1 || !(await DriverAsync(volume, cancellationToken)).OwnsDirectory(volume.Name, volume.Document!);
                await _store.PopulateAsync(data, open(), mount.Destination, inUse, cancellationToken);
            }
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }
        finally
        {
            await UnmountHeldAsync(volume, container);
        }
    }

    /// <summary>
    /// After the containers were read and those that run are known: takes over what those have mounted, unmounts what nobody has, and removes the volumes
    /// of creations that were not finished.
    /// </summary>
    /// <param name="running">The containers that run.</param>
    /// <param name="exists">Whether there is a container of an id.</param>
    public async Task RecoverAsync(IEnumerable<(string Container, IReadOnlyList<ContainerMount> Mounts)> running, Func<string, bool> exists, CancellationToken cancellationToken)
    {
        foreach ((string container, IReadOnlyList<ContainerMount> mounts) in running)
        {
            foreach (ContainerMount mount in mounts)
            {
                if (mount.VolumeName is { } name && Find(name) is { } volume)
                {
                    volume.Mounted.Add(container);
                }
            }
        }

        foreach (VolumeEntry candidate in Entries.ToList())
        {
            using Held held = await LockAsync(candidate.Name, cancellationToken);
            VolumeEntry volume = held.Volume;
            if (volume.Document is { Owner: { } owner } && !exists(owner) && volume.Users.Count == 0)
            {
                await TryRemoveHeldAsync(volume);
            }
            else if (volume is { Document.Driver: LocalDriver.Name, Mounted.Count: 0 } && _store.IsMounted(volume.Name))
            {
                await _store.UnmountAsync(volume.Name);
            }
        }
    }

    /// <summary>Removes a volume that goes with something else, which must not stay because this fails: the operator is told.</summary>
    private async Task TryRemoveHeldAsync(VolumeEntry volume)
    {
        try
        {
            await RemoveHeldAsync(volume, CancellationToken.None);
        }
        catch (EngineException exception)
        {
            _log.Write(EngineLogLevel.Warning, $"anonymous volume {volume.Name} stays: {exception.Message}");
        }
    }

    private async Task<ContainerMount> AcquireAsync(ContainerMount mount, string name, string container, JudgedObjects? judged, CancellationToken cancellationToken)
    {
        using Held held = await LockAsync(name, cancellationToken);
        if (judged?.Volumes.TryGetValue(name, out long incarnation) == true && !held.Volume.Is(incarnation))
        {
            throw VolumeErrors.NoSuchVolume(name);
        }

        VolumeSpec spec = mount.Volume ?? VolumeSpec.Default;
        await EnsureHeldAsync(held.Volume, spec, mount.Anonymous ? container : null, cancellationToken);
        held.Volume.AddUser(container);
        mount = mount with { Source = held.Volume.Path, Volume = spec with { Driver = held.Volume.Document!.Driver } };
        if (IdMapOf(held.Volume.Document) is not null)
        {
            // What the image has would be stored with ids that the container does not see as its own.
            mount = mount with { NoCopy = true };
        }

        return held.Volume.Document.SnapshotOf is null ? mount : mount with { ReadOnly = true, NoCopy = true, Options = [.. mount.Options.Select(word => word == "rw" ? "ro" : word)] };
    }

    private async ValueTask<IVolumeDriver> DriverAsync(VolumeEntry volume, CancellationToken cancellationToken)
    {
        string name = volume.Document!.Driver;
        return await _drivers.FindAsync(name, cancellationToken) ?? throw new EngineException(ErrorKind.NotFound, $"error looking up volume plugin {name}: plugin \"{name}\" not found");
    }

    private async Task<string> MountHeldAsync(VolumeEntry volume, string container, CancellationToken cancellationToken)
    {
        if (volume.Mounted.Contains(container))
        {
            return volume.Path;
        }

        try
        {
            volume.Path = await (await DriverAsync(volume, cancellationToken)).MountAsync(volume.Name, volume.Document!, container, cancellationToken);
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }

        volume.Mounted.Add(container);
        volume.Mounts++;
        return volume.Path;
    }

    private async Task UnmountHeldAsync(VolumeEntry volume, string container)
    {
        volume.Mounted.Remove(container);
        try
        {
            IVolumeDriver driver = await DriverAsync(volume, CancellationToken.None);
            await driver.UnmountAsync(volume.Name, volume.Document!, container, isLast: volume.Mounted.Count == 0);
        }
        catch (Exception exception) when (exception is StorageException or EngineException)
        {
            _log.Write(EngineLogLevel.Warning, $"volume {volume.Name} could not be unmounted: {exception.Message}");
        }
    }

    private static string? IdMapOf(VolumeDocument document) => document.Driver == LocalDriver.Name ? LocalMount.IdMapOf(document.Options) : null;
}
