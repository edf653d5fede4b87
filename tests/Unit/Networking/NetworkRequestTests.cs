using System.Net;
using System.Net.Sockets;
using Slipway.Api.Networks;
using Slipway.Engine;
using Slipway.Engine.Networks;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Networking;

/// <summary>What requests for networks ask for, and which are refused.</summary>
public sealed class NetworkRequestTests
{
    [Theory]
    [InlineData("nonsense", null, null, "invalid subnet nonsense: invalid CIDR block notation")]
    [InlineData("10.0.0.0/33", null, null, "invalid subnet 10.0.0.0/33: invalid CIDR block notation")]
    [InlineData("10.0.0.1/24", null, null, "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24")]
    [InlineData("10.0.0.0/31", null, null, "invalid subnet 10.0.0.0/31: the prefix must have 8 to 30 bits")]
    [InlineData("10.0.0.0/24", "10.0.1.1", null, "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address")]
    [InlineData("10.0.0.0/24", "x", null, "invalid gateway x: invalid address")]
    [InlineData("10.0.0.0/24", null, "10.0.1.0/25", "invalid ip-range 10.0.1.0/25: parent subnet 10.0.0.0/24 doesn't contain ip-range")]
    [InlineData("10.0.0.0/24", null, "10.0.0.0/16", "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24")]
    [InlineData("10.0.0.0/24", null, "10.0.0.1/25", "invalid ip-range 10.0.0.1/25: it should be 10.0.0.0/25")]
    [InlineData("10.0.0.0/24", null, "fd00::/80", "invalid ip-range fd00::/80: parent subnet is an IPv4 block")]
    [InlineData("10.0.0.0/24", "fd00::1", null, "invalid gateway fd00::1: parent subnet is an IPv4 block")]
    [InlineData("fd00:1::1/64", null, null, "invalid subnet fd00:1::1/64: it should be fd00:1::/64")]
    [InlineData("fd00:1::/64", "fd00:2::1", null, "invalid gateway fd00:2::1: parent subnet fd00:1::/64 doesn't contain this address")]
    [InlineData("fd00:1::/64", "10.0.0.1", null, "invalid gateway 10.0.0.1: parent subnet is an IPv6 block")]
    [InlineData("fd00:1::/64", null, "fd00:1::/48", "invalid ip-range fd00:1::/48: CIDR block is bigger than its parent subnet fd00:1::/64")]
    [InlineData("fd00:1::/129", null, null, "invalid subnet fd00:1::/129: invalid CIDR block notation")]
    [InlineData("fd00:1::/127", null, null, "invalid subnet fd00:1::/127: the prefix must have 8 to 126 bits")]
    [InlineData("ff00::/16", null, null, "multicast subnet 'ff00::/16' is not allowed")]
    [InlineData("fe80::/64", null, null, "'fe80::/64' clashes with the Link-Local prefix 'fe80::/64'")]
    [InlineData("::ffff:10.0.0.0/120", null, null, "is not a valid IPv6 subnet")]
    public void Addresses_that_cannot_be(string subnet, string? gateway, string? range, string expected)
    {
        EngineException error = Assert.Throws<EngineException>(
            () => IpamRequest.Parse(new IPAM { Config = [new IPAMConfig { Subnet = subnet, Gateway = gateway, IPRange = range }] }, ipv6: true));
        Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nulls_and_empty_texts_are_not_said()
    {
        IpamRequest request = IpamRequest.Parse(new IPAM { Config = [new IPAMConfig { Subnet = "10.0.0.0/24", Gateway = null, IPRange = "" }] }, ipv6: false);
        Assert.Equal(new SubnetRequest(IPNetwork.Parse("10.0.0.0/24"), null, null, null), request.Ipv4);
        Assert.Null(IpamRequest.Parse(null, ipv6: true).Ipv4);
        Assert.Null(IpamRequest.Parse(new IPAM { Config = [new IPAMConfig()] }, ipv6: true).Ipv6);
    }

    [Fact]
    public void One_subnet_of_each_family_may_be_asked_for()
    {
        IPAM both = new() { Config = [new IPAMConfig { Subnet = "fd00:1::/64", Gateway = "fd00:1::9" }, new IPAMConfig { Subnet = "10.0.0.0/24" }] };
        IpamRequest request = IpamRequest.Parse(both, ipv6: true);
        Assert.Equal("10.0.0.0/24", request.Ipv4!.Subnet.ToString());
        Assert.Equal(("fd00:1::/64", "fd00:1::9"), (request.Ipv6!.Subnet.ToString(), request.Ipv6.Gateway!.ToString()));
        Assert.Null(IpamRequest.Parse(both, ipv6: false).Ipv6);
        IPAM two = new() { Config = [new IPAMConfig { Subnet = "fd00:1::/64" }, new IPAMConfig { Subnet = "fd00:2::/64" }] };
        Assert.Contains(
            "bridge driver doesn't support multiple subnets", Assert.Throws<EngineException>(() => IpamRequest.Parse(two, ipv6: true)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, null, true, false)]
    [InlineData(null, true, null, true, true)]
    [InlineData(false, true, null, false, true)]
    [InlineData(null, null, "true", true, true)]
    [InlineData(null, false, "true", true, false)]
    public void Families_are_as_the_request_says_or_else_the_option(bool? ipv4, bool? ipv6, string? option, bool expected4, bool expected6)
    {
        Dictionary<string, string> options = option is null ? [] : new() { ["com.docker.network.enable_ipv6"] = option };
        Assert.Equal(new NetworkFamilies(expected4, expected6), NetworkFamilies.Choose(ipv4, ipv6, options));
        Assert.Equal(ipv6 is null && option is not null, options.Count == 1);
    }

    [Fact]
    public void A_network_without_any_family_is_refused_and_so_is_an_option_that_is_no_flag()
    {
        Assert.Equal("IPv4 or IPv6 must be enabled", Assert.Throws<EngineException>(() => NetworkFamilies.Choose(false, null, [])).Message);
        EngineException error = Assert.Throws<EngineException>(() => NetworkFamilies.Choose(null, null, new() { ["com.docker.network.enable_ipv6"] = "maybe" }));
        Assert.Equal((ErrorKind.InvalidParameter, "driver-opt \"com.docker.network.enable_ipv6\" is not a valid bool"), (error.Kind, error.Message));
    }

    [Fact]
    public void The_daemon_s_options_are_those_of_networks_that_do_not_say()
    {
        Dictionary<string, string> options = NetworkFamilies.WithDefaults(
            new Dictionary<string, string> { ["a"] = "mine" }, new Dictionary<string, string> { ["a"] = "theirs", ["b"] = "theirs" });
        Assert.Equal(new Dictionary<string, string> { ["a"] = "mine", ["b"] = "theirs" }, options);
        Assert.Empty(NetworkFamilies.WithDefaults(null, null));
    }

    [Fact]
    public void Every_host_has_IPv6_networks_of_its_own_and_always_the_same()
    {
        IReadOnlyList<AddressPoolSource> pools = AddressPoolSource.WithIpv6(AddressPoolSource.Defaults, "this host");
        IPNetwork first = DefaultSubnets.Choose(pools, [], AddressFamily.InterNetworkV6);
        Assert.Matches("^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::/64$", first.ToString());
        Assert.Equal(first, DefaultSubnets.Choose(AddressPoolSource.WithIpv6(AddressPoolSource.Defaults, "this host"), [], AddressFamily.InterNetworkV6));
        Assert.NotEqual(first, DefaultSubnets.Choose(AddressPoolSource.WithIpv6(AddressPoolSource.Defaults, "another"), [], AddressFamily.InterNetworkV6));
        IPNetwork next = DefaultSubnets.Choose(pools, [new(first, "a network")], AddressFamily.InterNetworkV6);
        Assert.NotEqual(first, next);
        Assert.Equal(DefaultSubnets.NetworkOf(first.BaseAddress, 48), DefaultSubnets.NetworkOf(next.BaseAddress, 48));
        AddressPoolSource own = new(IPNetwork.Parse("fd12::/62"), 64);
        Assert.Equal("fd12:0:0:3::/64", DefaultSubnets.Choose(AddressPoolSource.WithIpv6([own], "x"), [new(IPNetwork.Parse("fd12::/63"), "a"), new(IPNetwork.Parse("fd12:0:0:2::/64"), "b")], AddressFamily.InterNetworkV6).ToString());
        Assert.Throws<NetworkException>(() => DefaultSubnets.Choose([own], [new(own.Base, "a")], AddressFamily.InterNetworkV6));
    }

    [Fact]
    public void An_IPv6_subnet_has_no_broadcast_address_and_its_first_is_nobody_s()
    {
        AddressPool pool = new(IPNetwork.Parse("fd00::/126"), IPAddress.Parse("fd00::1"));
        Assert.Equal(["fd00::2", "fd00::3"], new[] { pool.Allocate("a", null), pool.Allocate("b", null) }.Select(address => address.ToString()));
        Assert.Equal("no available IPv6 addresses on this network's address pools: fd00::/126", Assert.Throws<NetworkException>(() => pool.Allocate("c", null)).Message);
        Assert.Throws<NetworkException>(() => pool.Allocate("c", IPAddress.Parse("fd00::")));
        Assert.Throws<NetworkException>(() => pool.Allocate("c", IPAddress.Parse("10.0.0.2")));
        AddressPool last = new(IPNetwork.Parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126"), IPAddress.Parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
        Assert.Equal("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd", last.Allocate("a", null).ToString());
        Assert.Equal("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", last.Allocate("b", null).ToString());
        Assert.Throws<NetworkException>(() => last.Allocate("c", null));
    }

    [Fact]
    public void The_range_gives_addresses_and_the_rest_of_the_subnet_only_by_number()
    {
        AddressPool pool = new(IPNetwork.Parse("10.0.0.0/24"), IPAddress.Parse("10.0.0.254"), IPNetwork.Parse("10.0.0.128/30"), [IPAddress.Parse("10.0.0.129")]);
        Assert.Equal("10.0.0.128", pool.Allocate("a", null).ToString());
        Assert.Equal("10.0.0.130", pool.Allocate("b", null).ToString());
        Assert.Equal("10.0.0.131", pool.Allocate("c", null).ToString());
        Assert.Throws<NetworkException>(() => pool.Allocate("d", null));
        Assert.Equal("10.0.0.9", pool.Allocate("e", IPAddress.Parse("10.0.0.9")).ToString());
        pool.Release(IPAddress.Parse("10.0.0.9"), "e");
        Assert.Throws<NetworkException>(() => pool.Allocate("f", null));
        Assert.Throws<NetworkException>(() => pool.Allocate("g", IPAddress.Parse("10.0.0.129")));
    }

    [Fact]
    public void The_gateway_is_the_first_address_that_is_not_reserved()
    {
        IPNetwork subnet = IPNetwork.Parse("10.0.0.0/24");
        Assert.Equal("10.0.0.1", DefaultSubnets.ChooseGateway(subnet, null, []).ToString());
        Assert.Equal("10.0.0.2", DefaultSubnets.ChooseGateway(subnet, null, [IPAddress.Parse("10.0.0.1")]).ToString());
        Assert.Equal("10.0.0.128", DefaultSubnets.ChooseGateway(subnet, IPNetwork.Parse("10.0.0.128/25"), []).ToString());
    }

    [Fact]
    public void Pools_are_cut_in_order_and_what_is_taken_is_passed_over()
    {
        AddressPoolSource[] pools = [new(IPNetwork.Parse("10.1.0.0/23"), 24), new(IPNetwork.Parse("10.2.0.0/24"), 24)];
        List<OccupiedRange> taken = [new(IPNetwork.Parse("0.0.0.0/0"), "a route")];
        foreach (string expected in new[] { "10.1.0.0/24", "10.1.1.0/24", "10.2.0.0/24" })
        {
            IPNetwork chosen = DefaultSubnets.Choose(pools, taken, AddressFamily.InterNetwork);
            Assert.Equal(expected, chosen.ToString());
            taken.Add(new OccupiedRange(chosen, "a network"));
        }

        Assert.Equal(NetworkErrorKind.Exhausted, Assert.Throws<NetworkException>(() => DefaultSubnets.Choose(pools, taken, AddressFamily.InterNetwork)).Kind);
    }

    [Fact]
    public void Names_are_found_in_any_case_with_and_without_the_network_s()
    {
        NetworkNames names = new("Net");
        names.Set("1", ["db", "store"], IPAddress.Parse("10.0.0.2"));
        names.Set("2", ["db2", "store"], IPAddress.Parse("10.0.0.3"));
        ResolverZones zones = new() { Networks = [names], Aliases = new Dictionary<string, string> { ["alias"] = "db" } };
        Assert.Equal(["10.0.0.2"], zones.Find("DB.net")!.Select(address => address.ToString()));
        Assert.Equal(["10.0.0.2"], zones.Find("alias")!.Select(address => address.ToString()));
        Assert.Equal(["10.0.0.2", "10.0.0.3"], zones.Find("store")!.Select(address => address.ToString()));
        Assert.Null(zones.Find("db.other"));
        Assert.Null(zones.Find(".net"));
        Assert.Equal("db2.Net", zones.NameOf(IPAddress.Parse("10.0.0.3")));
        names.Remove("2");
        Assert.Equal(["10.0.0.2"], zones.Find("store")!.Select(address => address.ToString()));
        Assert.Null(zones.NameOf(IPAddress.Parse("10.0.0.3")));
    }
}
