using System.Net;
using System.Net.Sockets;
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
    public void The_highest_free_address_is_lent_while_there_are_others()
    {
        AddressPool pool = new(IPNetwork.Parse("10.0.0.0/24"), IPAddress.Parse("10.0.0.1"), IPNetwork.Parse("10.0.0.16/28"), [IPAddress.Parse("10.0.0.31")]);
        Assert.Equal("10.0.0.30", pool.Lend("moment").ToString());
        Assert.Equal("10.0.0.16", pool.Allocate("a", null).ToString());
        pool.Release(IPAddress.Parse("10.0.0.30"), "moment");
        Assert.Equal("10.0.0.30", pool.Lend("again").ToString());

        // Of fifteen three are given now, and at eight free ones the last is lent.
        Assert.Equal(["10.0.0.17", "10.0.0.18", "10.0.0.19", "10.0.0.20", "10.0.0.21"], Enumerable.Range(0, 5).Select(i => pool.Allocate($"{i}", null).ToString()));
        Assert.Equal("10.0.0.29", pool.Lend("last").ToString());
        Assert.Equal(NetworkErrorKind.Exhausted, Assert.Throws<NetworkException>(() => pool.Lend("none")).Kind);
        Assert.Equal("10.0.0.22", pool.Allocate("more", null).ToString());
        Assert.Equal("fd00::ffff:ffff:ffff:ffff", Pool("fd00::/64", "fd00::1").Lend("six").ToString());
        Assert.Throws<NetworkException>(() => Pool("10.0.0.8/30", "10.0.0.9").Lend("few"));
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
    public void The_default_bridge_gets_the_first_of_Docker_s_subnets_that_meets_no_network_of_the_host()
    {
        Assert.Equal("172.17.0.0/16", Bridge("0.0.0.0/0", "fe80::/64"));
        Assert.Equal("172.20.0.0/16", Bridge("172.17.5.0/24", "172.18.0.0/15"));
        Assert.Equal("192.168.16.0/20", Bridge("172.16.0.0/12", "192.168.1.0/24"));
        Assert.Throws<NetworkException>(() => Bridge("172.16.0.0/12", "192.168.0.0/16"));

        static string Bridge(params string[] occupied) => Choose(AddressPoolSource.ForDefaultBridge, occupied);
    }

    [Fact]
    public void Networks_get_subnets_of_254_addresses_that_meet_no_network_of_the_host()
    {
        Assert.Equal("172.18.0.0/24", Network("172.17.0.0/16"));
        Assert.Equal("172.18.2.0/24", Network("172.18.0.0/24", "172.18.1.128/25"));
        Assert.Equal("172.20.0.0/24", Network("172.16.0.0/14"));
        Assert.Equal("192.168.1.0/24", Network("172.16.0.0/12", "192.168.0.64/26"));

        static string Network(params string[] occupied) => Choose(AddressPoolSource.Defaults, occupied);
    }

    [Fact]
    public void An_exhausted_pool_names_what_is_in_the_way()
    {
        AddressPoolSource[] pools = [new(IPNetwork.Parse("10.1.0.0/23"), 24)];
        OccupiedRange[] occupied =
        [
            new(IPNetwork.Parse("10.1.0.0/24"), "network web"), new(IPNetwork.Parse("10.1.1.128/25"), "a route of the host"), new(IPNetwork.Parse("10.1.1.128/25"), "a route of the host"),
            new(IPNetwork.Parse("10.9.0.0/24"), "network elsewhere"), new(IPNetwork.Parse("0.0.0.0/0"), "a route of the host"),
        ];
        Assert.Equal(
            "all predefined address pools have been fully subnetted: 10.1.0.0/24 (network web), 10.1.1.128/25 (a route of the host)",
            Assert.Throws<NetworkException>(() => DefaultSubnets.Choose(pools, occupied, AddressFamily.InterNetwork)).Message);
        OccupiedRange[] many = [.. Enumerable.Range(0, 8).Select(i => new OccupiedRange(IPNetwork.Parse($"10.1.{i / 4}.{i % 4 * 64}/26"), $"network n{i}"))];
        Assert.EndsWith("10.1.1.0/26 (network n4) and 3 more", Assert.Throws<NetworkException>(() => DefaultSubnets.Choose(pools, many, AddressFamily.InterNetwork)).Message, StringComparison.Ordinal);
        Assert.Equal(
            "all predefined address pools have been fully subnetted", Assert.Throws<NetworkException>(() => DefaultSubnets.Choose([], [], AddressFamily.InterNetwork)).Message);
    }

    [Fact]
    public void The_network_of_an_address_is_its_first_bits() =>
        Assert.Equal("10.20.16.0/20", DefaultSubnets.NetworkOf(IPAddress.Parse("10.20.30.40"), 20).ToString());

    private static string Choose(IReadOnlyList<AddressPoolSource> pools, string[] occupied) =>
        DefaultSubnets.Choose(pools, occupied.Select(range => new OccupiedRange(IPNetwork.Parse(range), "the host's")), AddressFamily.InterNetwork).ToString();
}
