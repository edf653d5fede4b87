using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>Where a network without a subnet of its own gets one: Docker's default address pools.</summary>
internal static class DefaultSubnets
{
    /// <summary>172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … 192.168.240.0/20.</summary>
    public static IEnumerable<IPNetwork> All =>
        Enumerable.Range(17, 15).Select(i => Network($"172.{i}.0.0", 16))
            .Concat(Enumerable.Range(0, 16).Select(i => Network($"192.168.{i * 16}.0", 20)));

    /// <summary>The first that meets none of the host's networks.</summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public static IPNetwork Choose(IEnumerable<IPNetwork> occupied)
    {
        IPNetwork[] taken = [.. occupied.Where(n => n.BaseAddress.AddressFamily == AddressFamily.InterNetwork && n.PrefixLength > 0)];
        foreach (IPNetwork candidate in All)
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

    private static IPNetwork Network(string address, int prefixLength) => new(IPAddress.Parse(address), prefixLength);
}
