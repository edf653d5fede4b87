using Slipway.Api.Disk;
using Slipway.Api.Networks;

namespace Slipway.Engine.Networks;

/// <summary>The networks of an engine: bridge, host and none, which always are, and those of users. References are names, ids or unique prefixes of ids.</summary>
public interface INetworks
{
    /// <exception cref="EngineException">InvalidParameter: an unknown filter.</exception>
    List<Network> List(Filters filters);

    /// <exception cref="EngineException">NotFound.</exception>
    Network Inspect(string reference);

    /// <exception cref="EngineException">
    /// Conflict: the name is taken. Forbidden: a name that always is, or a subnet that overlaps another network's. NotFound: no such driver. InvalidParameter.
    /// </exception>
    Task<NetworkCreateResponse> CreateAsync(NetworkCreateRequest request, CancellationToken cancellationToken);

    /// <exception cref="EngineException">NotFound. Forbidden: it always is, or containers are on it.</exception>
    Task RemoveAsync(string reference, CancellationToken cancellationToken);

    /// <summary>Removes the networks no container is on.</summary>
    Task<NetworksPruneReport> PruneAsync(Filters filters, CancellationToken cancellationToken);

    /// <summary>Connects a container, at once if it runs, else with its next start.</summary>
    Task ConnectAsync(string reference, NetworkConnectRequest request, CancellationToken cancellationToken);

    /// <summary>Disconnects a container.</summary>
    Task DisconnectAsync(string reference, NetworkDisconnectRequest request, CancellationToken cancellationToken);
}
