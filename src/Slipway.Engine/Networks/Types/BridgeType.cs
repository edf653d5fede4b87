using Slipway.Networking;

namespace Slipway.Engine.Networks.Types;

/// <summary>Networks of a bridge each.</summary>
/// <param name="common">The default network, whose bridge others must leave alone; null where there is none.</param>
internal sealed class BridgeType(NetworkHost host, TimeProvider time, NetworkInfo? common) : INetworkType
{
    private const string BridgePrefix = "br-";
    private const int BridgeDigits = 12; // an interface's name has at most 15 bytes

    public string Name => NetworkTypes.Bridge;

    public bool GatewayIsHost => true;

    public NetworkDocument Complete(string id, NetworkDocument network, IReadOnlyCollection<UserNetwork> others)
    {
        string bridge = BridgeSettings.Parse(network.Options, network.Internal).BridgeName ?? BridgePrefix + id[..BridgeDigits];
        return bridge == common?.BridgeName || others.Any(other => other.Document.Bridge == bridge)
            ? throw NetworkErrors.Invalid($"bridge name {bridge} is used by another network")
            : network with { Bridge = bridge };
    }

    public INetworkDriver Open(string id, NetworkDocument network) => new BridgeNetwork(network.ToBridgeOptions(), time, host);
}
