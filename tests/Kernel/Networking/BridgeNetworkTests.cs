using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

public sealed class BridgeNetworkTests : IAsyncLifetime
{
    private static CancellationToken None => TestContext.Current.CancellationToken;
    private NetworkLab _lab = null!;

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task Containers_get_the_lowest_free_address_and_reach_each_other_and_the_host()
    {
        await using BridgeNetwork network = _lab.Network();
        NetworkInfo info = await network.EnsureAsync(None);
        Assert.Equal("172.17.0.0/16", info.Ipv4!.Network.ToString());
        Assert.Equal("172.17.0.1", info.Ipv4!.Gateway.ToString());
        Assert.True(info.EnabledForwarding);
        Assert.False(info.Adopted);

        (EndpointInfo first, NamespaceThread firstThread) = await _lab.RunAsync(network, "first");
        (EndpointInfo second, NamespaceThread secondThread) = await _lab.RunAsync(network, "second");
        Assert.Equal("172.17.0.2", first.Address.ToString());
        Assert.Equal("02:42:ac:11:00:02", first.MacAddress);
        Assert.Equal("172.17.0.3", second.Address.ToString());

        await _lab.ServeTcpAsync(firstThread, new IPEndPoint(IPAddress.Any, 80));
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Any, 90));
        Assert.Equal("172.17.0.3", await NetworkLab.AskTcpAsync(secondThread, first.Address, 80));
        Assert.Equal("172.17.0.3", await NetworkLab.AskTcpAsync(secondThread, info.Ipv4!.Gateway, 90));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, first.Address, 80));

        await network.DetachAsync("first", None);
        (EndpointInfo third, _) = await _lab.RunAsync(network, "third");
        Assert.Equal("172.17.0.2", third.Address.ToString());
    }

    [Fact]
    public async Task A_container_of_a_moment_takes_no_address_that_the_next_one_would_get()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, None);
        EndpointInfo moment = await network.AttachAsync(new EndpointRequest { EndpointId = "moment", Name = "moment", IsMomentary = true }, sandbox, None);
        Assert.Equal("172.17.255.254", moment.Address.ToString());
        (EndpointInfo first, _) = await _lab.RunAsync(network, "first");
        Assert.Equal("172.17.0.2", first.Address.ToString());
        await network.DetachAsync("moment", None);
        (EndpointInfo second, _) = await _lab.RunAsync(network, "second");
        Assert.Equal("172.17.0.3", second.Address.ToString());
    }

    [Fact]
    public async Task Inside_are_a_loopback_device_and_one_configured_link()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        (_, NamespaceThread thread) = await _lab.RunAsync(network, "one");
        (IReadOnlyList<Link> links, IReadOnlyList<InterfaceAddress> addresses, IReadOnlyList<Route> routes, string port, string ipv6) = await thread.RunAsync(
            () =>
            {
                using RouteSession session = new();
                return (session.Links(), session.Addresses(), session.Routes(), File.ReadAllText("/proc/sys/net/ipv4/ip_unprivileged_port_start"), File.ReadAllText("/proc/sys/net/ipv6/conf/eth0/disable_ipv6"));
            },
            None);
        Assert.Equal(["lo", "eth0"], links.Where(l => l.IsUp).Select(l => l.Name));
        Assert.Equal(["127.0.0.1/8", "172.17.0.2/16", "::1/128"], addresses.Select(a => $"{a.Address}/{a.PrefixLength}"));
        Assert.Contains(routes, r => r.Destination.ToString() == "0.0.0.0/0" && r.Gateway!.ToString() == "172.17.0.1");
        Assert.Equal("0", port.Trim());
        Assert.Equal("1", ipv6.Trim());
    }

    [Fact]
    public async Task Outside_sees_the_host_not_the_container()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        (_, NamespaceThread thread) = await _lab.RunAsync(network, "one");
        await _lab.RouteToOutsideAsync();
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 80));
        await _lab.ServeUdpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 80));
        Assert.Equal("198.51.100.1", await NetworkLab.AskTcpAsync(thread, NetworkLab.OutsideAddress, 80));
        Assert.Equal("198.51.100.1", await NetworkLab.AskUdpAsync(thread, NetworkLab.OutsideAddress, 80));
    }

    [Fact]
    public async Task Fixed_addresses_are_given_or_refused()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, None);
        async Task<string> FailAsync(string? address, string? mac = null) => (await Assert.ThrowsAsync<NetworkException>(() => network.AttachAsync(
            new EndpointRequest { EndpointId = "id", Name = "web", Address = address is null ? null : IPAddress.Parse(address), MacAddress = mac }, sandbox, None))).Message;
        Assert.Contains("is not in the subnet 172.17.0.0/16", await FailAsync("10.0.0.1"));
        Assert.Contains("is not in the subnet", await FailAsync("172.17.255.255"));
        Assert.Contains("is not in the subnet", await FailAsync("fd00::1"));
        Assert.Equal("Address already in use", await FailAsync("172.17.0.1"));
        Assert.Contains("invalid mac address", await FailAsync(null, "nonsense"));
        Assert.Contains("invalid mac address", await FailAsync(null, "01:00:5e:00:00:01"));
        EndpointInfo info = await network.AttachAsync(
            new EndpointRequest { EndpointId = "id", Name = "web", Address = IPAddress.Parse("172.17.200.7"), MacAddress = "02-00-00-00-00-AB" }, sandbox, None);
        Assert.Equal("172.17.200.7", info.Address.ToString());
        NamespaceThread inside = _lab.Container(sandbox);
        MacAddress? mac = await inside.RunAsync(
            () =>
            {
                using RouteSession session = new();
                return session.FindLink("eth0")!.Address;
            },
            None);
        Assert.Equal("02:00:00:00:00:ab", mac.ToString());
    }

    [Fact]
    public async Task A_new_engine_adopts_what_runs_and_removes_what_nobody_knows()
    {
        NetworkInfo first;
        EndpointInfo kept;
        NamespaceThread server;
        using Socket connection = await _lab.Outside.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), None);
        await using (BridgeNetwork network = _lab.Network())
        {
            first = await network.EnsureAsync(None);
            (kept, server) = await _lab.RunAsync(network, "kept", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
            await _lab.RunAsync(network, "lost", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8081));
            using Socket listener = await server.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), None);
            listener.Bind(new IPEndPoint(IPAddress.Any, 80));
            listener.Listen();
            await connection.ConnectAsync(new IPEndPoint(NetworkLab.HostAddress, 8080), None);
            Socket accepted = await listener.AcceptAsync(None);
            _ = EchoAllAsync(accepted);
        }

        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80));

        // No engine: connections and ports go on.
        Assert.Equal("a", await EchoAsync("a"));
        Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));

        await using BridgeNetwork again = _lab.Network();
        NetworkInfo second = await again.EnsureAsync(None);
        Assert.Equal(first with { Adopted = true, EnabledForwarding = false }, second);
        Assert.Equal(["kept", "lost"], (await again.ListEndpointsAsync(None)).Order());
        Assert.Equal("b", await EchoAsync("b"));
        Assert.Empty(await again.RestoreAsync([kept], None));
        Assert.Equal("c", await EchoAsync("c"));
        Assert.Equal(["kept"], await again.ListEndpointsAsync(None));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080));
        Assert.Equal("172.17.0.1", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.IPv6Loopback, 8080));
        Assert.DoesNotContain("8081", _lab.Run("nft", "list", "ruleset"));

        // The address stays taken; the unknown one's is free.
        Assert.Equal("172.17.0.3", (await _lab.RunAsync(again, "next")).Info.Address.ToString());
        await again.DetachAsync("kept", None);
        Assert.Equal("ConnectionRefused", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080));

        static async Task EchoAllAsync(Socket accepted)
        {
            using Socket echo = accepted;
            byte[] buffer = new byte[10];
            int length;
            while ((length = await echo.ReceiveAsync(buffer, CancellationToken.None)) > 0)
            {
                await echo.SendAsync(buffer.AsMemory(0, length), CancellationToken.None);
            }
        }

        async Task<string> EchoAsync(string text)
        {
            using CancellationTokenSource timeout = new(TimeSpan.FromSeconds(3));
            await connection.SendAsync(Encoding.UTF8.GetBytes(text), timeout.Token);
            byte[] buffer = new byte[10];
            return Encoding.UTF8.GetString(buffer, 0, await connection.ReceiveAsync(buffer, timeout.Token));
        }
    }

    [Fact]
    public async Task Cleanup_leaves_the_host_as_it_was()
    {
        string before = await _lab.SnapshotAsync();
        await using (BridgeNetwork network = _lab.Network())
        {
            await network.EnsureAsync(None);
            await _lab.RunAsync(network, "one", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
            await _lab.RunAsync(network, "two");
        }

        // Also what an earlier engine made.
        await using (BridgeNetwork network = _lab.Network())
        {
            await network.EnsureAsync(None);
            await network.CleanupAsync(None);
        }

        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task Detaching_leaves_no_link_rule_or_neighbour_behind()
    {
        await using BridgeNetwork network = _lab.Network(new BridgeOptions { PoolSize = 0, IsolatedPoolSize = 0 });
        await network.EnsureAsync(None);
        string before = await _lab.SnapshotAsync();
        for (int round = 0; round < 3; round++)
        {
            await _lab.RunAsync(network, "one", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080), new PortRequest(PortProtocol.Udp, 80, NetworkLab.HostAddress, 8080));
            await network.DetachAsync("one", None);
            await network.DetachAsync("one", None);
            await network.DetachAsync("never there", None);
        }

        await network.DrainAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task Detaching_works_when_somebody_removed_the_rules_the_link_or_a_port_by_hand()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        PortRequest[] ports = [new(PortProtocol.Tcp, 80, HostPort: 8080), new(PortProtocol.Tcp, 81, HostPort: 8081)];
        await _lab.RunAsync(network, "one", ports);
        _lab.Run("nft", "delete", "element", "ip", "slipway-slipway0", "published", "{ tcp . 8080 }");
        await network.DetachAsync("one", None);
        Assert.DoesNotContain("8081", _lab.Run("nft", "list", "ruleset"));

        (EndpointInfo second, _) = await _lab.RunAsync(network, "two", ports);
        _lab.Run("ip", "link", "delete", second.HostLink);
        await network.DetachAsync("two", None);

        await _lab.RunAsync(network, "three", ports);
        _lab.Run("nft", "delete", "table", "ip", "slipway-slipway0");
        await network.DetachAsync("three", None);

        // A start that cannot publish is refused, and leaves no address, port or link behind.
        await network.EnsureAsync(None);
        _lab.Run("nft", "add", "element", "ip", "slipway-slipway0", "published", "{ tcp . 8081 : 172.17.0.99 . 9 }");
        await Assert.ThrowsAsync<NetworkException>(() => _lab.RunAsync(network, "four", ports));
        Assert.Empty(await network.ListEndpointsAsync(None));
        Assert.Equal("172.17.0.2", (await _lab.RunAsync(network, "five", ports)).Info.Address.ToString());
    }

    [Fact]
    public async Task Two_engines_on_one_host_do_not_disturb_each_other()
    {
        await using BridgeNetwork first = _lab.Network(new BridgeOptions { BridgeName = "slipway-a", PoolSize = 1 });
        await using BridgeNetwork second = _lab.Network(new BridgeOptions { BridgeName = "slipway-b", PoolSize = 1 });
        await first.EnsureAsync(None);
        NetworkInfo other = await second.EnsureAsync(None);
        Assert.Equal("172.18.0.0/16", other.Ipv4!.Network.ToString());
        (_, NamespaceThread a) = await _lab.RunAsync(first, "same-id", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        (EndpointInfo info, NamespaceThread b) = await _lab.RunAsync(second, "same-id", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8081));
        await _lab.ServeTcpAsync(a, new IPEndPoint(IPAddress.Any, 80), "a ");
        await _lab.ServeTcpAsync(b, new IPEndPoint(IPAddress.Any, 80), "b ");
        Assert.StartsWith("a ", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080));
        Assert.StartsWith("b ", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8081));

        // Between the two networks only what is published.
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(a, info.Address, 80, seconds: 1));
        Assert.StartsWith("b ", await NetworkLab.AskTcpAsync(a, NetworkLab.HostAddress, 8081));

        // A port of the other engine counts as a process' that listens.
        await Assert.ThrowsAsync<NetworkException>(() => _lab.RunAsync(first, "conflict", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8081)));
        await first.RestoreAsync([], None);
        await first.CleanupAsync(None);
        Assert.Equal(["same-id"], await second.ListEndpointsAsync(None));
        Assert.StartsWith("b ", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8081));
    }

    [Fact]
    public async Task The_bridge_takes_the_name_and_address_it_is_told_and_refuses_what_is_no_bridge()
    {
        NetworkException e = await Assert.ThrowsAsync<NetworkException>(async () =>
        {
            await using BridgeNetwork wrong = _lab.Network(new BridgeOptions { BridgeName = "wan" });
            await wrong.EnsureAsync(None);
        });
        Assert.Equal("existing interface wan is not a bridge", e.Message);
        Assert.Throws<NetworkException>(() => _lab.Network(new BridgeOptions { BridgeName = "../../etc" }));
        Assert.Throws<NetworkException>(() => _lab.Network(new BridgeOptions { BridgeName = "sixteen-bytes-xx" }));

        _lab.Run("ip", "link", "add", "admin0", "type", "bridge");
        _lab.Run("ip", "address", "add", "10.9.0.1/24", "dev", "admin0");
        string before = await _lab.SnapshotAsync();
        await using BridgeNetwork network = _lab.Network(new BridgeOptions { BridgeName = "admin0", PoolSize = 0 });
        NetworkInfo info = await network.EnsureAsync(None);
        Assert.Equal(("10.9.0.0/24", "10.9.0.1", true), (info.Ipv4!.Network.ToString(), info.Ipv4!.Gateway.ToString(), info.Adopted));
        Assert.Equal("10.9.0.2", (await _lab.RunAsync(network, "one")).Info.Address.ToString());
        await network.CleanupAsync(None);
        _lab.Run("ip", "link", "set", "admin0", "down");
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task Bip_moves_our_bridge_to_another_subnet()
    {
        await using (BridgeNetwork network = _lab.Network())
        {
            await network.EnsureAsync(None);
        }

        await using BridgeNetwork moved = _lab.Network(new BridgeOptions { Address = (IPAddress.Parse("10.20.30.5"), 24), Mtu = 1400, PoolSize = 1 });
        NetworkInfo info = await moved.EnsureAsync(None);
        Assert.Equal(("10.20.30.0/24", "10.20.30.5", 1400), (info.Ipv4!.Network.ToString(), info.Ipv4!.Gateway.ToString(), info.Mtu));
        (EndpointInfo endpoint, NamespaceThread thread) = await _lab.RunAsync(moved, "one");
        Assert.Equal("10.20.30.1", endpoint.Address.ToString());
        await _lab.RouteToOutsideAsync();
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 80));
        Assert.Equal("198.51.100.1", await NetworkLab.AskTcpAsync(thread, NetworkLab.OutsideAddress, 80));
        Assert.DoesNotContain("172.17", _lab.Run("nft", "list", "ruleset") + _lab.Run("ip", "address"));
    }

    [Fact]
    public async Task An_MTU_that_is_too_small_for_IPv6_is_none_too_small()
    {
        await using BridgeNetwork network = _lab.Network(new BridgeOptions { Mtu = 1000, PoolSize = 1 });
        NetworkInfo info = await network.EnsureAsync(None);
        Assert.Equal(1000, info.Mtu);
        (_, NamespaceThread thread) = await _lab.RunAsync(network, "one");
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Any, 90));
        Assert.Equal("172.17.0.2", await NetworkLab.AskTcpAsync(thread, info.Ipv4!.Gateway, 90));
    }

    [Fact]
    public async Task Fifty_containers_at_once_all_get_connected_and_go_away()
    {
        await using BridgeNetwork network = _lab.Network(new BridgeOptions { PoolSize = 4, IsolatedPoolSize = 1 });
        await network.EnsureAsync(None);
        await network.DrainAsync(None);
        EndpointInfo[] infos = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(async () => (await OnceAsync(i)).Info)));
        Assert.Equal(50, infos.Select(i => i.Address).Distinct().Count());
        Assert.Equal(50, infos.Select(i => i.HostLink).Distinct().Count());
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => network.DetachAsync($"c{i}", None)));
        await network.DrainAsync(None);
        Assert.Empty(await network.ListEndpointsAsync(None));
        Assert.DoesNotContain(await _lab.HostLinksAsync(), link => link.Alias?.Contains("c1", StringComparison.Ordinal) == true);

        async Task<(EndpointInfo Info, Sandbox Sandbox)> OnceAsync(int i)
        {
            using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, None);
            return (await network.AttachAsync(new EndpointRequest { EndpointId = $"c{i}", Name = "c", Ports = [new(PortProtocol.Tcp, 80)] }, sandbox, None), sandbox);
        }
    }

    [Fact]
    public async Task An_isolated_sandbox_has_only_a_loopback_device_that_is_up()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Isolated, None);
        IReadOnlyList<Link> links = await _lab.Container(sandbox).RunAsync(
            () =>
            {
                using RouteSession session = new();
                return session.Links();
            },
            None);
        Assert.Equal(["lo"], links.Where(l => l.IsUp).Select(l => l.Name));
        Assert.DoesNotContain(links, l => l.Name.StartsWith("eth", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nft_shows_rules_a_person_can_read()
    {
        await using BridgeNetwork network = _lab.Network();
        await network.EnsureAsync(None);
        await _lab.RunAsync(network, "one", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080), new PortRequest(PortProtocol.Udp, 53, NetworkLab.HostAddress, 5353));
        string rules = _lab.Run("nft", "list", "ruleset");
        foreach (string line in (string[])
        [
            "comment \"slipway rules 4\"",
            "elements = { tcp . 8080 comment \"slipway0\" : 172.17.0.2 . 80 }",
            "elements = { 198.51.100.1 . udp . 5353 comment \"slipway0\" : 172.17.0.2 . 53 }",
            "elements = { 172.17.0.0/16 comment \"slipway0\" : jump from-slipway0 }",
            "elements = { \"slipway0\" comment \"slipway0\" }",
            "elements = { \"slipway0\" . \"slipway0\" comment \"slipway0\" }",
            "dnat ip to ip daddr . meta l4proto . th dport map @published-addresses",
            "dnat ip to meta l4proto . th dport map @published",
            "ct state new ip daddr != 127.0.0.0/8 fib daddr type local jump admit",
            "iifname @internal drop",
            "dup to ip daddr",
            "oifname \"lo\" ct state untracked fib daddr type local fib saddr type != local jump resume",
            "ct zone set 0",
            "ip saddr vmap @sources",
            "oifname != \"slipway0\" masquerade",
            "oifname \"slipway0\" ct status dnat masquerade comment \"published port reached from the same network\"",
            "ct state established,related accept",
            "oifname @protected drop",
            "iifname . oifname @within accept",
            "ip daddr 127.0.0.0/8 iifname @bridges drop",
        ])
        {
            Assert.Contains(line, rules);
        }
    }
}
