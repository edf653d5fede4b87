using System.Net;
using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Networks;
using Slipway.Networking;

namespace Slipway.Engine.Cluster.Networks;

/// <summary>What one network here knows of containers on other members: where packets for them go, and their names.</summary>
internal sealed class RemoteContainers(UserNetwork network)
{
    private readonly Dictionary<string, EndpointRecord> _named = new(StringComparer.Ordinal);

    private readonly AddressPairing? _pairing =
        network.Document is { Ipv4: { } ipv4, Ipv6: { } ipv6 } ? new AddressPairing(ipv4.Range, ipv6.Range) : null;

    public UserNetwork Network => network;

    /// <summary>
    /// What of the members' words is believed: an address must be of a block that is the member's own, and a hardware address of nobody else, a container here above all;
    /// else packets for others would go to it.
    /// </summary>
    /// <param name="own">Containers here.</param>
    public List<(string Member, EndpointRecord Endpoint)> Select(ClusterState state, IReadOnlyCollection<EndpointRecord> own)
    {
        if (network.Document is not { Ipv4: { } subnet, Overlay: { } overlay })
        {
            return [];
        }

        HashSet<string> addresses = [.. own.Select(endpoint => endpoint.Address)];
        HashSet<string> hardware = [.. own.Select(endpoint => Normal(endpoint.Hardware))];
        List<(string, EndpointRecord)> selected = [];
        foreach ((string member, EndpointRecord endpoint) in state.Endpoints.Where(known => known.Endpoint.Network == network.Id))
        {
            if (OverlayBlocks.ClaimOf(network.Id, subnet.Range, overlay.BlockPrefix, IPAddress.Parse(endpoint.Address)) is { } block && state.OwnerOf(block) == member
                && !addresses.Contains(endpoint.Address) && !hardware.Contains(Normal(endpoint.Hardware)))
            {
                addresses.Add(endpoint.Address);
                hardware.Add(Normal(endpoint.Hardware));
                selected.Add((member, endpoint));
            }
        }

        return selected;
    }

    /// <summary>Makes them known here.</summary>
    public async Task ApplyAsync(IReadOnlyList<(string Member, EndpointRecord Endpoint)> containers, Func<IPAddress, bool> isUncertain, CancellationToken cancellationToken)
    {
        OverlayPeer[] peers = [.. containers.Select(known => PeerOf(known.Member, known.Endpoint))];
        await ((OverlayNetwork)network.Driver).SetPeersAsync(peers, isUncertain, cancellationToken);

        // By member and id: an id alone could be that of a container here.
        Dictionary<string, EndpointRecord> wanted = containers.ToDictionary(known => $"{known.Member}/{known.Endpoint.Id}", known => known.Endpoint, StringComparer.Ordinal);
        foreach (string gone in _named.Keys.Except(wanted.Keys).ToArray())
        {
            _named.Remove(gone);
            network.Names.Remove(gone);
        }

        foreach ((string key, EndpointRecord endpoint) in wanted.Where(known => _named.GetValueOrDefault(known.Key) != known.Value))
        {
            _named[key] = endpoint;
            IPAddress address = IPAddress.Parse(endpoint.Address);
            network.Names.Set(key, endpoint.Names, [address, .. _pairing is null ? (IPAddress[])[] : [_pairing.Ipv6Of(address)]]);
        }
    }

    private OverlayPeer PeerOf(string member, EndpointRecord endpoint)
    {
        IPAddress address = IPAddress.Parse(endpoint.Address);
        return new OverlayPeer(address, Normal(endpoint.Hardware), IPAddress.Parse(member), _pairing?.Ipv6Of(address));
    }

    private static string Normal(string hardware) => hardware.Replace('-', ':').ToLowerInvariant();
}
