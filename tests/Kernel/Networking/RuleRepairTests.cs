using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>Rules that another program deletes are made again.</summary>
public sealed class RuleRepairTests : IAsyncLifetime
{
    private readonly List<(string Message, Exception? Failure)> _reports = [];
    private PublishedPortsLab _ports = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private NetworkLab Lab => _ports.Lab;

    public async ValueTask InitializeAsync() => _ports = await PublishedPortsLab.CreateAsync(PortAdmission.Input, Report);

    public ValueTask DisposeAsync() => _ports.DisposeAsync();

    [Fact]
    public async Task A_flush_of_all_rules_is_repaired_and_everything_is_undone_in_the_end()
    {
        const string All = "8080 8081 5353 | 8080 8081 5353";
        await using BridgeNetwork other = new(
            new BridgeOptions { BridgeName = "br-other", PoolSize = 0, IsolatedPoolSize = 0, Antispoof = true }, TimeProvider.System, _ports.Engine);
        await other.EnsureAsync(Cancel);
        (EndpointInfo neighbour, Slipway.Kernel.Netlink.NamespaceThread inside) = await Lab.RunAsync(other, "neighbour", new PortRequest(PortProtocol.Tcp, 90, HostPort: 9090));
        await Lab.ServeTcpAsync(inside, new IPEndPoint(IPAddress.Any, 90), "served ");
        string before = Rules();
        for (int time = 1; time <= 2; time++)
        {
            Lab.Run("nft", "flush ruleset");
            await UntilAsync(() => Count() == time);
            Assert.Equal(before, Rules());
        }

        Assert.Equal(All, await _ports.OpenAsync());
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(Lab.Outside, NetworkLab.HostAddress, 9090), StringComparison.Ordinal);
        Assert.All(_reports, report => Assert.Null(report.Failure));

        // What notes of the host's settings were flushed is known all the same.
        await other.DetachAsync(neighbour.EndpointId, Cancel);
        await other.CleanupAsync(Cancel);
        await _ports.Network.CleanupAsync(Cancel);
        Assert.Equal("", Rules());
        Assert.Equal("0", await Lab.Host.RunAsync(() => File.ReadAllText("/proc/sys/net/ipv4/ip_forward").Trim(), Cancel));
        Assert.Equal("0", await Lab.Host.RunAsync(() => File.ReadAllText("/proc/sys/net/ipv6/conf/all/forwarding").Trim(), Cancel));
        Assert.Equal(2, Count());
    }

    [Fact]
    public async Task Tables_of_others_are_their_matter()
    {
        Lab.Run("nft", "add table inet theirs");
        Lab.Run("nft", "delete table inet theirs");

        // What was told before this is worked off before what is told by it.
        Lab.Run("nft", "delete table ip6 slipway-lab");
        await UntilAsync(() => Count() > 0);
        Assert.Equal(1, Count());
        Assert.Contains("table ip6 slipway-lab", Lab.Run("nft", "list", "tables"), StringComparison.Ordinal);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(60));
        while (!condition())
        {
            await Task.Delay(20, patience.Token);
        }
    }

    /// <summary>As nft shows them, in an order that does not depend on when they were made.</summary>
    private string Rules() => string.Join('\n', Lab.Run("nft", "list", "ruleset").Split('\n').Order(StringComparer.Ordinal)).Trim();

    private int Count()
    {
        lock (_reports)
        {
            return _reports.Count;
        }
    }

    private void Report(string message, Exception? failure)
    {
        lock (_reports)
        {
            _reports.Add((message, failure));
        }
    }
}
