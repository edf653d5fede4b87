using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>The networks of one engine share one table: what a packet passes does not grow with them, and they stay apart in it.</summary>
public sealed class SharedTableTests : IAsyncLifetime
{
    private const string Table = "slipway-lab";
    private NetworkLab _lab = null!;
    private NetworkHost _host = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    private static PortRequest Port8080 => new(PortProtocol.Tcp, 80, HostPort: 8080);

    public async ValueTask InitializeAsync()
    {
        _lab = await NetworkLab.CreateAsync();
        _host = new NetworkHost("lab", _lab.HostNamespace);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _lab.DisposeAsync();
    }

    [Fact]
    public async Task What_a_packet_passes_is_the_same_beside_one_network_and_beside_twenty()
    {
        await _lab.RouteToOutsideAsync();
        string before = await _lab.SnapshotAsync();
        await using BridgeNetwork first = await MakeAsync(0);
        string[] alone = Hooks();
        List<BridgeNetwork> others = [];
        for (int i = 1; i < 20; i++)
        {
            others.Add(await MakeAsync(i));
        }

        Assert.Equal(alone, Hooks());
        Assert.Equal(["table ip slipway-lab", "table ip slipway.forwarding"], _lab.Run("nft", "list", "tables").Split('\n', StringSplitOptions.RemoveEmptyEntries).Order());

        // Neighbouring subnets end where the next begins: each has its own source address outside.
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 80));
        foreach (BridgeNetwork network in new[] { others[5], others[6] })
        {
            (EndpointInfo info, NamespaceThread inside) = await _lab.RunAsync(network, "client");
            Assert.Equal(NetworkLab.HostAddress.ToString(), await NetworkLab.AskTcpAsync(inside, NetworkLab.OutsideAddress, 80));
            await network.DetachAsync(info.EndpointId, None);
        }

        foreach (BridgeNetwork network in others)
        {
            await network.CleanupAsync(None);
            await network.DisposeAsync();
        }

        Assert.Equal(alone, Hooks());
        Assert.DoesNotContain("br-1", _lab.Run("nft", "list", "ruleset"), StringComparison.Ordinal);
        await first.CleanupAsync(None);
        await first.DrainAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task Networks_of_one_table_stay_apart_and_go_one_by_one()
    {
        await using BridgeNetwork open = await MakeAsync(1);
        await using BridgeNetwork other = await MakeAsync(2);
        await using BridgeNetwork closed = await MakeAsync(3, options => options with { Internal = true });
        await using BridgeNetwork bare = await MakeAsync(4, options => options with { Masquerade = false });
        (EndpointInfo one, NamespaceThread server) = await _lab.RunAsync(open, "server", Port8080);
        (EndpointInfo hidden, NamespaceThread inner) = await _lab.RunAsync(closed, "hidden", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8081));
        (_, NamespaceThread neighbour) = await _lab.RunAsync(other, "neighbour");
        (EndpointInfo unhidden, NamespaceThread plain) = await _lab.RunAsync(bare, "plain");
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80), "one ");
        await _lab.ServeTcpAsync(inner, new IPEndPoint(IPAddress.Any, 80), "hidden ");

        await CheckAsync();
        Assert.Equal($"one {unhidden.Address}", await NetworkLab.AskTcpAsync(plain, NetworkLab.HostAddress, 8080));

        // One goes, the others are as before.
        await bare.CleanupAsync(None);
        await CheckAsync();

        async Task CheckAsync()
        {
            Assert.Equal($"one {NetworkLab.OutsideAddress}", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
            Assert.StartsWith("one ", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8080), StringComparison.Ordinal);
            Assert.StartsWith("one ", await NetworkLab.AskTcpAsync(server, NetworkLab.HostAddress, 8080), StringComparison.Ordinal);
            Assert.StartsWith("one ", await NetworkLab.AskTcpAsync(neighbour, NetworkLab.HostAddress, 8080), StringComparison.Ordinal);
            Assert.Equal("timeout", await NetworkLab.AskTcpAsync(neighbour, one.Address, 80, seconds: 1));
            Assert.Equal("timeout", await NetworkLab.AskTcpAsync(server, hidden.Address, 80, seconds: 1));
            Assert.NotEqual($"one {hidden.Address}", await NetworkLab.AskTcpAsync(inner, NetworkLab.HostAddress, 8080, seconds: 1));
            Assert.Equal($"hidden {One(3)}", await NetworkLab.AskTcpAsync(_lab.Host, hidden.Address, 80));
        }
    }

    [Fact]
    public async Task A_table_of_an_earlier_version_goes_with_the_first_start()
    {
        _lab.Run("nft", "add table ip slipway-br-1 { comment \"slipway rules 2 for 10.1.1.0/24\"; }; add table ip slipway-br-9 { comment \"somebody else's\"; }");
        _lab.Run("nft", $"add table ip {Table} {{ comment \"slipway rules 1\"; }}; add chain ip {Table} old {{ type filter hook forward priority 0; policy drop; }}");
        await using BridgeNetwork network = await MakeAsync(1);
        string rules = _lab.Run("nft", "list", "ruleset");
        Assert.DoesNotContain("slipway-br-1", rules, StringComparison.Ordinal);
        Assert.DoesNotContain("chain old", rules, StringComparison.Ordinal);
        Assert.Contains("slipway-br-9", rules, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_another_network_did_not_give_back_leads_to_whom_it_is_restored_for()
    {
        await using BridgeNetwork crashed = await MakeAsync(1);
        await _lab.RunAsync(crashed, "old", Port8080);
        await crashed.DisposeAsync();
        await using BridgeNetwork network = await MakeAsync(2);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "new");
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80), "new ");
        await network.DisposeAsync();
        await using BridgeNetwork again = await MakeAsync(2);
        Assert.Empty(await again.RestoreAsync([info with { Ports = [new PublishedPort(PortProtocol.Tcp, 80, IPAddress.Any, 8080)] }], None));
        Assert.StartsWith("new ", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_network_that_was_removed_may_be_made_again_while_the_kernel_removes_its_bridge()
    {
        await using BridgeNetwork first = await MakeAsync(1);
        for (int round = 0; round < 5; round++)
        {
            await first.RetireAsync(None);
            Assert.DoesNotContain("10.1.1.", _lab.Run("ip", "address") + _lab.Run("ip", "route"), StringComparison.Ordinal);
            Assert.False((await first.EnsureAsync(None)).Adopted);
            (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(first, "server", Port8080);
            await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 80), "again ");
            Assert.Equal($"again {NetworkLab.OutsideAddress}", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8080));
            await first.DetachAsync(info.EndpointId, None);
        }

        await first.RetireAsync(None);
        await first.DrainAsync(None);
        Assert.DoesNotContain(await _lab.HostLinksAsync(), link => link.Name == "br-1");
    }

    [Fact]
    public async Task A_removal_that_an_engine_did_not_finish_the_next_one_does()
    {
        await using BridgeNetwork network = await MakeAsync(1);
        await network.DisposeAsync();
        _lab.Run("ip", "link", "set", "br-1", "alias", "slipway removed");
        _lab.Run("ip", "link", "add", "br-2", "type", "bridge");
        await using NetworkHost next = new("lab", _lab.HostNamespace);
        await next.RunAsync(_ => true, None);
        await next.DrainAsync(None);
        Assert.Equal(["br-2"], (await _lab.HostLinksAsync()).Where(link => link.Kind == "bridge").Select(link => link.Name));
    }

    private static IPAddress One(int network) => IPAddress.Parse($"10.1.{network}.1");

    private async Task<BridgeNetwork> MakeAsync(int number, Func<BridgeOptions, BridgeOptions>? change = null)
    {
        BridgeOptions options = new() { BridgeName = $"br-{number}", Address = (One(number), 24), PoolSize = 0, IsolatedPoolSize = 0 };
        BridgeNetwork network = new(change?.Invoke(options) ?? options, TimeProvider.System, _host);
        await network.EnsureAsync(None);
        return network;
    }

    /// <summary>The rules of the chains that the kernel calls.</summary>
    private string[] Hooks()
    {
        string[] lines = _lab.Run("nft", "--stateless", "list", "table", "ip", Table).Split('\n');
        return [.. lines.SkipWhile(line => !line.StartsWith("\tchain", StringComparison.Ordinal)).TakeWhile(line => !line.Contains("chain from-", StringComparison.Ordinal))];
    }
}
