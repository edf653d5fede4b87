using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>IPv6 of bridge networks: addresses, ways in and out, what of the host changes and is put back.</summary>
public sealed class Ipv6NetworkTests : IAsyncLifetime
{
    private static readonly IPAddress Outside6 = IPAddress.Parse("2001:db8::2");

    private static readonly BridgeOptions Dual = new()
    {
        PoolSize = 0, IsolatedPoolSize = 0, Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:5::1"), 64) },
    };

    private NetworkLab _lab = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task Containers_have_both_families_at_once_and_are_seen_as_the_host()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        NetworkInfo made = await network.EnsureAsync(None);
        Assert.Equal(("fd00:5::/64", "fd00:5::1"), (made.Ipv6!.Network.ToString(), made.Ipv6.Gateway.ToString()));
        (EndpointInfo first, NamespaceThread firstThread) = await _lab.RunAsync(network, "first");
        (EndpointInfo second, NamespaceThread secondThread) = await _lab.RunAsync(network, "second");
        Assert.Equal(new EndpointAddress(IPAddress.Parse("fd00:5::2"), 64, IPAddress.Parse("fd00:5::1")), first.Ipv6);
        Assert.Equal(["172.17.0.3", "fd00:5::3"], second.Addresses.Select(address => address.ToString()));

        (IReadOnlyList<InterfaceAddress> addresses, IReadOnlyList<Route> routes) = await firstThread.RunAsync(
            () =>
            {
                using RouteSession session = new();
                return (session.Addresses(), session.Routes());
            },
            None);
        Assert.Equal(["127.0.0.1/8", "172.17.0.2/16", "::1/128", "fd00:5::2/64", "fe80::42:acff:fe11:2/64"], addresses.Select(a => $"{a.Address}/{a.PrefixLength}").Order(StringComparer.Ordinal).OrderBy(a => a.Contains("::", StringComparison.Ordinal)));
        Assert.Contains(routes, r => r.Destination.ToString() == "::/0" && r.Gateway!.ToString() == "fd00:5::1");

        // Used at once: no address is tentative.
        await _lab.ServeTcpAsync(firstThread, new IPEndPoint(IPAddress.IPv6Any, 80));
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.IPv6Any, 90));
        Assert.Equal("fd00:5::3", await NetworkLab.AskTcpAsync(secondThread, first.Ipv6!.Address, 80));
        Assert.Equal("fd00:5::3", await NetworkLab.AskTcpAsync(secondThread, made.Ipv6.Gateway, 90));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(_lab.Host, first.Ipv6.Address, 80));
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.IPv6Any, 80));
        Assert.Equal("2001:db8::1", await NetworkLab.AskTcpAsync(secondThread, Outside6, 80));
    }

    [Fact]
    public async Task A_network_may_have_IPv6_alone()
    {
        await using BridgeNetwork network = _lab.Network(Dual with { Ipv4 = false });
        NetworkInfo made = await network.EnsureAsync(None);
        Assert.Null(made.Ipv4);
        (EndpointInfo info, NamespaceThread thread) = await _lab.RunAsync(network, "one", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        Assert.Equal((null, "fd00:5::2"), (info.Ipv4, info.Address.ToString()));
        Assert.Equal(["[::]:8080"], info.Ports.Select(p => new IPEndPoint(p.HostAddress, p.HostPort).ToString()));
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.IPv6Any, 80));
        Assert.Equal("2001:db8::1", await NetworkLab.AskTcpAsync(thread, Outside6, 80));
        Assert.DoesNotContain("table ip slipway", _lab.Run("nft", "list", "tables"), StringComparison.Ordinal);
        NetworkException refused = await Assert.ThrowsAsync<NetworkException>(async () => await AttachAsync(network, new EndpointRequest { EndpointId = "two", Name = "two", Address = IPAddress.Parse("10.0.0.2") }));
        Assert.Equal("no configured subnet contains IP address 10.0.0.2", refused.Message);
        Assert.Throws<NetworkException>(() => _lab.Network(new BridgeOptions { Ipv4 = false }));
    }

    [Fact]
    public async Task A_fixed_address_is_given_or_refused_and_what_was_given_before_is_given_back()
    {
        await using BridgeNetwork network = _lab.Network(Dual with { Ipv6 = Dual.Ipv6! with { AddressRange = IPNetwork.Parse("fd00:5::8:0/112") }, ReservedAddresses = [IPAddress.Parse("fd00:5::8:0")] });
        await network.EnsureAsync(None);
        Assert.Equal("fd00:5::8:1", (await _lab.RunAsync(network, "one")).Info.Ipv6!.Address.ToString());
        EndpointInfo fixedOne = await AttachAsync(network, new EndpointRequest { EndpointId = "two", Name = "two", Ipv6Address = IPAddress.Parse("fd00:5::7") });
        Assert.Equal("fd00:5::7", fixedOne.Ipv6!.Address.ToString());
        NetworkException taken = await Assert.ThrowsAsync<NetworkException>(
            async () => await AttachAsync(network, new EndpointRequest { EndpointId = "three", Name = "three", Ipv6Address = IPAddress.Parse("fd00:5::7") }));
        Assert.Equal("Address already in use", taken.Message);
        await network.DetachAsync("two", None);
        EndpointInfo heir = await AttachAsync(network, new EndpointRequest { EndpointId = "four", Name = "four", Ipv6Address = IPAddress.Parse("fd00:5::7") });
        Assert.Equal("172.17.0.3", heir.Ipv4!.Address.ToString()); // the failed one kept nothing
    }

    [Fact]
    public async Task An_address_that_another_container_had_is_reached_at_once()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        (_, NamespaceThread client) = await _lab.RunAsync(network, "client");
        foreach (string mac in new[] { "02:42:00:00:00:01", "02:42:00:00:00:02" })
        {
            using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, None);
            await network.AttachAsync(new EndpointRequest { EndpointId = "server", Name = "server", MacAddress = mac, Ipv6Address = IPAddress.Parse("fd00:5::99") }, sandbox, None);
            await _lab.ServeTcpAsync(_lab.Container(sandbox), new IPEndPoint(IPAddress.IPv6Any, 80));
            Assert.Equal("fd00:5::2", await NetworkLab.AskTcpAsync(client, IPAddress.Parse("fd00:5::99"), 80));
            Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Parse("fd00:5::99"), 80));
            await network.DetachAsync("server", None);
        }
    }

    [Fact]
    public async Task Networks_do_not_reach_each_other_and_nobody_reaches_in_by_a_route()
    {
        await using BridgeNetwork one = _lab.Network(Dual);
        await using BridgeNetwork two = _lab.Network(Dual with { BridgeName = "slipway1", Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:6::1"), 64) } });
        await using BridgeNetwork closed = _lab.Network(Dual with { BridgeName = "slipway2", Internal = true, Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:7::1"), 64) } });
        await one.EnsureAsync(None);
        await two.EnsureAsync(None);
        await closed.EnsureAsync(None);
        (EndpointInfo server, NamespaceThread serverThread) = await _lab.RunAsync(one, "server");
        (_, NamespaceThread other) = await _lab.RunAsync(two, "other");
        (EndpointInfo inside, NamespaceThread insideThread) = await _lab.RunAsync(closed, "inside");
        (_, NamespaceThread beside) = await _lab.RunAsync(closed, "beside");
        await _lab.ServeTcpAsync(serverThread, new IPEndPoint(IPAddress.IPv6Any, 80));
        await _lab.ServeTcpAsync(insideThread, new IPEndPoint(IPAddress.IPv6Any, 80));
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.IPv6Any, 80));
        await _lab.Outside.RunAsync(
            () =>
            {
                using RouteSession session = new();
                int wan = session.FindLink("wan")!.Index;
                session.Begin().AddRoute(new Route(IPNetwork.Parse("fd00::/13"), NetworkLab.HostAddress6, wan)).Execute();
            },
            None);
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, server.Ipv6!.Address, 80, seconds: 1));
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(other, server.Ipv6.Address, 80, seconds: 1));
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, inside.Ipv6!.Address, 80, seconds: 1));

        // An internal network has no route out; its containers may make themselves one, and it leads nowhere.
        Assert.Null(inside.Ipv6.Gateway);
        Assert.Equal("NetworkUnreachable", await NetworkLab.AskTcpAsync(insideThread, Outside6, 80));
        await insideThread.RunAsync(
            () =>
            {
                using RouteSession session = new();
                session.Begin().AddRoute(new Route(new IPNetwork(IPAddress.IPv6Any, 0), IPAddress.Parse("fd00:7::1"), session.FindLink("eth0")!.Index)).Execute();
            },
            None);
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(insideThread, Outside6, 80, seconds: 1));
        Assert.Equal("fd00:7::3", await NetworkLab.AskTcpAsync(beside, inside.Ipv6.Address, 80));
        Assert.Equal("2001:db8::1", await NetworkLab.AskTcpAsync(other, Outside6, 80));
    }

    [Fact]
    public async Task Without_icc_containers_do_not_reach_each_other()
    {
        await using BridgeNetwork network = _lab.Network(Dual with { InterContainer = false });
        await network.EnsureAsync(None);
        (EndpointInfo server, NamespaceThread serverThread) = await _lab.RunAsync(network, "server");
        (_, NamespaceThread client) = await _lab.RunAsync(network, "client");
        await _lab.ServeTcpAsync(serverThread, new IPEndPoint(IPAddress.IPv6Any, 80));
        Assert.NotEqual("fd00:5::3", await NetworkLab.AskTcpAsync(client, server.Ipv6!.Address, 80));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(_lab.Host, server.Ipv6.Address, 80));
    }

    [Fact]
    public async Task Forwarding_is_on_as_long_as_a_network_needs_it_and_the_host_keeps_its_routers()
    {
        _lab.Run("ip", "link", "add", "uplink", "type", "bridge");
        _lab.Run("ip", "link", "set", "uplink", "up");
        _lab.Run("ip", "link", "add", "router", "type", "bridge");
        await SetAsync("router", "forwarding", "1");
        await SetAsync("wan", "accept_ra", "0");
        string before = await _lab.SnapshotAsync();
        await using (BridgeNetwork one = _lab.Network(Dual))
        await using (BridgeNetwork two = _lab.Network(Dual with { BridgeName = "slipway1", Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:6::1"), 64) } }))
        {
            Assert.True((await one.EnsureAsync(None)).EnabledForwarding);
            await two.EnsureAsync(None);
            Assert.Equal(("1", "2", "0"), (await GetAsync("all", "forwarding"), await GetAsync("uplink", "accept_ra"), await GetAsync("wan", "accept_ra")));

            // The one that switched it on goes first: the other needs it still.
            await one.CleanupAsync(None);
            Assert.Equal(("1", "2"), (await GetAsync("all", "forwarding"), await GetAsync("uplink", "accept_ra")));
        }

        await using BridgeNetwork next = _lab.Network(Dual with { BridgeName = "slipway1", Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:6::1"), 64) } });
        await next.EnsureAsync(None);
        await next.CleanupAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task Forwarding_that_was_on_stays_on()
    {
        await SetAsync("all", "forwarding", "1");
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        await network.CleanupAsync(None);
        Assert.Equal("1", await GetAsync("all", "forwarding"));
        Assert.DoesNotContain("slipway", _lab.Run("nft", "list", "tables"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_network_that_has_IPv6_no_more_keeps_nothing_of_it()
    {
        await using (BridgeNetwork network = _lab.Network(Dual with { Ipv6 = new Ipv6Options(), AddressPools = AddressPoolSource.WithIpv6(AddressPoolSource.Defaults, "lab") }))
        {
            Assert.StartsWith("fd", (await network.EnsureAsync(None)).Ipv6!.Network.ToString(), StringComparison.Ordinal);
        }

        await using BridgeNetwork without = _lab.Network(Dual with { Ipv6 = null });
        Assert.Null((await without.EnsureAsync(None)).Ipv6);
        Assert.DoesNotContain("table ip6", _lab.Run("nft", "list", "tables"), StringComparison.Ordinal);
        Assert.DoesNotContain("inet6 fd", _lab.Run("ip", "address", "show", "dev", "slipway0"), StringComparison.Ordinal);
        Assert.Equal("0", await GetAsync("all", "forwarding"));
    }

    [Fact]
    public async Task What_cannot_be_is_refused_and_leaves_nothing()
    {
        string before = await _lab.SnapshotAsync();
        await using BridgeNetwork small = _lab.Network(Dual with { Mtu = 1000 });
        Assert.Equal("IPv6 needs an MTU of at least 1280 bytes: 1000", (await Assert.ThrowsAsync<NetworkException>(() => small.EnsureAsync(None))).Message);
        await using BridgeNetwork astray = _lab.Network(Dual with { BridgeName = "slipway1", Ipv6 = Dual.Ipv6! with { DefaultGateway = IPAddress.Parse("fd00:9::1") } });
        Assert.Equal("default gateway ip must be part of the network", (await Assert.ThrowsAsync<NetworkException>(() => astray.EnsureAsync(None))).Message);
        await small.CleanupAsync(None);
        await astray.CleanupAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task Nft_shows_rules_a_person_can_read()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        await _lab.RunAsync(network, "one", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080), new PortRequest(PortProtocol.Udp, 53, NetworkLab.HostAddress6, 5353));
        string rules = _lab.Run("nft", "list", "ruleset", "ip6");
        foreach (string line in (string[])
        [
            "comment \"slipway rules 4\"",
            "elements = { tcp . 8080 comment \"slipway0\" : fd00:5::2 . 80 }",
            "elements = { 2001:db8::1 . udp . 5353 comment \"slipway0\" : fd00:5::2 . 53 }",
            "elements = { fd00:5::/64 comment \"slipway0\" : jump from-slipway0 }",
            "dnat ip6 to ip6 daddr . meta l4proto . th dport map @published-addresses",
            "dnat ip6 to meta l4proto . th dport map @published",
            "ct state new ip6 daddr != ::1 ip6 daddr != fe80::/10 ip6 saddr != fe80::/10 fib daddr type local jump admit",
            "ip6 daddr != ::1 ip6 daddr != fe80::/10 fib daddr type local jump publish",
            "dup to ip6 daddr",
            "oifname != \"slipway0\" masquerade",
            "oifname @protected drop",
        ])
        {
            Assert.Contains(line, rules, StringComparison.Ordinal);
        }
    }

    private async Task<EndpointInfo> AttachAsync(BridgeNetwork network, EndpointRequest request)
    {
        using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, None);
        EndpointInfo info = await network.AttachAsync(request, sandbox, None);
        _lab.Container(sandbox);
        return info;
    }

    private Task SetAsync(string link, string setting, string value) => _lab.Host.RunAsync(() => File.WriteAllText($"/proc/sys/net/ipv6/conf/{link}/{setting}", value), None);

    private Task<string> GetAsync(string link, string setting) => _lab.Host.RunAsync(() => File.ReadAllText($"/proc/sys/net/ipv6/conf/{link}/{setting}").Trim(), None);
}
