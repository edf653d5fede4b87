using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>A range that networks without a subnet of their own are cut from (<c>default-address-pools</c>).</summary>
/// <param name="PrefixLength">Of each network, in bits.</param>
public sealed record AddressPoolSource(IPNetwork Base, int PrefixLength)
{
    /// <summary>Docker's: 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … 192.168.240.0/20.</summary>
    public static IReadOnlyList<AddressPoolSource> Defaults { get; } =
    [
        .. Enumerable.Range(17, 15).Select(i => new AddressPoolSource(IPNetwork.Parse($"172.{i}.0.0/16"), 16)),
        new AddressPoolSource(IPNetwork.Parse("192.168.0.0/16"), 20),
    ];

    internal AddressFamily Family => Base.BaseAddress.AddressFamily;

    /// <summary>
    /// The pools with one of IPv6, where they have none: a /48 of unique local addresses, cut into networks of 64 bits (RFC 4193), which another host has only
    /// by a chance of one in 2^40.
    /// </summary>
    /// <param name="host">What tells this host from others: the same text gives the same range.</param>
    public static IReadOnlyList<AddressPoolSource> WithIpv6(IReadOnlyList<AddressPoolSource> pools, string host)
    {
        if (pools.Any(pool => pool.Family == AddressFamily.InterNetworkV6))
        {
            return pools;
        }

        const int GlobalIdLength = 5;
        byte[] prefix = new byte[16];
        prefix[0] = 0xfd;
        SHA256.HashData(Encoding.UTF8.GetBytes(host)).AsSpan(0, GlobalIdLength).CopyTo(prefix.AsSpan(1));
        return [.. pools, new AddressPoolSource(new IPNetwork(new IPAddress(prefix), 48), 64)];
    }

    internal IEnumerable<IPNetwork> Networks()
    {
        (UInt128 network, UInt128 last) = AddressNumber.Range(Base);
        UInt128 step = UInt128.One << (AddressNumber.Bits(Family) - PrefixLength);
        for (; true; network += step)
        {
            yield return new IPNetwork(AddressNumber.ToAddress(network, Family), PrefixLength);
            if (last - network < step)
            {
                yield break;
            }
        }
    }
}

/// <summary>Where a network without a subnet of its own gets one.</summary>
public static class DefaultSubnets
{
    /// <summary>The first of Docker's default pools that meets none of the host's networks.</summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public static IPNetwork Choose(IEnumerable<IPNetwork> occupied) => Choose(AddressPoolSource.Defaults, occupied, AddressFamily.InterNetwork);

    /// <summary>The first part of the pools of a family that meets none of <paramref name="occupied"/>.</summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public static IPNetwork Choose(IReadOnlyList<AddressPoolSource> pools, IEnumerable<IPNetwork> occupied, AddressFamily family)
    {
        IPNetwork[] taken = [.. occupied.Where(n => n.BaseAddress.AddressFamily == family && n.PrefixLength > 0)];
        foreach (IPNetwork candidate in pools.Where(pool => pool.Family == family).SelectMany(pool => pool.Networks()))
        {
            if (!taken.Any(n => Overlap(n, candidate)))
            {
                return candidate;
            }
        }

        throw new NetworkException(NetworkErrorKind.Exhausted, "all predefined address pools have been fully subnetted");
    }

    public static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);

    /// <summary>The network an interface's address is in.</summary>
    public static IPNetwork NetworkOf(IPAddress address, int prefixLength)
    {
        byte[] bytes = address.GetAddressBytes();
        for (int bit = prefixLength; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    /// <summary>The first address of a network, which its gateway gets.</summary>
    public static IPAddress FirstAddress(IPNetwork network) => FirstAddress(network, network.BaseAddress.AddressFamily);

    /// <summary>The gateway of a network for which none was asked for: the first address of the range that is not reserved.</summary>
    /// <exception cref="NetworkException">All are.</exception>
    public static IPAddress ChooseGateway(IPNetwork subnet, IPNetwork? range, IReadOnlyList<IPAddress> reserved) =>
        new AddressPool(subnet, subnet.BaseAddress, range, reserved).Allocate("gateway", requested: null);

    private static IPAddress FirstAddress(IPNetwork network, AddressFamily family) => AddressNumber.ToAddress(
        AddressNumber.Of(network.BaseAddress) + (network.PrefixLength >= AddressNumber.Bits(family) - 1 ? (UInt128)0 : 1), family);

    /// <summary>What the host has routes into, or addresses of.</summary>
    internal static IEnumerable<IPNetwork> Occupied(RouteSession session) =>
        session.Routes().Select(route => route.Destination).Concat(session.Addresses().Select(a => NetworkOf(a.Address, a.PrefixLength)));
}
