using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Networks;
using Slipway.Kernel;
using Slipway.Networking;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    /// <summary>Connects a container to a network: at once if it runs, else with its next start.</summary>
    internal async Task ConnectAsync(string reference, string network, EndpointSettings? settings, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        ContainerSnapshot before = container.Snapshot;
        RefuseRemoved(before);
        string mode = before.HostConfig.NetworkMode;
        if (network == NamespaceModes.Host)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "container cannot be disconnected from host network or connected to host network");
        }

        if (mode == NamespaceModes.Host || NamespaceModes.SharedWith(mode) is not null)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "container sharing network namespace with another container or host cannot be connected to any other network");
        }

        if ((network == NamespaceModes.None) != before.RequestedEndpoints.ContainsKey(NamespaceModes.None) && before.RequestedEndpoints.Count > 0)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "container cannot be connected to multiple networks with one of the networks in private (none) mode");
        }

        bool connected = before.State.IsLive ? before.State.Attached.Find(network) is not null : before.RequestedEndpoints.ContainsKey(network) && before.State.IsRunning;
        if (connected || (network == NamespaceModes.None && before.RequestedEndpoints.ContainsKey(network)))
        {
            throw new EngineException(ErrorKind.Forbidden, $"endpoint with name {before.Name} already exists in network {network}");
        }

        EndpointValidation.Validate(network, _services.Networks.FindByName(network), settings);
        ContainerSnapshot wanted = before with
        {
            RequestedEndpoints = new Dictionary<string, EndpointSettings?>(before.RequestedEndpoints) { [network] = Requested(settings) },
        };
        if (before.State.IsLive && network != NamespaceModes.None)
        {
            wanted = wanted with { State = before.State with { Attached = await TranslateNetworkAsync(() => _services.ContainerNetworks.ConnectAsync(wanted, network, container.Pidfd)) } };
        }

        await StoreNetworksAsync(container, wanted);
        if (before.State.IsLive)
        {
            NetworkFiles.Update(_services.ContainerDirectory(container.Id), before, wanted, _services.HostGateways);
            PublishNetwork(wanted, "connect", network);
        }
    }

    /// <summary>Disconnects a container from a network.</summary>
    /// <param name="force">Also one that is not there any more: nothing is left to do then.</param>
    internal async Task DisconnectAsync(string reference, string network, bool force, CancellationToken cancellationToken)
    {
        Container container = Find(reference, force);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        ContainerSnapshot before = container.Snapshot;
        RefuseRemoved(before);
        if (network == NamespaceModes.Host && before.HostConfig.NetworkMode == NamespaceModes.Host && before.State.IsRunning)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "container cannot be disconnected from host network or connected to host network");
        }

        if (!before.RequestedEndpoints.ContainsKey(network))
        {
            throw new EngineException(ErrorKind.System, $"container {container.Id} is not connected to network {network}");
        }

        ContainerSnapshot wanted = before with
        {
            RequestedEndpoints = before.RequestedEndpoints.Where(entry => entry.Key != network).ToDictionary(entry => entry.Key, entry => entry.Value),
        };
        if (before.State.IsLive)
        {
            wanted = wanted with { State = before.State with { Attached = await TranslateNetworkAsync(() => _services.ContainerNetworks.DisconnectAsync(before, network, container.Pidfd)) } };
        }

        await StoreNetworksAsync(container, wanted);
        if (before.State.IsLive)
        {
            NetworkFiles.Update(_services.ContainerDirectory(container.Id), before, wanted, _services.HostGateways);
        }

        PublishNetwork(before, "disconnect", network);
    }

    /// <summary>What the API shows of an endpoint is not what was asked for.</summary>
    private static EndpointSettings Requested(EndpointSettings? settings) => settings is null ? new EndpointSettings() : new EndpointSettings
    {
        IPAMConfig = settings.IPAMConfig,
        Links = settings.Links,
        Aliases = settings.Aliases,
        MacAddress = settings.MacAddress,
        DriverOpts = settings.DriverOpts,
        GwPriority = settings.GwPriority,
    };

    private static void RefuseRemoved(ContainerSnapshot container)
    {
        if (container.State.Phase is ContainerPhase.Removing or ContainerPhase.Dead)
        {
            throw new EngineException(ErrorKind.Conflict, $"container {container.Id} is marked for removal and cannot be connected or disconnected to the network");
        }
    }

    private static async Task<AttachedNetworks> TranslateNetworkAsync(Func<Task<AttachedNetworks>> change)
    {
        try
        {
            return await change();
        }
        catch (NetworkException exception)
        {
            throw new EngineException(exception.Kind == NetworkErrorKind.InvalidParameter ? ErrorKind.InvalidParameter : ErrorKind.System, exception.Message, exception);
        }
        catch (Exception exception) when (exception is KernelException or IOException)
        {
            throw new EngineException(ErrorKind.System, $"failed to set up container networking: {exception.Message}", exception);
        }
    }

    private Container Find(string reference, bool force)
    {
        try
        {
            return _index.Resolve(reference);
        }
        catch (EngineException exception) when (force && exception.Kind == ErrorKind.NotFound)
        {
            throw new EngineException(ErrorKind.NotFound, $"endpoint {reference} not found", exception);
        }
    }

    /// <summary>Shows and stores what is so already: should the storing fail, the next engine takes the network away again.</summary>
    private async Task StoreNetworksAsync(Container container, ContainerSnapshot changed)
    {
        container.Publish(changed);
        await _services.Data.Containers.UpdateConfigAsync(
            container.Id, hostConfig: null, JsonSerializer.SerializeToUtf8Bytes(changed.RequestedEndpoints, StateJson.Default.Endpoints), CancellationToken.None);
        await StoreStateAsync(container);
    }
}
