using Slipway.Api.Networks;
using Slipway.Networking;

namespace Slipway.Engine.Networks.Types;

/// <summary>Networks that other engines have too: what is agreed on with them, and what they are told.</summary>
internal interface ISharedNetworks
{
    /// <summary>The hosts that are there, for inspect.</summary>
    List<NetworkPeer> Hosts { get; }

    /// <summary>Gets the agreement of the others, makes the network here, and tells them. After a failure nothing is left.</summary>
    /// <param name="make">Makes it, with what was agreed on.</param>
    /// <exception cref="EngineException">Conflict, Forbidden: another network has its name or addresses. Unavailable: too few engines answer.</exception>
    Task<UserNetwork> CreateAsync(string id, string name, NetworkDocument document, Func<NetworkDocument, Task<UserNetwork>> make, CancellationToken cancellationToken);

    /// <summary>Whether containers of another engine, as far as one is reached, are on a network.</summary>
    Task<bool> IsUsedElsewhereAsync(string id);

    /// <summary>A network is removed here: the others are to remove it too.</summary>
    Task RemovedAsync(string id);

    /// <summary>Tells the others of a container, in order with <see cref="Withdraw"/>; does not wait for them.</summary>
    void Announce(string id, EndpointInfo endpoint, IReadOnlyList<string> names);

    /// <summary>Tells the others that a container is no more on its network.</summary>
    void Withdraw(string endpointId);
}
