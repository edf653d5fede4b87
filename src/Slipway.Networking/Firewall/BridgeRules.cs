using System.Net;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>What the rules of a network depend on.</summary>
/// <param name="Bridge">The link that has the gateway's address.</param>
/// <param name="Extensions">Further bridges with ports of the network.</param>
internal sealed record BridgePolicy(string Bridge, IPNetwork Subnet, GatewayMode Mode, bool Internal, bool Masquerade, IReadOnlyList<string> TrustedInterfaces, IReadOnlyList<string> Extensions);

/// <summary>What a network has in the table of its engine.</summary>
internal static class BridgeRules
{
    /// <summary>The chain for packets of the network's subnet that leave by some interface.</summary>
    public static string SourceChain(string bridge) => $"from-{bridge}";

    /// <summary>The rules of <see cref="SourceChain"/>.</summary>
    public static IEnumerable<Rule> SourceRules(BridgePolicy policy)
    {
        if (policy is { Masquerade: true, Internal: false, Mode: not GatewayMode.Routed })
        {
            yield return new Rule().OutputInterface(policy.Bridge, negate: true).Masquerade();
        }

        yield return new Rule().OutputInterface(policy.Bridge).Redirected().Masquerade().Because("published port reached from the same network");
    }

    /// <summary>What it has in sets and maps, beside published ports.</summary>
    public static IEnumerable<(string Map, MapElement Element)> Elements(BridgePolicy policy)
    {
        byte[] bridge = Rule.InterfaceBytes(policy.Bridge);
        MapElement Owned(byte[] key) => new(key, []) { Comment = policy.Bridge };

        yield return (FirewallChains.Bridges, Owned(bridge));
        yield return (FirewallChains.Within, Owned([.. bridge, .. bridge]));
        yield return (FirewallChains.Sources, new MapElement(policy.Subnet.BaseAddress.GetAddressBytes(), [], SourceChain(policy.Bridge)) { Comment = policy.Bridge });
        if (After(policy.Subnet) is { } end)
        {
            yield return (FirewallChains.Sources, new MapElement(end, []) { EndsRange = true });
        }

        foreach (string extension in policy.Extensions)
        {
            yield return (FirewallChains.Extensions, Owned(Rule.InterfaceBytes(extension)));
        }

        if (policy.Internal)
        {
            yield return (FirewallChains.Internal, Owned(bridge));
            yield break;
        }

        if (policy.Mode == GatewayMode.NatUnprotected)
        {
            yield break;
        }

        yield return (FirewallChains.Protected, Owned(bridge));
        if (policy.Mode == GatewayMode.Routed)
        {
            yield return (FirewallChains.Routed, Owned(bridge));
        }

        foreach (string trusted in policy.TrustedInterfaces.Distinct())
        {
            yield return (FirewallChains.Trusted, Owned([.. Rule.InterfaceBytes(trusted), .. bridge]));
        }
    }

    /// <summary>The address behind the last of a network; null where there is none.</summary>
    private static byte[]? After(IPNetwork network)
    {
        (UInt128 _, UInt128 last) = AddressNumber.Range(network);
        byte[] address = network.BaseAddress.GetAddressBytes();
        UInt128 highest = UInt128.MaxValue >> (128 - (address.Length * 8));
        return last == highest ? null : AddressNumber.ToAddress(last + 1, network.BaseAddress.AddressFamily).GetAddressBytes();
    }
}
