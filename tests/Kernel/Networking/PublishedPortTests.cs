using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

public sealed class PublishedPortTests : IAsyncLifetime
{
    private static CancellationToken None => TestContext.Current.CancellationToken;
    private NetworkLab _lab = null!;

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task A_published_tcp_port_answers_from_everywhere()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "server", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        (_, NamespaceThread neighbour) = await _lab.RunAsync(network, "neighbour");
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80));

        Assert.Equal(["0.0.0.0:8080", "[::]:8080"], info.Ports.Select(p => new IPEndPoint(p.HostAddress, p.HostPort).ToString()));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080));
        Assert.Equal("198.51.100.1", await NetworkLab.AskTcpAsync(_lab.Host, NetworkLab.HostAddress, 8080));
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(neighbour, NetworkLab.HostAddress, 8080));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(neighbour, IPAddress.Parse("172.17.0.1"), 8080));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(server, NetworkLab.HostAddress, 8080));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8081));

        await network.DetachAsync("server", None);
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
    }

    [Fact]
    public async Task A_published_udp_port_answers_and_forgets_where_datagrams_went_before()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        await _lab.RouteToOutsideAsync();
        using Socket client = await _lab.Outside.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), None);
        Assert.NotEqual("first 198.51.100.2", await NetworkLab.AskUdpAsync(client, NetworkLab.HostAddress, 5353));

        (_, NamespaceThread first) = await _lab.RunAsync(network, "first", new PortRequest(PortProtocol.Udp, 53, HostPort: 5353));
        await _lab.ServeUdpAsync(first, new IPEndPoint(IPAddress.Any, 53), "first ");
        Assert.Equal("first 198.51.100.2", await NetworkLab.AskUdpAsync(client, NetworkLab.HostAddress, 5353));
        Assert.Equal("first 172.17.0.1", await NetworkLab.AskUdpAsync(_lab.Host, IPAddress.Loopback, 5353));

        // The next one gets the port, but another address.
        await _lab.RunAsync(network, "neighbour");
        await network.DetachAsync("first", None);
        await _lab.RunAsync(network, "heir");
        (EndpointInfo moved, NamespaceThread second) = await _lab.RunAsync(network, "second", new PortRequest(PortProtocol.Udp, 53, HostPort: 5353));
        Assert.Equal("172.17.0.4", moved.Address.ToString());
        await _lab.ServeUdpAsync(second, new IPEndPoint(IPAddress.Any, 53), "second ");
        Assert.Equal("second 198.51.100.2", await NetworkLab.AskUdpAsync(client, NetworkLab.HostAddress, 5353));
    }

    [Fact]
    public async Task A_port_bound_to_loopback_is_not_reachable_from_outside()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        (_, NamespaceThread server) = await _lab.RunAsync(network, "server", new PortRequest(PortProtocol.Tcp, 80, IPAddress.Loopback, 8080));
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080));
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));

        // A neighbour on the wire that routes the host's loopback network, or the containers' network, by the host.
        await _lab.AttackFromOutsideAsync(IPNetwork.Parse("127.0.0.1/32"), NetworkLab.HostAddress);
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, IPAddress.Loopback, 8080, seconds: 1));
        await _lab.AttackFromOutsideAsync(IPNetwork.Parse("172.17.0.0/16"), NetworkLab.HostAddress);
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(_lab.Outside, IPAddress.Parse("172.17.0.2"), 80, seconds: 1));

        // The attack is real: past our rules it reaches the container. (Without them it would for a moment only: they are made again.)
        _lab.Run("nft", "insert rule ip slipway-slipway0 forward accept");
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, IPAddress.Parse("172.17.0.2"), 80));
    }

    [Fact]
    public async Task CVE_2020_8558_a_container_does_not_reach_services_on_the_hosts_loopback()
    {
        await using BridgeNetwork network = _lab.Network();
        NetworkInfo info = await network.EnsureAsync(None);
        (_, NamespaceThread attacker) = await _lab.RunAsync(network, "attacker");
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Loopback, 6379), "secret ");
        await NetworkLab.RouteLoopbackAsync(attacker, "eth0", IPNetwork.Parse("127.0.0.1/32"), info.Ipv4!.Gateway);
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(attacker, IPAddress.Loopback, 6379, seconds: 1));

        _lab.Run("nft", "insert rule ip slipway-slipway0 loopback accept");
        Assert.Equal("secret 172.17.0.2", await NetworkLab.AskTcpAsync(attacker, IPAddress.Loopback, 6379));
    }

    [Fact]
    public async Task A_taken_port_is_refused_with_dockers_message_and_nothing_stays()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Loopback, 7000));
        await _lab.RunAsync(network, "holder", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, None);

        async Task<NetworkException> FailAsync(params PortRequest[] ports) => await Assert.ThrowsAsync<NetworkException>(
            () => network.AttachAsync(new EndpointRequest { EndpointId = "id", Name = "web", Ports = ports }, sandbox, None));

        NetworkException ours = await FailAsync(new PortRequest(PortProtocol.Tcp, 80, HostPort: 9000), new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        Assert.Equal(
            "driver failed programming external connectivity on endpoint web (id): Bind for 0.0.0.0:8080 failed: port is already allocated",
            ours.Message);
        Assert.Equal(NetworkErrorKind.Conflict, ours.Kind);
        Assert.EndsWith("Bind for 198.51.100.1:8080 failed: port is already allocated", (await FailAsync(new PortRequest(PortProtocol.Tcp, 80, NetworkLab.HostAddress, 8080))).Message);
        Assert.EndsWith("failed to bind host port for 0.0.0.0:7000:172.17.0.3:80/tcp: address already in use", (await FailAsync(new PortRequest(PortProtocol.Tcp, 80, HostPort: 7000))).Message);
        Assert.EndsWith("cannot assign requested address", (await FailAsync(new PortRequest(PortProtocol.Tcp, 80, IPAddress.Parse("203.0.113.9"), 7001))).Message);

        // The same sandbox, address and first port are free again; UDP is another port.
        EndpointInfo info = await network.AttachAsync(
            new EndpointRequest { EndpointId = "id", Name = "web", Ports = [new(PortProtocol.Tcp, 80, HostPort: 9000), new(PortProtocol.Udp, 80, HostPort: 8080)] }, sandbox, None);
        Assert.Equal("172.17.0.3", info.Address.ToString());
    }

    [Fact]
    public async Task A_published_port_is_kept_from_other_processes_and_given_back()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        await _lab.RunAsync(network, "holder", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080), new PortRequest(PortProtocol.Udp, 80, HostPort: 8080));
        Assert.Equal(SocketError.AddressAlreadyInUse, await BindAsync(SocketType.Stream));
        Assert.Equal(SocketError.AddressAlreadyInUse, await BindAsync(SocketType.Dgram));
        await network.DetachAsync("holder", None);
        Assert.Equal(SocketError.Success, await BindAsync(SocketType.Stream));
        Assert.Equal(SocketError.Success, await BindAsync(SocketType.Dgram));

        async Task<SocketError> BindAsync(SocketType type)
        {
            using Socket socket = await _lab.Host.RunAsync(() => new Socket(AddressFamily.InterNetwork, type, ProtocolType.Unspecified), None);
            try
            {
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, type == SocketType.Stream);
                socket.Bind(new IPEndPoint(IPAddress.Loopback, 8080));
                return SocketError.Success;
            }
            catch (SocketException e)
            {
                return e.SocketErrorCode;
            }
        }
    }

    [Fact]
    public async Task Without_a_host_port_a_free_ephemeral_one_is_given_and_ranges_give_the_first_free()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Any, 32769));
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "one", new PortRequest(PortProtocol.Tcp, 80), new PortRequest(PortProtocol.Tcp, 81), new PortRequest(PortProtocol.Tcp, 82, HostPort: 8000, HostPortEnd: 8001));
        (EndpointInfo other, _) = await _lab.RunAsync(network, "two", new PortRequest(PortProtocol.Tcp, 82, HostPort: 8000, HostPortEnd: 8001));
        Assert.Equal([32768, 32770, 8000], info.Ports.Where(p => p.HostAddress.Equals(IPAddress.Any)).Select(p => (int)p.HostPort));
        Assert.Equal([32768, 32770, 8000], info.Ports.Where(p => p.HostAddress.Equals(IPAddress.IPv6Any)).Select(p => (int)p.HostPort));
        Assert.Equal(8001, other.Ports[0].HostPort);
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 81));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 32770));
        NetworkException e = await Assert.ThrowsAsync<NetworkException>(() => _lab.RunAsync(network, "three", new PortRequest(PortProtocol.Tcp, 82, HostPort: 8000, HostPortEnd: 8001)));
        Assert.EndsWith("all ports are allocated", e.Message);
    }

    [Fact]
    public async Task Ephemeral_ports_are_counted_for_each_protocol_and_address_and_not_given_again_at_once()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        PortRequest[] all = [new(PortProtocol.Tcp, 80), new(PortProtocol.Udp, 80), new(PortProtocol.Tcp, 81, IPAddress.IPv6Loopback), new(PortProtocol.Tcp, 82)];
        (EndpointInfo one, _) = await _lab.RunAsync(network, "one", all);
        Assert.Equal(
            ["Tcp 0.0.0.0:32768", "Tcp [::]:32768", "Udp 0.0.0.0:32768", "Udp [::]:32768", "Tcp [::1]:32769", "Tcp 0.0.0.0:32770", "Tcp [::]:32770"],
            one.Ports.Select(port => $"{port.Protocol} {new IPEndPoint(port.HostAddress, port.HostPort)}"));
        await network.DetachAsync("one", None);
        (EndpointInfo two, _) = await _lab.RunAsync(network, "two", all[..2]);
        Assert.Equal([32771, 32771, 32769, 32769], two.Ports.Select(port => (int)port.HostPort));
    }

    [Fact]
    public async Task A_port_taken_meanwhile_is_reported_and_a_lost_rule_restored()
    {
        EndpointInfo info;
        NamespaceThread server;
        await using (BridgeNetwork network = _lab.Network())
        {
            await network.EnsureAsync(None);
            (info, server) = await _lab.RunAsync(network, "kept", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080), new PortRequest(PortProtocol.Tcp, 80, HostPort: 8081));
        }

        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80));
        _lab.Run("nft", "delete", "table", "ip", "slipway-slipway0");
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Any, 8080));
        await using BridgeNetwork again = _lab.Network();
        await again.EnsureAsync(None);
        Assert.Equal(["kept"], await again.RestoreAsync([info], None));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8081));
    }
}
