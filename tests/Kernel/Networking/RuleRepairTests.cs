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

    [Theory]
    [InlineData("flush chain ip slipway-lab forward")]
    [InlineData("flush chain ip6 slipway-lab postrouting")]
    [InlineData("flush table ip slipway-lab")]
    [InlineData("flush set ip slipway-lab protected")]
    [InlineData("flush map ip slipway-lab published")]
    [InlineData("delete element ip6 slipway-lab published { udp . 5353 }")]
    [InlineData("flush chain bridge slipway-lab frame")]
    [InlineData("flush set bridge slipway-lab guarded")]
    [InlineData("delete chain ip slipway-lab forward")]
    [InlineData("flush chain ip slipway-lab output; delete chain ip slipway-lab output; flush chain ip slipway-lab from-br-other")]
    public async Task What_a_table_lost_is_there_again(string command)
    {
        await using BridgeNetwork other = new(
            new BridgeOptions { BridgeName = "br-other", PoolSize = 0, IsolatedPoolSize = 0, Antispoof = true }, TimeProvider.System, _ports.Engine);
        await other.EnsureAsync(Cancel);
        await Lab.RunAsync(other, "neighbour", new PortRequest(PortProtocol.Tcp, 90, HostPort: 9090));
        string before = Rules();
        Assert.Equal(0, Count());
        Lab.Run("nft", command);
        await UntilAsync(() => Count() > 0);
        Assert.Equal(before, Rules());
        Assert.All(_reports, report => Assert.Null(report.Failure));
        Assert.Equal("8080 8081 5353 | 8080 8081 5353", await _ports.OpenAsync());

        // Neither making it again nor changes of the engine's own are taken for those of others.
        await other.DetachAsync("neighbour", Cancel);
        await other.CleanupAsync(Cancel);
        Lab.Run("nft", "delete table ip6 slipway-lab");
        await UntilAsync(() => Count() > 1);
        Assert.Equal(2, Count());
    }

    [Fact]
    public async Task A_single_rule_that_is_deleted_is_there_again()
    {
        string before = Rules();
        string[] rules = Lab.Run("nft", "-a", "list", "chain", "ip", "slipway-lab", "forward").Split('\n');
        string last = rules.Last(line => line.Contains("# handle", StringComparison.Ordinal));
        Lab.Run("nft", $"delete rule ip slipway-lab forward handle {last[(last.LastIndexOf(' ') + 1)..]}");
        await UntilAsync(() => Count() > 0);
        Assert.Equal(before, Rules());
    }

    /// <summary>More than a socket takes by default, in one request and in acknowledgements of it.</summary>
    [Fact]
    public async Task Many_ports_and_networks_are_made_again_at_once()
    {
        const int Networks = 60;
        List<BridgeNetwork> made = [];
        try
        {
            for (int i = 0; i < Networks; i++)
            {
                made.Add(new BridgeNetwork(
                    new BridgeOptions { BridgeName = $"br-many{i}", PoolSize = 0, IsolatedPoolSize = 0, Address = (IPAddress.Parse($"10.77.{i}.1"), 24) }, TimeProvider.System, _ports.Engine));
                await made[^1].EnsureAsync(Cancel);
            }

            await Lab.RunAsync(made[0], "many", [.. Enumerable.Range(0, 3000).Select(i => new PortRequest(PortProtocol.Udp, 53, HostPort: (ushort)(20000 + i)))]);
            string before = Rules();
            foreach (string command in (string[])["flush chain ip slipway-lab forward", "flush ruleset"])
            {
                int count = Count();
                Lab.Run("nft", command);
                await UntilAsync(() => Count() > count);
                Assert.Equal(before, Rules());
            }

            Assert.All(_reports, report => Assert.Null(report.Failure));
            Assert.Equal(2, Count());
        }
        finally
        {
            foreach (BridgeNetwork network in made)
            {
                await network.DisposeAsync();
            }
        }
    }

    [Fact]
    public async Task Tables_of_others_are_their_matter()
    {
        Lab.Run("nft", "add table inet theirs");
        Lab.Run("nft", "add table ip slipway-other; add chain ip slipway-other forward; add rule ip slipway-other forward accept");
        Lab.Run("nft", "flush chain ip slipway-other forward");
        Lab.Run("nft", "delete table inet theirs");

        // What was told before this is worked off before what is told by it.
        Lab.Run("nft", "delete table ip6 slipway-lab");
        await UntilAsync(() => Count() > 0);
        Assert.Equal(1, Count());
        Assert.DoesNotContain("accept", Lab.Run("nft", "list", "table", "ip", "slipway-other"), StringComparison.Ordinal);
        Lab.Run("nft", "delete table ip slipway-other");
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
