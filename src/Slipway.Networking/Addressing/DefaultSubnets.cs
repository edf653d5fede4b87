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
    /// <summary>
    /// Docker's ranges in networks of 254 addresses, as most have a handful of containers: 172.18.0.0/24 … 172.31.255.0/24, then 192.168.0.0/24 … 192.168.255.0/24. Docker
    /// cuts them into thirty networks.
    /// </summary>
    public static IReadOnlyList<AddressPoolSource> Defaults { get; } =
        [.. Enumerable.Range(18, 14).Select(i => $"172.{i}.0.0/16").Append("192.168.0.0/16").Select(range => new AddressPoolSource(IPNetwork.Parse(range), 24))];

    /// <summary>For the default bridge, which may have more than a thousand containers; Docker's: 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … 192.168.240.0/20.</summary>
    public static IReadOnlyList<AddressPoolSource> ForDefaultBridge { get; } =
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

/// <summary>Addresses that no new network may have.</summary>
/// <param name="By">Whose they are, for an error.</param>
public readonly record struct OccupiedRange(IPNetwork Range, string By);

/// <summary>Where a network without a subnet of its own gets one.</summary>
public static class DefaultSubnets
{
    private const int NamedClashes = 5;

    /// <summary>The first part of the pools of a family that meets none of <paramref name="occupied"/>.</summary>
    /// <exception cref="NetworkException">There is none; it names what is in the way.</exception>
    public static IPNetwork Choose(IReadOnlyList<AddressPoolSource> pools, IEnumerable<OccupiedRange> occupied, AddressFamily family)
    {
        AddressPoolSource[] own = [.. pools.Where(pool => pool.Family == family)];
        OccupiedRange[] taken = [.. occupied.Where(other => other.Range.BaseAddress.AddressFamily == family && other.Range.PrefixLength > 0)];
        foreach (IPNetwork candidate in own.SelectMany(pool => pool.Networks()))
        {
            if (!taken.Any(other => Overlap(other.Range, candidate)))
            {
                return candidate;
            }
        }

        string[] clashes = [.. taken.Where(other => own.Any(pool => Overlap(pool.Base, other.Range))).Select(other => $"{other.Range} ({other.By})").Distinct()];
        string more = clashes.Length > NamedClashes ? $" and {clashes.Length - NamedClashes} more" : "";
        throw new NetworkException(NetworkErrorKind.Exhausted, clashes.Length == 0
            ? "all predefined address pools have been fully subnetted"
            : $"all predefined address pools have been fully subnetted: {string.Join(", ", clashes.Take(NamedClashes))}{more}");
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
    internal static IEnumerable<OccupiedRange> Occupied(RouteSession session) => session.Routes().Select(route => new OccupiedRange(route.Destination, "a route of the host"))
        .Concat(session.Addresses().Select(address => new OccupiedRange(NetworkOf(address.Address, address.PrefixLength), "the host's own")));
}
