using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>
/// How the addresses of both families belong together on a network that spans hosts: who has the n-th address of the IPv4 subnet has the n-th of the IPv6 subnet. So hosts that agree on
/// the one agree on the other.
/// </summary>
public sealed record AddressPairing
{
    private readonly UInt128 _ipv4;
    private readonly UInt128 _ipv6;
    private readonly UInt128 _count;

    /// <exception cref="NetworkException">InvalidParameter: the IPv6 subnet has fewer addresses than the IPv4 subnet, or is none.</exception>
    public AddressPairing(IPNetwork ipv4, IPNetwork ipv6)
    {
        int bits = AddressNumber.Bits(AddressFamily.InterNetwork) - ipv4.PrefixLength;
        int longest = AddressNumber.Bits(AddressFamily.InterNetworkV6) - bits;
        if (ipv6.BaseAddress.AddressFamily != AddressFamily.InterNetworkV6 || ipv6.PrefixLength > longest)
        {
            throw new NetworkException(
                NetworkErrorKind.InvalidParameter, $"invalid subnet {ipv6}: a container has the same place in both subnets of a network that spans hosts; beside {ipv4} it is at least a /{longest} of IPv6");
        }

        (Ipv6, _ipv4, _ipv6, _count) = (ipv6, AddressNumber.Of(ipv4.BaseAddress), AddressNumber.Of(ipv6.BaseAddress), UInt128.One << bits);
    }

    public IPNetwork Ipv6 { get; }

    /// <param name="address">Of the IPv4 subnet.</param>
    public IPAddress Ipv6Of(IPAddress address) => AddressNumber.ToAddress(_ipv6 + (AddressNumber.Of(address) - _ipv4), AddressFamily.InterNetworkV6);

    /// <returns>Null for an address that belongs to none of the IPv4 subnet.</returns>
    public IPAddress? Ipv4Of(IPAddress address) =>
        Ipv6.Contains(address) && AddressNumber.Of(address) - _ipv6 is var place && place < _count ? AddressNumber.ToAddress(_ipv4 + place, AddressFamily.InterNetwork) : null;
}
