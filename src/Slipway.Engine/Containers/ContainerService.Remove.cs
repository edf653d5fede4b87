using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Copy;
using Slipway.Engine.Containers.Links;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Telemetry;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task RemoveAsync(string reference, ContainerRemoveOptions options, CancellationToken cancellationToken)
    {
        if (options.Link)
        {
            await RemoveLinkAsync(reference, cancellationToken);
            return;
        }

        Container container = _index.Resolve(reference);
        if (container.Snapshot.State.Phase == ContainerPhase.Removing)
        {
            throw new EngineException(ErrorKind.Conflict, $"removal of container {container.Snapshot.Name} is already in progress");
        }

        for (bool killed = false; ; killed = true)
        {
            Task<ContainerWaitResponse> exited = container.Waits.Register(WaitCondition.NotRunning, cancellationToken);
            using (AsyncLock.Holder holder = await container.LockAsync(cancellationToken))
            {
                if (_index.Find(container.Id) is null)
                {
                    if (killed)
                    {
                        // It removes itself, and has done so when it ended.
                        return;
                    }

                    throw ContainerErrors.NoSuchContainer(reference);
                }

                if (!options.Force && container.Snapshot.State.IsRunning)
                {
                    throw MustStopFirst(container.Snapshot);
                }

                // Who started it again before this had the lock loses: it is killed once more.
                if (!container.Snapshot.State.IsLive)
                {
                    await CancelRestartHeldAsync(container);
                    await container.OfflineFiles.EndAsync(_services.Time, options.Force ? TimeSpan.Zero : OfflineFiles.Patience);
                    await RemoveHeldAsync(container, options.Volumes);
                    return;
                }

                await SignalHeldAsync(container, Signals.Kill, stops: true);
            }

            if (!await EndsWithinAsync(exited, KillTimeout, cancellationToken))
            {
                throw new EngineException(ErrorKind.System, $"cannot remove container \"/{container.Snapshot.Name}\": could not kill: the process does not end, it is stuck in the kernel");
            }
        }
    }

    private static EngineException MustStopFirst(ContainerSnapshot container) => new(ErrorKind.Conflict, container.State.Phase switch
    {
        ContainerPhase.Paused => $"cannot remove container \"/{container.Name}\": container is paused and must be unpaused first",
        ContainerPhase.Restarting => $"cannot remove container \"/{container.Name}\": container is restarting: stop the container before removing or force remove",
        _ => $"cannot remove container \"/{container.Name}\": container is running: stop the container before removing or force remove",
    });

    /// <summary><c>docker rm --link PARENT/ALIAS</c>: the linked container stays; the one that has the link finds it no more from its next start on.</summary>
    private async Task RemoveLinkAsync(string reference, CancellationToken cancellationToken)
    {
        string name = reference.TrimStart('/');
        int slash = name.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
        {
            _ = _index.Resolve(reference);
            throw new EngineException(ErrorKind.Conflict, "Conflict, cannot remove the default link name of the container");
        }

        string alias = name[(slash + 1)..];
        Container parent = _index.Resolve(name[..slash]);
        using AsyncLock.Holder holder = await parent.LockAsync(cancellationToken);
        HostConfig before = parent.Snapshot.HostConfig;
        List<string> links = [.. (before.Links ?? []).Where(text => LegacyLink.Parse(text).Alias != alias)];
        if (links.Count == (before.Links?.Count ?? 0))
        {
            throw ContainerErrors.NoSuchContainer(reference);
        }

        HostConfig after = before with { Links = links };
        await _services.Data.Containers.UpdateConfigAsync(
            parent.Id, JsonSerializer.SerializeToUtf8Bytes(after, StateJson.Default.HostConfig), networking: null, CancellationToken.None);
        parent.Publish(parent.Snapshot with { HostConfig = after });
    }

    public async Task RenameAsync(string reference, string newName, CancellationToken cancellationToken)
    {
        if (newName.Length == 0)
        {
            throw ContainerErrors.Invalid("Neither old nor new names may be empty");
        }

        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        ContainerSnapshot snapshot = container.Snapshot;
        string name;
        try
        {
            name = ContainerNames.Parse(newName.StartsWith('/') ? newName : "/" + newName);
            if (name == snapshot.Name)
            {
                throw new EngineException(ErrorKind.InvalidParameter, "Renaming a container with the same name as its current name");
            }

            _index.Reserve(name, container.Id);
        }
        catch (EngineException exception) when (!exception.Message.StartsWith("Renaming", StringComparison.Ordinal))
        {
            throw new EngineException(exception.Kind, $"Error when allocating new name: {exception.Message}");
        }

        try
        {
            await TranslateAsync(RenameRowAsync(container.Id, name, cancellationToken));
        }
        catch
        {
            _index.Release(name, container.Id);
            throw;
        }

        container.Publish(snapshot with { Name = name });
        _services.ContainerNetworks.Rename(container.Snapshot);
        _index.Release(snapshot.Name, container.Id);
        _events.Publish(container.Snapshot, "rename", ("oldName", "/" + snapshot.Name));
    }

    private async Task<bool> RenameRowAsync(string id, string name, CancellationToken cancellationToken)
    {
        await _services.Data.Containers.RenameAsync(id, name, cancellationToken);
        return true;
    }

    /// <summary>Removes a container that does not run: its layer, its files and anonymous volumes, its row. The lock is held.</summary>
    internal async Task RemoveHeldAsync(Container container, bool removeVolumes)
    {
        long begin = _services.Metrics.Begin();
        ContainerSnapshot snapshot = container.Snapshot;
        int exitCode = snapshot.State.ExitCode;
        await container.OfflineFiles.EndAsync(_services.Time, OfflineFiles.Patience);
        container.Publish(snapshot.State with { Phase = ContainerPhase.Removing });
        container.Streams.Close();
        await _forwarding.EndAsync(container.Id);
        try
        {
            // Volumes first: those made for a container that is not there any more would be removed by the next engine.
            await _services.Volumes.ReleaseAsync(snapshot.Mounts, container.Id, removeVolumes);

            // Side by side: a layer without a row, as well as a row without a layer, is removed by the next engine.
            Task<bool> deleted = _services.Data.Containers.DeleteAsync(container.Id, CancellationToken.None);
            await _services.Data.Snapshots.RemoveAsync(container.Id);
            await deleted;
        }
        catch (Exception exception)
        {
            container.Publish(snapshot.State with { Phase = ContainerPhase.Dead, Error = exception.Message });
            container.Waits.Removed(exitCode, exception.Message);
            throw new EngineException(ErrorKind.System, $"cannot remove container \"/{snapshot.Name}\": {exception.Message}", exception);
        }

        _index.Remove(container);
        _events.Publish(snapshot, "destroy");
        if (!snapshot.IsWarmUp)
        {
            _services.Metrics.Done(ContainerAction.Delete, begin);
        }

        container.Waits.Removed(exitCode);
    }
}
