using System.Diagnostics;
using System.Net;
using Slipway.Kernel.Netlink;
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
    public async Task A_program_that_undoes_every_repair_is_told_of_once_and_answered_more_and_more_slowly()
    {
        const int AtOnce = 10;
        const int Times = AtOnce + 4;
        string before = Rules();
        TimeSpan last = default;
        for (int time = 1; time <= Times; time++)
        {
            Stopwatch clock = Stopwatch.StartNew();
            Lab.Run("nft", "delete table ip slipway-lab");
            await UntilAsync(() => Lab.Run("nft", "list", "tables").Contains("ip slipway-lab", StringComparison.Ordinal) && Count() >= Math.Min(time, AtOnce));
            last = clock.Elapsed;
        }

        // 0.1 s, 0.2 s, 0.4 s, 0.8 s: nobody is busy with it, and the rules are there at the end.
        Assert.True(last > TimeSpan.FromSeconds(0.7), $"the last repair came after {last}");
        Assert.Equal(before, Rules());
        Assert.Equal(AtOnce + 1, Count());
        Assert.StartsWith("another program deletes the rules of networks again and again", _reports[^1].Message, StringComparison.Ordinal);
        Assert.All(_reports[..AtOnce], report => Assert.Equal("rules of networks were deleted by another program, and made again", report.Message));
        Assert.Equal("8080 8081 5353 | 8080 8081 5353", await _ports.OpenAsync());
    }

    [Fact]
    public async Task After_notifications_were_lost_emptied_chains_are_made_again()
    {
        string before = Rules();
        (bool repaired, string flushed, string after) = await _ports.Engine.RunAsync(
            sessions =>
            {
                // On the engine's own thread, where a repair because of the notification can only come later.
                Lab.Run("nft", "flush chain ip slipway-lab forward; flush chain ip6 slipway-lab postrouting");
                string flushed = Rules();
                return (sessions.RepairRules(new HashSet<NfTablesDeletion> { NfTablesDeletion.Missed }), flushed, Rules());
            },
            Cancel);
        Assert.NotEqual(before, flushed);
        Assert.True(repaired);
        Assert.Equal(before, after);
    }

    [Fact]
    public async Task Notifications_that_are_too_many_for_the_backlog_are_told_as_missed()
    {
        using NfTablesMonitor monitor = await Lab.Host.RunAsync(() => new NfTablesMonitor(_ => false, backlog: 4096), Cancel);
        Lab.Run("nft", "add table ip theirs; add chain ip theirs one");
        Assert.Equal([new NfTablesDeletion(NfTablesFamily.Ipv4, "theirs", IsWhole: false)], await DeletedAsync("delete chain ip theirs one"));

        // Nobody reads meanwhile.
        string many = string.Concat(Enumerable.Range(0, 200).Select(i => $"add chain ip theirs c{i}; "));
        for (int time = 0; time < 5; time++)
        {
            Lab.Run("nft", many);
            Lab.Run("nft", "delete table ip theirs; add table ip theirs");
        }

        Assert.Contains(NfTablesDeletion.Missed, await DeletedAsync("delete table ip theirs"));

        async Task<HashSet<NfTablesDeletion>> DeletedAsync(string command)
        {
            Lab.Run("nft", command);
            return await Task.Run(monitor.Wait, Cancel) ?? [];
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
