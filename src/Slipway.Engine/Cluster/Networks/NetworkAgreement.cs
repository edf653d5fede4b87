using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Slipway.Engine.Cluster.Votes;
using Slipway.Engine.Networks;
using Slipway.Engine.Networks.Types;
using Slipway.Networking;

namespace Slipway.Engine.Cluster.Networks;

/// <summary>Gets the cluster's agreement on a new network: on its name, number and subnet, and on this host's first block of it, all at once.</summary>
internal sealed class NetworkAgreement(ClusterNode node, NetworkHost host, string id, string name)
{
    /// <summary>What was chosen, not asked for, is chosen anew where another host was faster.</summary>
    private const int Attempts = 6;

    private readonly List<OccupiedRange> _taken = [];

    /// <returns>The network with what was agreed on.</returns>
    /// <exception cref="EngineException">Conflict, Forbidden: another network has its name or addresses. Unavailable: too few members answer.</exception>
    public async Task<NetworkDocument> ReachAsync(NetworkDocument wanted, CancellationToken cancellationToken)
    {
        bool isNumberAsked = wanted.Options.ContainsKey(OverlayType.NumberOption);
        NetworkDocument document = wanted;
        for (int attempt = 1; ; attempt++)
        {
            NetworkSubnet subnet = document.Ipv4 ?? throw NetworkErrors.Invalid("a network of the driver overlay needs IPv4");
            OverlayDocument overlay = document.Overlay ?? throw NetworkErrors.Invalid("a network of the driver overlay needs a number");
            int first = await node.UseAsync(state => state.Members.ToList().IndexOf(state.Self), cancellationToken);
            try
            {
                Claim[] ipv6 = document.Ipv6 is { } further ? [Claim.Subnet(id, further.Range)] : [];
                await node.ClaimAsync(
                    [Claim.Name(id, name), Claim.Number(id, overlay.Number), Claim.Subnet(id, subnet.Range), Claim.Block(id, first), .. ipv6], $"network {name}", cancellationToken);
                return document with { Options = new Dictionary<string, string>(document.Options) { [OverlayType.NumberOption] = $"{overlay.Number}" } };
            }
            catch (ClaimRefusedException error)
            {
                document = await AnotherAsync(document, error.Refusal, isNumberAsked, attempt, cancellationToken);
            }
        }
    }

    public Task GiveBackAsync() => node.UseAsync(
        state =>
        {
            state.Release(claim => claim.Network == id);
            return true;
        },
        CancellationToken.None);

    private async Task<NetworkDocument> AnotherAsync(NetworkDocument document, Refusal refusal, bool isNumberAsked, int attempt, CancellationToken cancellationToken)
    {
        Claim refused = new(refusal.Key, refusal.Network);
        NetworkSubnet subnet = document.Ipv4!;
        if (document.Ipv6 is { } ipv6 && refused.Key == Claim.Subnet(id, ipv6.Range).Key)
        {
            // What is not asked for is of a range that no other host chooses (RFC 4193).
            throw NetworkErrors.Overlaps();
        }

        if (refused.IsSubnet)
        {
            _taken.Add(new OccupiedRange(subnet.Range, "another network of the cluster"));
            return subnet.IsOwn || attempt >= Attempts ? throw NetworkErrors.Overlaps() : document with { Ipv4 = await ChooseAsync(cancellationToken) };
        }

        if (refused.IsName)
        {
            // Two that ask at once may have half of the votes each: both give theirs back, and the one that comes first the next time gets them.
            if (attempt >= Attempts || await node.UseAsync(state => state.Networks.Any(record => record.Id == refusal.Network), cancellationToken))
            {
                throw NetworkErrors.NameInUse(name);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(RandomNumberGenerator.GetInt32(20, 200) * attempt), cancellationToken);
            return document;
        }

        int number = document.Overlay!.Number;
        if (attempt >= Attempts || isNumberAsked)
        {
            throw new EngineException(ErrorKind.Forbidden, $"VXLAN number {number} is used by another network of the cluster");
        }

        return document with { Overlay = document.Overlay with { Number = OverlayType.ChooseNumber() } };
    }

    private async Task<NetworkSubnet> ChooseAsync(CancellationToken cancellationToken)
    {
        try
        {
            IPNetwork subnet = await host.ChooseSubnetAsync([node.Configuration.AddressPool], _taken, AddressFamily.InterNetwork, cancellationToken);
            return new NetworkSubnet { Subnet = subnet.ToString(), Gateway = DefaultSubnets.FirstAddress(subnet).ToString() };
        }
        catch (NetworkException error)
        {
            throw NetworkErrors.Invalid(error.Message);
        }
    }
}
