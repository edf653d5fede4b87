using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Update;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Runtime.Compilation;

namespace Slipway.Engine.Containers;

/// <summary>Mounts that come and go while a container runs.</summary>
internal sealed partial class ContainerService
{
    /// <summary>Makes and fills the volumes of mounts that are added; where that fails nothing is left of it but named volumes.</summary>
    private async Task<IReadOnlyList<ContainerMount>> AcquireMountsAsync(Container container, MountUpdate update, CancellationToken cancellationToken)
    {
        ContainerSnapshot snapshot = container.Snapshot;
        IReadOnlyList<ContainerMount> acquired = await _services.Volumes.AcquireAsync(update.Added, snapshot.Id, update.Judged, cancellationToken);
        try
        {
            await PopulateAsync(acquired, snapshot.Id, FindImage(snapshot.ImageId, platform: null), cancellationToken);
            ContainerLauncher.PrepareBinds(snapshot with { Mounts = acquired });
            return acquired;
        }
        catch
        {
            await LetGoAsync(container, acquired);
            throw;
        }
    }

    /// <summary>Lets go of the volumes of mounts that the container does not have, unless another of its mounts has them too.</summary>
    private async Task LetGoAsync(Container container, IReadOnlyList<ContainerMount> mounts)
    {
        HashSet<string?> kept = [.. container.Snapshot.Mounts.Select(mount => mount.VolumeName)];
        ContainerMount[] free = [.. mounts.Where(mount => !kept.Contains(mount.VolumeName))];
        await _services.Volumes.UnmountAsync(free, container.Id);
        await _services.Volumes.ReleaseAsync(free, container.Id, removeAnonymous: false);
    }

    /// <summary>Takes mounts off a running container and attaches others; where that fails it is as before.</summary>
    /// <returns>The attached ones, with the paths of their volumes' contents.</returns>
    private async Task<IReadOnlyList<ContainerMount>> ChangeMountsHeldAsync(Container container, MountUpdate update, IReadOnlyList<ContainerMount> acquired)
    {
        List<ContainerMount> detached = [], attached = [];
        using NamespaceView view = OpenView(container);
        using UserNamespace? users = UserNamespace.OfProcess(container.Snapshot.State.Pid);
        try
        {
            foreach (ContainerMount mount in update.Removed)
            {
                if (!await RunningMounts.DetachAsync(view, mount.Destination, root => IsRootOf(mount, root)))
                {
                    throw new EngineException(ErrorKind.Conflict, $"the container has moved, removed or covered what is mounted on {mount.Destination}");
                }

                detached.Add(mount);
            }

            acquired = await _services.Volumes.MountAsync(acquired, container.Id, CancellationToken.None);
            foreach (ContainerMount mount in acquired)
            {
                await AttachAsync(view, mount, users);
                attached.Add(mount);
            }

            return acquired;
        }
        catch
        {
            foreach (ContainerMount mount in Enumerable.Reverse(attached))
            {
                await RunningMounts.DetachAsync(view, mount.Destination, root => IsRootOf(mount, root));
            }

            // In the order of starts: parents first.
            foreach (ContainerMount mount in Enumerable.Reverse(detached))
            {
                await AttachAsync(view, mount, users);
            }

            throw;
        }
    }

    /// <summary>After the end of an engine in the middle of an update: what was being attached or detached is not to be there.</summary>
    internal async Task SettleMountsAsync(Container container)
    {
        using AsyncLock.Holder holder = await container.LockAsync(CancellationToken.None);
        if (container.Snapshot.State is not { UnsettledMounts: { } unsettled, IsLive: true })
        {
            return;
        }

        using (NamespaceView view = OpenView(container))
        {
            foreach (ContainerMount mount in unsettled)
            {
                if (container.Snapshot.Mounts.All(other => other.Destination != mount.Destination))
                {
                    await RunningMounts.DetachAsync(view, mount.Destination, root => IsRootOf(mount, root));
                }
            }
        }

        container.Publish(container.Snapshot.State with { UnsettledMounts = null });
        await StoreStateAsync(container);
    }

    private static NamespaceView OpenView(Container container)
    {
        NamespaceView? view = NamespaceView.TryOfProcess(container.Snapshot.State.Pid);

        // Still there after its files were opened, so they were not those of another process with its number.
        if (view is not null && container.Pidfd is { } pidfd && Pidfd.SendSignal(pidfd, 0))
        {
            return view;
        }

        view?.Dispose();
        throw ContainerErrors.NotRunning(container.Id);
    }

    private async Task AttachAsync(NamespaceView view, ContainerMount mount, UserNamespace? users)
    {
        using SafeFileHandle tree = OpenTree(mount, users);
        await RunningMounts.AttachAsync(view, tree, mount.Destination, users?.Maps);
    }

    /// <summary>As at a start: volumes of our own, images and tmpfs show with the ids of the container's user namespace, what is of the host as it is.</summary>
    private SafeFileHandle OpenTree(ContainerMount mount, UserNamespace? users)
    {
        SafeFileHandle tree = mount.Type switch
        {
            "tmpfs" => RunningMounts.Make("tmpfs", mount.Options),
            "image" => MountSources.OpenImage(mount, _services.Data, users),
            _ => MountSources.Clone(mount, recursive: !mount.Options.Contains("bind"), _services.Data),
        };
        try
        {
            if (mount.Type != "tmpfs")
            {
                RunningMounts.Apply(tree, mount.Options);
            }

            if (users is not null && (mount.Type == "tmpfs" || mount.IsOwnVolume))
            {
                MountTree.MapIds(tree, users.Descriptor, recursive: false);
            }

            RunningMounts.MapIds(tree, SpecMounts.Bind(mount, users?.Maps), users);
            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }

    /// <summary>Whether the root of a mount is that of a container's mount, and not of one that the container has made or moved there.</summary>
    private static bool IsRootOf(ContainerMount mount, SafeFileHandle root)
    {
        switch (mount.Type)
        {
            case "tmpfs":
                return Descriptors.FileSystemType(root) == Descriptors.TmpfsMagic;
            case "image":
                return Descriptors.FileSystemType(root) == Descriptors.OverlayfsSuperMagic || Descriptors.IsOnReadOnlyMount(root);
            default:
                using (SafeFileHandle? source = mount.Subpath is { } subpath ? MountSources.OpenPart(mount, subpath) : new HostPath(mount.Source).TryOpen(OpenFlags.Path))
                {
                    return source is not null && FileStatus.Of(source).IsSameFile(FileStatus.Of(root));
                }
        }
    }
}
