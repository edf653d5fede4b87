using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>How packets get in and out of a bridge network: gateway modes, trusted interfaces, a bridge without an address.</summary>
public sealed class GatewayModeTests : IAsyncLifetime
{
    private static readonly PortRequest Web = new(PortProtocol.Tcp, 80, HostPort: 8080);
    private static readonly IPAddress Outside6 = IPAddress.Parse("2001:db8::2");

    private NetworkLab _lab = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await NetworkLab.CreateAsync();
        await _lab.RouteToOutsideAsync();
        await _lab.Outside.RunAsync(
            () =>
            {
                using RouteSession session = new();
                int wan = session.FindLink("wan")!.Index;
                session.Begin()
                    .AddRoute(new Route(IPNetwork.Parse("172.17.0.0/16"), NetworkLab.HostAddress, wan))
                    .AddRoute(new Route(IPNetwork.Parse("fd00:5::/64"), NetworkLab.HostAddress6, wan))
                    .Execute();
            },
            None);
    }

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task Routed_containers_are_seen_as_they_are_and_have_their_published_ports_open()
    {
        await using BridgeNetwork network = _lab.Network(Options(GatewayMode.Routed));
        await network.EnsureAsync(None);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "server", Web);
        Assert.Equal(["0.0.0.0:0", "[::]:0"], info.Ports.Select(port => new IPEndPoint(port.HostAddress, port.HostPort).ToString()));
        await ServeAsync(server);
        await ServeAsync(_lab.Outside);
        foreach ((IPAddress container, IPAddress outside) in new[] { (info.Ipv4!.Address, NetworkLab.OutsideAddress), (info.Ipv6!.Address, Outside6) })
        {
            Assert.Equal(outside.ToString(), await NetworkLab.AskTcpAsync(_lab.Outside, container, 80));
            Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, container, 81, seconds: 1));
            Assert.Equal(container.ToString(), await NetworkLab.AskTcpAsync(server, outside, 80));
        }

        // The host's port is nobody's.
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Any, 8080), "host ");
        await network.DetachAsync("server", None);
        Assert.DoesNotContain("elements", _lab.Run("nft", "list", "set", "ip", "slipway-slipway0", "opened-ports"), StringComparison.Ordinal);
        Assert.DoesNotContain("elements", _lab.Run("nft", "list", "set", "ip6", "slipway-slipway0", "opened-ports"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_open_is_open_again_after_a_restart()
    {
        EndpointInfo info;
        NamespaceThread server;
        await using (BridgeNetwork network = _lab.Network(Options(GatewayMode.Routed)))
        {
            await network.EnsureAsync(None);
            (info, server) = await _lab.RunAsync(network, "server", Web);
        }

        await ServeAsync(server);
        _lab.Run("nft", "flush", "set", "ip6", "slipway-slipway0", "opened-ports");
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv6!.Address, 80, seconds: 1));
        await using BridgeNetwork next = _lab.Network(Options(GatewayMode.Routed));
        await next.EnsureAsync(None);
        Assert.Empty(await next.RestoreAsync([info], None));
        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv6.Address, 80));
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv4!.Address, 80));
    }

    [Fact]
    public async Task Each_family_has_its_mode()
    {
        await using BridgeNetwork network = _lab.Network(Options(GatewayMode.Nat) with { Ipv6 = Options(GatewayMode.Routed).Ipv6 });
        await network.EnsureAsync(None);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "server", Web);
        await ServeAsync(server);
        Assert.Equal(["0.0.0.0:8080", "[::]:0"], info.Ports.Select(port => new IPEndPoint(port.HostAddress, port.HostPort).ToString()));
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv4!.Address, 80, seconds: 1));
        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv6!.Address, 80));
    }

    [Fact]
    public async Task Unprotected_containers_are_reached_at_every_port_by_who_has_a_route()
    {
        await using BridgeNetwork network = _lab.Network(Options(GatewayMode.NatUnprotected));
        await network.EnsureAsync(None);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "server", Web);
        await ServeAsync(server);
        await ServeAsync(_lab.Outside);
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv4!.Address, 81));
        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv6!.Address, 81));
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
        Assert.Equal("2001:db8::1", await NetworkLab.AskTcpAsync(server, Outside6, 80));
    }

    [Fact]
    public async Task The_host_does_not_reach_an_isolated_network()
    {
        await using BridgeNetwork network = _lab.Network(Options(GatewayMode.Isolated) with { Internal = true });
        await network.EnsureAsync(None);
        Assert.DoesNotContain("inet", _lab.Run("ip", "address", "show", "dev", "slipway0"), StringComparison.Ordinal);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "server");
        (_, NamespaceThread client) = await _lab.RunAsync(network, "client");
        await ServeAsync(server);
        Assert.Equal("172.17.0.3", await NetworkLab.AskTcpAsync(client, info.Ipv4!.Address, 80));
        Assert.Equal("fd00:5::3", await NetworkLab.AskTcpAsync(client, info.Ipv6!.Address, 80));
        foreach (IPAddress address in info.Addresses)
        {
            string answer = await NetworkLab.AskTcpAsync(_lab.Host, address, 80, seconds: 1);
            Assert.True(answer is "timeout" or "NetworkUnreachable", answer);
        }
    }

    [Fact]
    public async Task From_a_trusted_interface_every_port_is_reached()
    {
        EndpointInfo info;
        await using (BridgeNetwork network = _lab.Network(Options(GatewayMode.Nat) with { TrustedInterfaces = ["wan"] }))
        {
            await network.EnsureAsync(None);
            (info, NamespaceThread server) = await _lab.RunAsync(network, "server");
            await ServeAsync(server);
            Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv4!.Address, 81));
            Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv6!.Address, 81));
        }

        // The next engine is told otherwise.
        await using BridgeNetwork next = _lab.Network(Options(GatewayMode.Nat));
        await next.EnsureAsync(None);
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, info.Ipv4!.Address, 81, seconds: 1));
    }

    [Fact]
    public async Task A_bridge_may_be_without_IPv4_address()
    {
        await using BridgeNetwork network = _lab.Network(Options(GatewayMode.Nat) with { InhibitIpv4 = true });
        await network.EnsureAsync(None);
        Assert.DoesNotContain("inet ", _lab.Run("ip", "address", "show", "dev", "slipway0"), StringComparison.Ordinal);
        (EndpointInfo info, _) = await _lab.RunAsync(network, "one");
        Assert.Equal(("172.17.0.2", "172.17.0.1"), (info.Ipv4!.Address.ToString(), info.Ipv4.Gateway!.ToString()));
    }

    private static BridgeOptions Options(GatewayMode mode) => new()
    {
        PoolSize = 0,
        IsolatedPoolSize = 0,
        Address = (IPAddress.Parse("172.17.0.1"), 16),
        Mode = mode,
        Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:5::1"), 64), Mode = mode },
    };

    /// <summary>At ports 80 and 81 of both families.</summary>
    private async Task ServeAsync(NamespaceThread where)
    {
        foreach (int port in new[] { 80, 81 })
        {
            await _lab.ServeTcpAsync(where, new IPEndPoint(IPAddress.Any, port));
            await _lab.ServeTcpAsync(where, new IPEndPoint(IPAddress.IPv6Any, port));
        }
    }
}
