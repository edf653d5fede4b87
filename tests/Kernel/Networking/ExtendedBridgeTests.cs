using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>A network with more links than a bridge has ports is one network all the same.</summary>
public sealed class ExtendedBridgeTests : IAsyncLifetime
{
    private const int Containers = 8;
    private NetworkLab _lab = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    /// <summary>Eight containers are on three bridges: four, three and one.</summary>
    private static BridgeOptions Small => new()
    {
        PoolSize = 0,
        IsolatedPoolSize = 0,
        PortsPerBridge = 4,
        Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:5::1"), 64) },
    };

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task Containers_of_all_its_bridges_reach_each_other_and_are_reached()
    {
        await _lab.RouteToOutsideAsync();
        string before = await _lab.SnapshotAsync();
        await using BridgeNetwork network = _lab.Network(Small);
        await network.EnsureAsync(None);
        (EndpointInfo Info, NamespaceThread Thread)[] all = await RunAllAsync(network);
        Assert.Equal(3, (await _lab.HostLinksAsync()).Count(link => link.Kind == "bridge"));
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 90));
        await CheckAsync(all);
        await network.CleanupAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task The_next_engine_takes_all_bridges_over()
    {
        (EndpointInfo Info, NamespaceThread Thread)[] all;
        await using (BridgeNetwork network = _lab.Network(Small))
        {
            await network.EnsureAsync(None);
            all = await RunAllAsync(network);
        }

        await _lab.RouteToOutsideAsync();
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 90));
        await using BridgeNetwork next = _lab.Network(Small);
        await next.EnsureAsync(None);
        Assert.Empty(await next.RestoreAsync([.. all.Select(one => one.Info)], None));
        Assert.Equal(all.Select(one => one.Info.EndpointId).Order(), (await next.ListEndpointsAsync(None)).Order());
        await CheckAsync(all);

        // A place that was left is taken before another bridge is made.
        await next.DetachAsync("c3", None);
        await next.DetachAsync("c4", None);
        await _lab.RunAsync(next, "heir");
        Assert.Equal(3, (await _lab.HostLinksAsync()).Count(link => link.Kind == "bridge"));
    }

    [Fact]
    public async Task Without_icc_containers_of_no_bridge_reach_each_other()
    {
        await using BridgeNetwork network = _lab.Network(Small with { InterContainer = false });
        await network.EnsureAsync(None);
        (EndpointInfo Info, NamespaceThread Thread)[] all = await RunAllAsync(network);
        await _lab.ServeTcpAsync(_lab.Host, new IPEndPoint(IPAddress.Any, 91), "host ");
        foreach ((int from, int to) in new[] { (0, Containers - 1), (Containers - 1, 0), (4, 3), (5, Containers - 1) })
        {
            Assert.NotEqual($"c{to} {all[from].Info.Address}", await NetworkLab.AskTcpAsync(all[from].Thread, all[to].Info.Address, 80, seconds: 1));
        }

        foreach (int container in new[] { 0, Containers - 1 })
        {
            Assert.Equal($"host {all[container].Info.Address}", await NetworkLab.AskTcpAsync(all[container].Thread, all[0].Info.Ipv4!.Gateway!, 91));
            Assert.StartsWith($"c{container} ", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8000 + container), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_bridge_with_a_thousand_ports_is_extended_before_it_is_full()
    {
        await using BridgeNetwork network = _lab.Network(new BridgeOptions { PoolSize = 0, IsolatedPoolSize = 0 });
        await network.EnsureAsync(None);
        await _lab.Host.RunAsync(
            () =>
            {
                using RouteSession session = new();
                int bridge = session.FindLink("slipway0")!.Index;
                for (int i = 0; i < 495; i++)
                {
                    // Both ends on the bridge: nobody sends there.
                    session.Begin()
                        .AddVeth(new VethPair { Name = $"full{i}", PeerName = $"peer{i}", PeerNamespace = _lab.HostNamespace, Master = bridge })
                        .SetLink($"peer{i}", new LinkChange { Master = bridge })
                        .Execute();
                }
            },
            None);
        await using BridgeNetwork next = _lab.Network(new BridgeOptions { PoolSize = 0, IsolatedPoolSize = 0 });
        await next.EnsureAsync(None);
        List<(EndpointInfo Info, NamespaceThread Thread)> all = [];
        for (int i = 0; i < 40; i++)
        {
            all.Add(await _lab.RunAsync(next, $"c{i}"));
        }

        Assert.Equal(2, (await _lab.HostLinksAsync()).Count(link => link.Kind == "bridge"));
        await _lab.ServeTcpAsync(all[^1].Thread, new IPEndPoint(IPAddress.Any, 80), "last ");
        Assert.Equal($"last {all[0].Info.Address}", await NetworkLab.AskTcpAsync(all[0].Thread, all[^1].Info.Address, 80));
    }

    private async Task<(EndpointInfo Info, NamespaceThread Thread)[]> RunAllAsync(BridgeNetwork network)
    {
        List<(EndpointInfo, NamespaceThread)> all = [];
        for (int i = 0; i < Containers; i++)
        {
            (EndpointInfo info, NamespaceThread thread) = await _lab.RunAsync(network, $"c{i}", new PortRequest(PortProtocol.Tcp, 80, HostPort: (ushort)(8000 + i)));
            await _lab.ServeTcpAsync(thread, new IPEndPoint(IPAddress.IPv6Any, 80), $"c{i} ");
            await _lab.ServeTcpAsync(thread, new IPEndPoint(IPAddress.Any, 80), $"c{i} ");
            all.Add((info, thread));
        }

        return [.. all];
    }

    private async Task CheckAsync((EndpointInfo Info, NamespaceThread Thread)[] all)
    {
        const int Last = Containers - 1;
        foreach ((int from, int to) in new[] { (0, Last), (Last, 0), (4, Last), (4, 1) })
        {
            Assert.Equal($"c{to} {all[from].Info.Address}", await NetworkLab.AskTcpAsync(all[from].Thread, all[to].Info.Address, 80));
            Assert.Equal($"c{to} {all[from].Info.Ipv6!.Address}", await NetworkLab.AskTcpAsync(all[from].Thread, all[to].Info.Ipv6!.Address, 80));

            // By the host's address, where the first packet is redirected.
            Assert.StartsWith($"c{to} ", await NetworkLab.AskTcpAsync(all[from].Thread, NetworkLab.HostAddress, 8000 + to), StringComparison.Ordinal);
            Assert.StartsWith($"c{to} ", await NetworkLab.AskTcpAsync(all[from].Thread, NetworkLab.HostAddress6, 8000 + to), StringComparison.Ordinal);
        }

        Assert.Equal($"c{Last} {NetworkLab.OutsideAddress}", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, 8000 + Last));
        Assert.StartsWith($"c{Last} ", await NetworkLab.AskTcpAsync(_lab.Host, IPAddress.Loopback, 8000 + Last), StringComparison.Ordinal);
        Assert.Equal(NetworkLab.HostAddress.ToString(), await NetworkLab.AskTcpAsync(all[Last].Thread, NetworkLab.OutsideAddress, 90));
    }
}
