using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>2,000 published ports: each leads where it should, conflicts are seen among all of them, and nothing is left.</summary>
public sealed class ManyPortsTests : IAsyncLifetime
{
    private const int Containers = 4;
    private const int Each = 500;
    private const int First = 20000;

    private NetworkLab _lab = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Fact]
    public async Task The_first_and_the_last_of_2000_ports_lead_to_their_containers()
    {
        await using BridgeNetwork network = _lab.Network(new BridgeOptions { PoolSize = 0, IsolatedPoolSize = 0 });
        await network.EnsureAsync(None);
        string before = await _lab.SnapshotAsync();
        for (int i = 0; i < Containers; i++)
        {
            (_, Slipway.Kernel.Netlink.NamespaceThread inside) = await _lab.RunAsync(network, $"c{i}", [.. Ports(i)]);
            await _lab.ServeTcpAsync(inside, new IPEndPoint(IPAddress.Any, 80), $"c{i} ");
        }

        for (int i = 0; i < Containers; i++)
        {
            Assert.StartsWith($"c{i} ", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, First + (i * Each)), StringComparison.Ordinal);
            Assert.StartsWith($"c{i} ", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress, First + ((i + 1) * Each) - 1), StringComparison.Ordinal);
        }

        PortRequest taken = new(PortProtocol.Tcp, 80, HostPort: First + (Containers * Each) - 1);
        NetworkException conflict = await Assert.ThrowsAsync<NetworkException>(() => _lab.RunAsync(network, "late", taken));
        Assert.Contains("port is already allocated", conflict.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<NetworkException>(() => _lab.RunAsync(network, "late", taken with { HostAddress = NetworkLab.HostAddress }));

        // The same port of another protocol is free, and so is each of one that is gone.
        await _lab.RunAsync(network, "datagrams", taken with { Protocol = PortProtocol.Udp });
        await network.DetachAsync($"c{Containers - 1}", None);
        await _lab.RunAsync(network, "late", taken);
        foreach (string id in (string[])["late", "datagrams", .. Enumerable.Range(0, Containers - 1).Select(i => $"c{i}")])
        {
            await network.DetachAsync(id, None);
        }

        await network.DrainAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    private static IEnumerable<PortRequest> Ports(int container) =>
        Enumerable.Range(First + (container * Each), Each).Select(port => new PortRequest(PortProtocol.Tcp, 80, HostPort: (ushort)port));
}
