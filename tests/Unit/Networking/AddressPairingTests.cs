using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Networking;

public sealed class AddressPairingTests
{
    [Theory]
    [InlineData("10.0.0.0/24", "fd00::/64", "10.0.0.66", "fd00::42")]
    [InlineData("10.0.0.0/8", "fd00:1::/104", "10.255.255.254", "fd00:1::ff:fffe")]
    [InlineData("10.1.2.128/25", "fd00:2::ff00/121", "10.1.2.129", "fd00:2::ff01")]
    public void An_address_has_the_same_place_in_both_subnets(string ipv4, string ipv6, string address, string paired)
    {
        AddressPairing pairing = new(IPNetwork.Parse(ipv4), IPNetwork.Parse(ipv6));
        Assert.Equal(IPAddress.Parse(paired), pairing.Ipv6Of(IPAddress.Parse(address)));
        Assert.Equal(IPAddress.Parse(address), pairing.Ipv4Of(IPAddress.Parse(paired)));
    }

    [Theory]
    [InlineData("fd00::1:0")]
    [InlineData("fd00::100")]
    [InlineData("fd01::1")]
    [InlineData("10.0.0.1")]
    public void Others_belong_to_none(string address) => Assert.Null(new AddressPairing(IPNetwork.Parse("10.0.0.0/24"), IPNetwork.Parse("fd00::/64")).Ipv4Of(IPAddress.Parse(address)));

    [Theory]
    [InlineData("fd00::/121")]
    [InlineData("10.1.0.0/16")]
    public void A_subnet_without_room_or_of_the_wrong_family_is_refused(string ipv6) =>
        Assert.Equal(NetworkErrorKind.InvalidParameter, Assert.Throws<NetworkException>(() => new AddressPairing(IPNetwork.Parse("10.0.0.0/24"), IPNetwork.Parse(ipv6))).Kind);
}
