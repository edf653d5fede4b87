using System.Net;
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
    [InlineData("fd00::/64", null, null, "IPv6 networks are not supported")]
    [InlineData("10.0.0.0/24", "10.0.1.1", null, "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address")]
    [InlineData("10.0.0.0/24", "x", null, "invalid gateway x: invalid address")]
    [InlineData("10.0.0.0/24", null, "10.0.1.0/25", "invalid ip-range 10.0.1.0/25: parent subnet 10.0.0.0/24 doesn't contain ip-range")]
    [InlineData("10.0.0.0/24", null, "10.0.0.0/16", "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24")]
    [InlineData("10.0.0.0/24", null, "10.0.0.1/25", "invalid ip-range 10.0.0.1/25: it should be 10.0.0.0/25")]
    public void Addresses_that_cannot_be(string subnet, string? gateway, string? range, string expected)
    {
        EngineException error = Assert.Throws<EngineException>(
            () => IpamRequest.Parse(new IPAM { Config = [new IPAMConfig { Subnet = subnet, Gateway = gateway, IPRange = range }] }));
        Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nulls_and_empty_texts_are_not_said()
    {
        IpamRequest request = IpamRequest.Parse(new IPAM { Config = [new IPAMConfig { Subnet = "10.0.0.0/24", Gateway = null, IPRange = "" }] });
        Assert.Equal((IPNetwork.Parse("10.0.0.0/24"), null, null), (request.Subnet, request.Gateway, request.Range));
        Assert.Null(IpamRequest.Parse(null).Subnet);
        Assert.Null(IpamRequest.Parse(new IPAM { Config = [new IPAMConfig()] }).Subnet);
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
        List<IPNetwork> taken = [IPNetwork.Parse("0.0.0.0/0")];
        foreach (string expected in new[] { "10.1.0.0/24", "10.1.1.0/24", "10.2.0.0/24" })
        {
            IPNetwork chosen = DefaultSubnets.Choose(pools, taken);
            Assert.Equal(expected, chosen.ToString());
            taken.Add(chosen);
        }

        Assert.Equal(NetworkErrorKind.Exhausted, Assert.Throws<NetworkException>(() => DefaultSubnets.Choose(pools, taken)).Kind);
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
