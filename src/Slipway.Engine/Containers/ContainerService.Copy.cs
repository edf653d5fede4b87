using Slipway.Api.Containers;
using Slipway.Engine.Containers.Copy;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Runtime.Compilation;
using Slipway.Storage;
using Slipway.Storage.Copies;

namespace Slipway.Engine.Containers;

/// <summary>
/// <c>docker cp</c>: files out of a container and into it. A running one is seen through the root of its first process, with all that is mounted
/// there; one that does not run through a mount of its own. Nothing is paused, nothing of the container is executed.
/// </summary>
internal sealed partial class ContainerService
{
    public async Task<ContainerPathStat> StatPathAsync(string reference, string path, CancellationToken cancellationToken)
    {
        Container container = ResolveForCopy(reference, "copy from");
        await using ContainerFiles files = await OpenFilesAsync(container, cancellationToken);
        return PathStats.Of(await CopyingAsync(reference, path, () => ContainerCopy.StatusAsync(files.Root, path)));
    }

    public async Task<ContainerArchive> CopyFromAsync(string reference, string path, CancellationToken cancellationToken)
    {
        Container container = ResolveForCopy(reference, "copy from");
        ContainerFiles files = await OpenFilesAsync(container, cancellationToken);
        try
        {
            OutgoingCopy copy = await CopyingAsync(reference, path, () => ContainerCopy.ReadAsync(files.Root, path, files.Maps));
            return new ContainerArchive(
                PathStats.Of(copy.Status),
                async (output, token) =>
                {
                    _events.Publish(container.Snapshot, "archive-path");
                    await CopyingAsync(reference, path, async () =>
                    {
                        await WithClientAsync(files, output, copy.WriteToAsync, token);
                        return true;
                    });
                },
                async () =>
                {
                    copy.Dispose();
                    await files.DisposeAsync();
                });
        }
        catch
        {
            await files.DisposeAsync();
            throw;
        }
    }

    public async Task CopyToAsync(string reference, ContainerExtraction extraction, Stream tar, CancellationToken cancellationToken)
    {
        Container container = ResolveForCopy(reference, "copy to");
        await using ContainerFiles files = await OpenFilesAsync(container, cancellationToken);
        CopyOptions options = new(extraction.KeepKinds, extraction.OwnedByUser ? Owner(container.Snapshot, files.Root) : null, files.Maps);
        await CopyingAsync(reference, extraction.Path, async () =>
        {
            await WithClientAsync(files, tar, (stream, token) => ContainerCopy.WriteAsync(files.Root, extraction.Path, stream, options, token), cancellationToken);
            return true;
        });
        _events.Publish(container.Snapshot, "extract-to-dir");
    }

    private Container ResolveForCopy(string reference, string verb)
    {
        Container container = _index.Resolve(reference);
        RequireWhole(container, verb);
        return container;
    }

    private async Task<ContainerFiles> OpenFilesAsync(Container container, CancellationToken cancellationToken)
    {
        while (true)
        {
            RequireWhole(container, "copy from or to");
            if (container.Snapshot.State.IsLive)
            {
                if (await TryOpenLiveAsync(container, cancellationToken) is { } live)
                {
                    return new ContainerFiles(live.View, live.Maps, () =>
                    {
                        live.View.Dispose();
                        return Task.CompletedTask;
                    });
                }
            }
            else if (await TryOpenOfflineAsync(container, cancellationToken) is { } offline)
            {
                return new ContainerFiles(offline.View, Maps: null, () => offline.DisposeAsync().AsTask(), offline);
            }
        }
    }

    /// <summary>What the first process sees; null where it has ended meanwhile, and that has been recorded.</summary>
    private static async Task<LiveView?> TryOpenLiveAsync(Container container, CancellationToken cancellationToken)
    {
        Task ended;
        using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
        {
            if (!container.Snapshot.State.IsLive)
            {
                return null;
            }

            if (TryOpenLive(container) is { } view)
            {
                return view;
            }

            ended = container.Waits.Register(WaitCondition.NotRunning, cancellationToken);
        }

        await ended;
        return null;
    }

    private static LiveView? TryOpenLive(Container container)
    {
        int pid = container.Snapshot.State.Pid;
        NamespaceView? view = NamespaceView.TryOfProcess(pid);
        try
        {
            using UserNamespace? users = view is null ? null : UserNamespace.OfProcess(pid);

            // Still there after its files were opened, so they were not those of another process with its number.
            if (view is not null && container.Pidfd is { } pidfd && Pidfd.SendSignal(pidfd, 0))
            {
                return new LiveView(view, users?.Maps);
            }
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ESRCH)
        {
            // It has ended meanwhile.
        }

        view?.Dispose();
        return null;
    }

    /// <summary>Its files while it does not run; null where it does meanwhile.</summary>
    private async Task<OfflineCopy?> TryOpenOfflineAsync(Container container, CancellationToken cancellationToken)
    {
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        if (container.Snapshot.State.IsLive)
        {
            return null;
        }

        RequireWhole(container, "copy from or to");
        return await container.OfflineFiles.ShareAsync(async () =>
        {
            ContainerSnapshot snapshot = container.Snapshot;
            NamespaceView view = await MountOfflineAsync(snapshot);
            return new OfflineView(view, async () =>
            {
                view.Dispose();
                await _services.Volumes.UnmountAsync(snapshot.Mounts, snapshot.Id);
            });
        });
    }

    /// <summary>Copies from or to a client, for as long as nobody needs the container while the client stands still.</summary>
    private static async Task WithClientAsync(ContainerFiles files, Stream stream, Func<Stream, CancellationToken, Task> copy, CancellationToken cancellationToken)
    {
        if (files.Offline is not { } offline)
        {
            await copy(stream, cancellationToken);
            return;
        }

        CopyClient client = new(stream);
        offline.Follow(client);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, offline.Interrupted);
        await using CancellationTokenRegistration interrupting = client.InterruptWhen(offline.Interrupted);
        try
        {
            await copy(client.Stream, end.Token);
        }
        catch (OperationCanceledException exception) when (offline.Interrupted.IsCancellationRequested)
        {
            throw new EngineException(ErrorKind.Conflict, "the copy was ended: it stood still, and the container was to be started or removed", exception);
        }
    }

    private async Task<NamespaceView> MountOfflineAsync(ContainerSnapshot container)
    {
        ContainerLauncher.PrepareBinds(container);
        container = container with { Mounts = await _services.Volumes.MountAsync(container.Mounts, container.Id, CancellationToken.None) };
        try
        {
            List<PlacedMount> mounts = OfflineMounts.Open(container, _services.ContainerDirectory(container.Id), _services.Data);
            try
            {
                if (RootfsSize.Of(container.HostConfig) is { } size)
                {
                    await _services.Data.Snapshots.EnsureSizedAsync(LayersOf(container), container.Id, size, CancellationToken.None);
                }

                return NamespaceView.Assemble(_services.Data.Snapshots.MountRootfs(LayersOf(container), container.Id, readOnly: false), mounts, container.HostConfig.ReadonlyRootfs);
            }
            finally
            {
                mounts.ForEach(mount => mount.Tree.Dispose());
            }
        }
        catch (Exception exception)
        {
            await _services.Volumes.UnmountAsync(container.Mounts, container.Id);
            throw exception switch
            {
                KernelException => new EngineException(ErrorKind.System, $"mount the files of container {container.Id}: {exception.Message}", exception),
                StorageException storage => ContainerErrors.From(storage),
                _ => exception,
            };
        }
    }

    /// <summary>The user the container runs as, looked up in its own files, which are only read.</summary>
    private static CopyOwner Owner(ContainerSnapshot container, RootDirectory root)
    {
        try
        {
            ResolvedUser user = UserLookup.Resolve(root, container.Config.User, []);
            return new CopyOwner(user.Uid, user.Gid);
        }
        catch (PlanException exception)
        {
            throw ContainerErrors.Invalid(exception.Message);
        }
    }

    private static async Task<T> CopyingAsync<T>(string reference, string path, Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (StorageException exception) when (exception.Kind == StorageErrorKind.NotFound)
        {
            throw new EngineException(ErrorKind.NotFound, $"Could not find the file {path} in container {reference}", exception);
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }
    }

    /// <param name="Maps">Of the user namespace of a running container; null: its files have the owners that are stored.</param>
    private sealed record LiveView(NamespaceView View, IdMaps? Maps);

    /// <param name="View">Root of what the container sees.</param>
    /// <param name="Maps">As of <see cref="LiveView"/>.</param>
    /// <param name="Offline">Set where the container does not run.</param>
    private sealed record ContainerFiles(NamespaceView View, IdMaps? Maps, Func<Task> Close, OfflineCopy? Offline = null) : IAsyncDisposable
    {
        public RootDirectory Root => View.Root;

        public async ValueTask DisposeAsync() => await Close();
    }
}
