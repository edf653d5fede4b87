using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Update;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Networking;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Confinement;
using Slipway.Storage;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task<ContainerUpdateResponse> UpdateAsync(string reference, ContainerUpdateRequest change, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        ResourceValidation.Validate(change, _host.OnlineCpus, _host.OnlineNodes, forUpdate: true);
        ResourceValidation.Require(change, _services.Limits);
        if (change.RestartPolicy.Name.Length > 0)
        {
            HostConfigValidation.ValidateRestart(new HostConfig { RestartPolicy = change.RestartPolicy });
            HostConfigValidation.RequireHealthCheck(container.Snapshot.Config, change.RestartPolicy);
        }

        IReadOnlyList<string> warnings = _services.Limits.Discard(SpecResources.Build(change, [])).Warnings;
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        try
        {
            await UpdateHeldAsync(container, change, cancellationToken);
        }
        catch (Exception exception) when (exception is EngineException or KernelException or ConfinementException or StorageException or PlanException)
        {
            throw new EngineException(
                (exception as EngineException)?.Kind ?? (exception is PlanException ? ErrorKind.InvalidParameter : ErrorKind.System),
                $"Cannot update container {container.Id}: {exception.Message}",
                exception);
        }

        _events.Publish(container.Snapshot, "update");
        return new ContainerUpdateResponse(warnings.Count > 0 ? warnings : null);
    }

    /// <summary>Changes what the kernel holds of the container, then the record of it; where either fails, both are as before.</summary>
    private async Task UpdateHeldAsync(Container container, ContainerUpdateRequest change, CancellationToken cancellationToken)
    {
        ContainerSnapshot before = container.Snapshot;
        if (before.State.Phase is ContainerPhase.Removing or ContainerPhase.Dead)
        {
            throw new EngineException(ErrorKind.Conflict, "container is marked for removal and cannot be \"update\"");
        }

        ContainerSnapshot after = before with { Config = ConfigUpdate.Merge(before.Config, change), HostConfig = ResourceUpdate.Merge(before.HostConfig, change) };
        MountUpdate mounts = MountUpdate.Of(before, change, Lookups);
        PortUpdate ports = new(change);
        after = ports.IsEmpty ? after : ports.Merge(after);
        string path = _services.CgroupPath(container.Snapshot);
        IReadOnlyList<CgroupSetting> former = before.State.IsLive ? _services.Cgroups.Change(path, Limits(before.HostConfig), Limits(after.HostConfig)) : [];
        try
        {
            if (before.State.IsLive && !ports.IsEmpty)
            {
                after = after with { State = before.State with { Attached = await TranslateNetworkAsync(() => _services.ContainerNetworks.ChangePortsAsync(before, ports.Removes, ports.Added)) } };
            }

            if (mounts.IsEmpty)
            {
                await StoreAsync(container, after);
            }
            else
            {
                await UpdateMountsHeldAsync(container, after with { HostConfig = mounts.Merge(after.HostConfig, change.MountsAdd) }, mounts, cancellationToken);
            }
        }
        catch
        {
            await RestorePortsAsync(before, after);
            _services.Cgroups.Restore(path, former);
            throw;
        }
    }

    /// <summary>Publishes again what an update that failed has ended, and ends what it has published.</summary>
    private async Task RestorePortsAsync(ContainerSnapshot before, ContainerSnapshot changed)
    {
        PublishedPort[] former = Published(before), present = Published(changed);
        if (former.Except(present).Any() || present.Except(former).Any())
        {
            await TranslateNetworkAsync(() => _services.ContainerNetworks.ChangePortsAsync(changed, present.Except(former).Contains, PortUpdate.Again(former.Except(present))));
        }

        static PublishedPort[] Published(ContainerSnapshot container) =>
            [.. container.State.Attached.All.SelectMany(entry => entry.Value.ToEndpoint().Ports)];
    }

    /// <summary>
    /// Changes the mounts of a container and stores all that is new of it. While it runs the mounts in question are marked before the first is touched: an
    /// engine that finds the mark takes them off.
    /// </summary>
    private async Task UpdateMountsHeldAsync(Container container, ContainerSnapshot after, MountUpdate update, CancellationToken cancellationToken)
    {
        ContainerSnapshot before = container.Snapshot;
        IReadOnlyList<ContainerMount> acquired = await AcquireMountsAsync(container, update, cancellationToken);
        try
        {
            if (before.State.IsLive)
            {
                ContainerSnapshot marked = before with
                {
                    Mounts = [.. before.Mounts.Except(update.Removed)],
                    State = before.State with { UnsettledMounts = [.. update.Removed, .. acquired] },
                };
                await StoreAsync(container, marked);
                acquired = await ChangeMountsHeldAsync(container, update, acquired);
            }

            await StoreAsync(container, after with { Mounts = update.Merge(before.Mounts, acquired) });
        }
        catch
        {
            if (before.State.IsLive && container.Snapshot.State.UnsettledMounts is not null)
            {
                await StoreAsync(container, before);
            }

            await LetGoAsync(container, acquired);
            throw;
        }

        await LetGoAsync(container, update.Removed);
    }

    /// <summary>Stores a container's record and shows it.</summary>
    private async Task StoreAsync(Container container, ContainerSnapshot snapshot)
    {
        await _services.Data.Containers.ReplaceAsync(ContainerDocuments.ToRow(snapshot), CancellationToken.None);
        container.Publish(snapshot);
    }

    /// <summary>What this host can hold of a container's limits. No limit of processes is a limit here, since it may replace one.</summary>
    private ResourcesSpec Limits(HostConfig host)
    {
        ResourcesSpec limits = SpecResources.Build(host, []);
        return _services.Limits.Discard(limits.Pids is null && host.PidsLimit is not null ? limits with { Pids = new PidsResources(-1) } : limits).Resources;
    }
}
