using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Networking;

public sealed class AddressPoolTests
{
    private static AddressPool Pool(string subnet, string gateway) => new(IPNetwork.Parse(subnet), IPAddress.Parse(gateway));

    [Fact]
    public void The_lowest_free_address_is_given()
    {
        AddressPool pool = Pool("10.0.0.0/24", "10.0.0.1");
        Assert.Equal("10.0.0.2", pool.Allocate("a", null).ToString());
        Assert.Equal("10.0.0.3", pool.Allocate("b", null).ToString());
        pool.Release(IPAddress.Parse("10.0.0.2"), "a");
        Assert.Equal("10.0.0.2", pool.Allocate("c", null).ToString());
        Assert.Equal("10.0.0.4", pool.Allocate("d", null).ToString());
    }

    [Fact]
    public void All_but_network_broadcast_and_gateway_are_given_and_then_it_is_exhausted()
    {
        AddressPool pool = Pool("10.0.0.8/29", "10.0.0.11");
        string[] given = [.. Enumerable.Range(0, 5).Select(i => pool.Allocate($"{i}", null).ToString())];
        Assert.Equal(["10.0.0.9", "10.0.0.10", "10.0.0.12", "10.0.0.13", "10.0.0.14"], given);
        NetworkException e = Assert.Throws<NetworkException>(() => pool.Allocate("x", null));
        Assert.Equal(NetworkErrorKind.Exhausted, e.Kind);
        pool.Release(IPAddress.Parse("10.0.0.14"), "4");
        Assert.Equal("10.0.0.14", pool.Allocate("y", null).ToString());
        Assert.Throws<NetworkException>(() => pool.Allocate("z", null));
    }

    [Fact]
    public void The_end_of_the_address_space_is_no_wrap_around()
    {
        AddressPool pool = Pool("255.255.255.252/30", "255.255.255.253");
        Assert.Equal("255.255.255.254", pool.Allocate("a", null).ToString());
        Assert.Throws<NetworkException>(() => pool.Allocate("b", null));
    }

    [Fact]
    public void A_reserved_address_is_given_to_nobody_else()
    {
        AddressPool pool = Pool("10.0.0.0/24", "10.0.0.1");
        pool.Reserve(IPAddress.Parse("10.0.0.2"), "a");
        pool.Reserve(IPAddress.Parse("10.0.0.2"), "a");
        Assert.Equal(NetworkErrorKind.Conflict, Assert.Throws<NetworkException>(() => pool.Reserve(IPAddress.Parse("10.0.0.2"), "b")).Kind);
        Assert.Equal("10.0.0.3", pool.Allocate("b", null).ToString());

        // Only its owner frees it.
        pool.Release(IPAddress.Parse("10.0.0.2"), "b");
        Assert.Throws<NetworkException>(() => pool.Allocate("c", IPAddress.Parse("10.0.0.2")));
    }

    [Theory]
    [InlineData("10.0.0.0")]
    [InlineData("10.0.0.255")]
    [InlineData("10.0.1.2")]
    [InlineData("fd00::2")]
    public void What_is_not_in_the_subnet_is_refused(string address) =>
        Assert.Equal(NetworkErrorKind.InvalidParameter, Assert.Throws<NetworkException>(() => Pool("10.0.0.0/24", "10.0.0.1").Allocate("a", IPAddress.Parse(address))).Kind);

    [Fact]
    public void The_first_default_subnet_that_meets_no_network_of_the_host_is_chosen()
    {
        Assert.Equal("172.17.0.0/16", DefaultSubnets.Choose([IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("fe80::/64")]).ToString());
        Assert.Equal("172.20.0.0/16", DefaultSubnets.Choose([IPNetwork.Parse("172.17.5.0/24"), IPNetwork.Parse("172.18.0.0/15")]).ToString());
        Assert.Equal("192.168.16.0/20", DefaultSubnets.Choose([IPNetwork.Parse("172.16.0.0/12"), IPNetwork.Parse("192.168.1.0/24")]).ToString());
        Assert.Throws<NetworkException>(() => DefaultSubnets.Choose([IPNetwork.Parse("172.16.0.0/12"), IPNetwork.Parse("192.168.0.0/16")]));
        Assert.Equal("10.20.16.0/20", DefaultSubnets.NetworkOf(IPAddress.Parse("10.20.30.40"), 20).ToString());
    }
}
