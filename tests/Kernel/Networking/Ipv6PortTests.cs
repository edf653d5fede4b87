using System.Net;
using System.Net.Sockets;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>Published ports of containers that have IPv6: redirected by the kernel, but for ::1.</summary>
public sealed class Ipv6PortTests : IAsyncLifetime
{
    private static readonly BridgeOptions Dual = new()
    {
        PoolSize = 0, IsolatedPoolSize = 0, Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:5::1"), 64) },
    };

    private NetworkLab _lab = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task A_published_tcp_port_answers_from_everywhere_and_sees_who_asks()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        (_, NamespaceThread server) = await _lab.RunAsync(network, "server", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        (_, NamespaceThread neighbour) = await _lab.RunAsync(network, "neighbour");
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.IPv6Any, 80));

        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8080));
        Assert.Equal("2001:db8::1", await NetworkLab.AskTcpAsync(_lab.Host, NetworkLab.HostAddress6, 8080));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(neighbour, NetworkLab.HostAddress6, 8080));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(neighbour, IPAddress.Parse("fd00:5::1"), 8080));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(server, NetworkLab.HostAddress6, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8081));

        await network.DetachAsync("server", None);
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
    }

    [Fact]
    public async Task A_published_udp_port_answers_and_forgets_where_datagrams_went_before()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        using Socket client = await _lab.Outside.RunAsync(() => new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp), None);
        Assert.NotEqual("first 2001:db8::2", await AskAsync(client));
        (_, NamespaceThread first) = await _lab.RunAsync(network, "first", new PortRequest(PortProtocol.Udp, 53, HostPort: 5353));
        await _lab.ServeUdpAsync(first, new IPEndPoint(IPAddress.IPv6Any, 53), "first ");
        Assert.Equal("first 2001:db8::2", await AskAsync(client));

        await network.DetachAsync("first", None);
        await _lab.RunAsync(network, "heir");
        (_, NamespaceThread second) = await _lab.RunAsync(network, "second", new PortRequest(PortProtocol.Udp, 53, HostPort: 5353));
        await _lab.ServeUdpAsync(second, new IPEndPoint(IPAddress.IPv6Any, 53), "second ");
        Assert.Equal("second 2001:db8::2", await AskAsync(client));

        static async Task<string> AskAsync(Socket client) => await NetworkLab.AskUdpAsync(client, NetworkLab.HostAddress6, 5353);
    }

    [Fact]
    public async Task A_published_udp_port_answers_on_the_hosts_loopback_address_and_for_containers_without_IPv6()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        (_, NamespaceThread server) = await _lab.RunAsync(network, "server", new PortRequest(PortProtocol.Udp, 53, HostPort: 5353));

        // Nobody listens yet: the first is lost, as it would be without us, and those that follow are not.
        Assert.Equal("timeout", await NetworkLab.AskUdpAsync(_lab.Host, IPAddress.IPv6Loopback, 5353));
        await _lab.ServeUdpAsync(server, new IPEndPoint(IPAddress.IPv6Any, 53), "server ");
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => NetworkLab.AskUdpAsync(_lab.Host, IPAddress.IPv6Loopback, 5353)));
        Assert.All(answers, answer => Assert.Equal("server fd00:5::1", answer));
        Assert.Equal("server 2001:db8::2", await NetworkLab.AskUdpAsync(_lab.Outside, NetworkLab.HostAddress6, 5353));
        await network.DetachAsync("server", None);
        Assert.NotEqual("server fd00:5::1", await NetworkLab.AskUdpAsync(_lab.Host, IPAddress.IPv6Loopback, 5353));

        await using BridgeNetwork four = _lab.Network(new BridgeOptions { BridgeName = "br-four", PoolSize = 0, IsolatedPoolSize = 0, Address = (IPAddress.Parse("10.99.0.1"), 24) });
        await four.EnsureAsync(None);
        (_, NamespaceThread old) = await _lab.RunAsync(four, "old", new PortRequest(PortProtocol.Udp, 53, HostPort: 5454));
        await _lab.ServeUdpAsync(old, new IPEndPoint(IPAddress.Any, 53), "old ");
        Assert.Equal("old 10.99.0.1", await NetworkLab.AskUdpAsync(_lab.Outside, NetworkLab.HostAddress6, 5454));
        Assert.Equal("old 10.99.0.1", await NetworkLab.AskUdpAsync(_lab.Host, IPAddress.IPv6Loopback, 5454));
    }

    [Fact]
    public async Task Ports_answer_while_there_is_no_engine_and_are_kept_by_the_next()
    {
        EndpointInfo info;
        NamespaceThread server;
        await using (BridgeNetwork network = _lab.Network(Dual))
        {
            await network.EnsureAsync(None);
            (info, server) = await _lab.RunAsync(
                network, "server", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080), new PortRequest(PortProtocol.Tcp, 80, NetworkLab.HostAddress6, 9090));
        }

        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.IPv6Any, 80));
        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8080));
        await using BridgeNetwork next = _lab.Network(Dual);
        await next.EnsureAsync(None);
        Assert.Empty(await next.RestoreAsync([info], None));
        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 9090));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        await Assert.ThrowsAsync<NetworkException>(() => _lab.RunAsync(next, "other", new PortRequest(PortProtocol.Tcp, 80, IPAddress.IPv6Any, 8080)));
    }

    [Fact]
    public async Task A_port_bound_to_the_loopback_address_is_not_reached_from_outside()
    {
        await using BridgeNetwork network = _lab.Network(Dual);
        await network.EnsureAsync(None);
        (_, NamespaceThread server) = await _lab.RunAsync(network, "server", new PortRequest(PortProtocol.Tcp, 80, IPAddress.IPv6Loopback, 8080));
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.IPv6Any, 80));
        Assert.Equal("fd00:5::1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8080));
    }
}
