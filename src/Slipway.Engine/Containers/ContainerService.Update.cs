using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Update;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;
using Slipway.Storage;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task<ContainerUpdateResponse> UpdateAsync(string reference, ContainerUpdateRequest change, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        ResourceValidation.Validate(change, _host.OnlineCpus, _host.OnlineNodes, forUpdate: true);
        if (change.RestartPolicy.Name.Length > 0)
        {
            HostConfigValidation.ValidateRestart(new HostConfig { RestartPolicy = change.RestartPolicy });
            HostConfigValidation.RequireHealthCheck(container.Snapshot.Config, change.RestartPolicy);
        }

        IReadOnlyList<string> warnings = _services.Limits.Discard(SpecResources.Build(change, [])).Warnings;
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        try
        {
            await UpdateHeldAsync(container, change);
        }
        catch (Exception exception) when (exception is EngineException or KernelException or ConfinementException or StorageException)
        {
            throw new EngineException(
                (exception as EngineException)?.Kind ?? ErrorKind.System, $"Cannot update container {container.Id}: {exception.Message}", exception);
        }

        _events.Publish(container.Snapshot, "update");
        return new ContainerUpdateResponse(warnings.Count > 0 ? warnings : null);
    }

    /// <summary>Changes the kernel's limits, then the record of them; where either fails, both are as before.</summary>
    private async Task UpdateHeldAsync(Container container, ContainerUpdateRequest change)
    {
        ContainerSnapshot before = container.Snapshot;
        if (before.State.Phase is ContainerPhase.Removing or ContainerPhase.Dead)
        {
            throw new EngineException(ErrorKind.Conflict, "container is marked for removal and cannot be \"update\"");
        }

        HostConfig merged = ResourceUpdate.Merge(before.HostConfig, change);
        string path = _services.CgroupPath(container.Id);
        IReadOnlyList<CgroupSetting> former = before.State.IsLive ? _services.Cgroups.Change(path, Limits(before.HostConfig), Limits(merged)) : [];
        try
        {
            await _services.Data.Containers.UpdateConfigAsync(
                container.Id, JsonSerializer.SerializeToUtf8Bytes(merged, StateJson.Default.HostConfig), networking: null, CancellationToken.None);
        }
        catch
        {
            _services.Cgroups.Restore(path, former);
            throw;
        }

        container.Publish(before with { HostConfig = merged });
    }

    /// <summary>What this host can hold of a container's limits. No limit of processes is a limit here, since it may replace one.</summary>
    private ResourcesSpec Limits(HostConfig host)
    {
        ResourcesSpec limits = SpecResources.Build(host, []);
        return _services.Limits.Discard(limits.Pids is null && host.PidsLimit is not null ? limits with { Pids = new PidsResources(-1) } : limits).Resources;
    }
}
