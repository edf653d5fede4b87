using System.Net;
using System.Net.Sockets;
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

    internal IEnumerable<IPNetwork> Networks()
    {
        ulong first = AddressNumber.Of(Base.BaseAddress);
        ulong step = 1UL << (32 - PrefixLength);
        ulong end = first + (1UL << (32 - Base.PrefixLength));
        for (ulong network = first; network < end; network += step)
        {
            yield return new IPNetwork(AddressNumber.ToAddress((uint)network), PrefixLength);
        }
    }
}

/// <summary>Where a network without a subnet of its own gets one.</summary>
public static class DefaultSubnets
{
    /// <summary>The first of Docker's default pools that meets none of the host's networks.</summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public static IPNetwork Choose(IEnumerable<IPNetwork> occupied) => Choose(AddressPoolSource.Defaults, occupied);

    /// <summary>The first part of the pools that meets none of <paramref name="occupied"/>.</summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public static IPNetwork Choose(IReadOnlyList<AddressPoolSource> pools, IEnumerable<IPNetwork> occupied)
    {
        IPNetwork[] taken = [.. occupied.Where(n => n.BaseAddress.AddressFamily == AddressFamily.InterNetwork && n.PrefixLength > 0)];
        foreach (IPNetwork candidate in pools.SelectMany(pool => pool.Networks()))
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
    public static IPAddress FirstAddress(IPNetwork network) => AddressNumber.ToAddress(AddressNumber.Of(network.BaseAddress) + (network.PrefixLength >= 31 ? 0u : 1));

    /// <summary>The gateway of a network for which none was asked for: the first address of the range that is not reserved.</summary>
    /// <exception cref="NetworkException">All are.</exception>
    public static IPAddress ChooseGateway(IPNetwork subnet, IPNetwork? range, IReadOnlyList<IPAddress> reserved) =>
        new AddressPool(subnet, subnet.BaseAddress, range, reserved).Allocate("gateway", requested: null);

    /// <summary>What the host has routes into, or addresses of.</summary>
    internal static IEnumerable<IPNetwork> Occupied(RouteSession session) =>
        session.Routes().Select(route => route.Destination).Concat(session.Addresses().Select(a => NetworkOf(a.Address, a.PrefixLength)));
}
