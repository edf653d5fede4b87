using Slipway.Networking;

namespace Slipway.Engine.Networks.Types;

/// <summary>A kind of network, by the name of its driver in the API: what its options mean, and how its networks are made.</summary>
internal interface INetworkType
{
    /// <summary>As in <c>docker network create --driver</c>.</summary>
    string Name { get; }

    /// <summary>Whether the gateway of such a network is an address of this host, by which containers reach it.</summary>
    bool GatewayIsHost { get; }

    /// <summary>How networks of the type are agreed on with other engines; null where they are this engine's alone.</summary>
    ISharedNetworks? Shared => null;

    /// <summary>What such networks without an IPv4 subnet of their own are cut from; null: what those of the engine are.</summary>
    IReadOnlyList<AddressPoolSource>? AddressPools => null;

    /// <summary>Checks what is asked for, and chooses what it leaves open. Nothing is made.</summary>
    /// <param name="network">With its addresses.</param>
    /// <param name="others">The networks there are.</param>
    /// <returns>What is stored of the network, from which every engine makes it.</returns>
    /// <exception cref="EngineException">InvalidParameter: an option that cannot be meant. Forbidden: what another network has.</exception>
    NetworkDocument Complete(string id, NetworkDocument network, IReadOnlyCollection<UserNetwork> others);

    /// <summary>The driver of a network. Nothing is made yet.</summary>
    /// <exception cref="NetworkException">InvalidParameter: the document cannot be meant.</exception>
    INetworkDriver Open(string id, NetworkDocument network);
}
