using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Five hosts on a switch, an engine on each.</summary>
public sealed class FiveHosts : IAsyncLifetime
{
    public const int Count = 5;

    public ClusterLab Lab { get; } = new("ov", Count);

    public async ValueTask InitializeAsync() => await Lab.Start();

    public ValueTask DisposeAsync() => Lab.DisposeAsync();
}

/// <summary>Networks that span five hosts, of which one is killed, cut off, slow, and comes back.</summary>
public sealed class OverlayTests(FiveHosts hosts) : IClassFixture<FiveHosts>
{
    private const string Serve = "exec nc -l -k -p 80 -e hostname";

    private ClusterLab Lab => hosts.Lab;

    private static IEnumerable<int> All => Enumerable.Range(0, FiveHosts.Count);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Containers_on_all_hosts_reach_each_other_by_name()
    {
        await Make("names");
        await Task.WhenAll(All.Select(host => Run(host, "names", $"web{host}")));
        await Task.WhenAll(All.SelectMany(host => new[] { Reaches(0, "web0", $"web{host}"), Reaches(host, $"web{host}", $"web{(host + 1) % FiveHosts.Count}") }));

        // What is removed is no more known anywhere, and the last that goes lets the network go.
        (await Lab.Docker(2).Run("network", "rm", "names")).Exited(1).Says("has active endpoints");
        await Lab.Docker(1).Ok("rm", "-f", "web1");
        await Until(async () => (await Lab.Docker(3).Run("exec", "web3", "nslookup", "web1")).ExitCode != 0, "web1 is forgotten");
        await Task.WhenAll(All.Select(host => Lab.Docker(host).Run("rm", "-f", $"web{host}")));
        await Remove(4, "names");
    }

    [Fact]
    public async Task Addresses_never_collide_when_all_hosts_start_containers_at_once_and_one_is_cut_off()
    {
        const int PerHost = 6;
        await Make("many");
        await Lab.Cut(4);
        await Task.WhenAll(from host in All from number in Enumerable.Range(0, PerHost) select Lab.Docker(host).Ok("run", "-d", "--network", "many", "--name", $"m{number}", "alpine", "sleep", "600"));
        var addresses = await Addresses("many", PerHost);
        Assert.Equal(FiveHosts.Count * PerHost, addresses.Distinct().Count());

        // Nothing that needs the others is agreed on by one that is cut off, or in its absence against it.
        (await Lab.Docker(4).Run("network", "create", "-d", "overlay", "alone")).Exited(1).Says("more than half of the cluster's members must agree");
        Assert.DoesNotContain("alone", await Lab.Docker(4).Ok("network", "ls"), StringComparison.Ordinal);
        await Lab.Join(4);
        await Until(async () => (await Lab.Docker(0).Run("network", "inspect", "-f", "{{len .Peers}}", "many")).Line == "5", "the host is back");
        await Run(4, "many", "back");
        await Reaches(0, "m0", "back");
        Assert.Equal(addresses, await Addresses("many", PerHost));
        await Task.WhenAll(All.Select(async host => await Lab.Docker(host).Run(["rm", "-f", .. (await Lab.Docker(host).Run("ps", "-aq")).Lines])));
        await Remove(0, "many");
    }

    [Fact]
    public async Task A_host_that_dies_leaves_and_one_that_returns_rejoins()
    {
        await Make("fates");
        await Run(0, "fates", "stays");
        await Run(3, "fates", "dies");
        await Reaches(0, "stays", "dies");
        await Lab.Engines[3].Kill();
        await Reaches(0, "stays", "dies"); // its host is there, and its containers are
        await Lab.Cut(3);
        await Until(async () => (await Lab.Docker(0).Run("exec", "stays", "nslookup", "dies")).ExitCode != 0, "the host is gone");
        await Until(
            async () => !(await Lab.Docker(1).Ok("network", "inspect", "-f", "{{.Peers}}", "fates")).Contains(ClusterLab.Address(3), StringComparison.Ordinal), "another host has noticed it too");

        // The network is used and changed meanwhile, and the host that returns learns it.
        await Run(1, "fates", "new");
        await Lab.Docker(0).Ok("network", "create", "-d", "overlay", "meanwhile");
        await Lab.Join(3);
        await Lab.Engines[3].Start();
        await Reaches(3, "dies", "stays");
        await Reaches(3, "dies", "new");
        await Reaches(0, "stays", "dies");
        await Known(3, "meanwhile");
        await Task.WhenAll(Lab.Docker(0).Ok("rm", "-f", "stays"), Lab.Docker(3).Ok("rm", "-f", "dies"), Lab.Docker(1).Ok("rm", "-f", "new"));
        await Remove(3, "meanwhile");
        await Remove(1, "fates");
    }

    [Fact]
    public async Task A_network_that_was_removed_is_removed_where_a_host_was_cut_off()
    {
        await Make("gone");
        await Lab.Cut(2);
        await Until(async () => (await Lab.Docker(0).Run("network", "inspect", "-f", "{{len .Peers}}", "gone")).Line == "4", "the host is gone");
        await Lab.Docker(0).Ok("network", "rm", "gone");
        await Until(() => Succeeds(Lab.Docker(1), "network", "create", "-d", "overlay", "gone"), "another of the same name is made");
        var id = await Lab.Docker(1).Ok("network", "inspect", "-f", "{{.Id}}", "gone");
        await Lab.Join(2);
        await Until(async () => (await Lab.Docker(2).Run("network", "inspect", "-f", "{{.Id}}", "gone")).Line == id, "the new network is known");
        await Remove(2, "gone");
    }

    [Fact]
    public async Task A_slow_host_stays_a_member()
    {
        await Make("slow");
        await Run(1, "slow", "fast");
        await Lab.Slow(4, kilobits: 256);
        try
        {
            await Run(4, "slow", "slow");
            await Reaches(1, "fast", "slow");
            await Reaches(4, "slow", "fast");
            Assert.Equal("5", await Lab.Docker(1).Ok("network", "inspect", "-f", "{{len .Peers}}", "slow"));
        }
        finally
        {
            await Lab.Quicken(4);
        }
        await Task.WhenAll(Lab.Docker(1).Ok("rm", "-f", "fast"), Lab.Docker(4).Ok("rm", "-f", "slow"));
        await Remove(4, "slow");
    }

    private static async Task<bool> Succeeds(Docker docker, params string[] arguments) => (await docker.Run(arguments)).ExitCode == 0;

    /// <summary>Makes a network on one host and waits until all have it.</summary>
    private async Task Make(string network)
    {
        await Until(() => Succeeds(Lab.Docker(1), "network", "create", "-d", "overlay", "--attachable", network), $"{network} is made");
        await Task.WhenAll(All.Select(host => Known(host, network)));
    }

    private async Task Known(int host, string network) => await Until(
        async () => (await Programs.Run("ip", ["-n", Lab.Engines[host].Namespace, "link", "show", $"ov-{(await Lab.Docker(host).Run("network", "inspect", "-f", "{{.Id}}", network)).Line.PadRight(12)[..12]}"])).ExitCode == 0,
        $"{network} is at host {host}");

    private async Task Remove(int host, string network)
    {
        await Until(() => Succeeds(Lab.Docker(host), "network", "rm", network), $"{network} is removed");
        await Task.WhenAll(All.Select(other => Until(async () => (await Lab.Docker(other).Run("network", "inspect", network)).ExitCode != 0, $"{network} is gone from host {other}")));
    }

    private Task<string> Run(int host, string network, string name) => Lab.Docker(host).Ok("run", "-d", "--network", network, "--name", name, "--hostname", name, "alpine", "sh", "-c", Serve);

    private Task Reaches(int host, string from, string to) =>
        Until(async () => (await Lab.Docker(host).Run("exec", from, "sh", "-c", $"nc -w 2 {to} 80 < /dev/null")).Line == to, $"{from} reaches {to}");

    private async Task<string[]> Addresses(string network, int perHost)
    {
        List<string> addresses = [];
        foreach (var host in All)
        {
            addresses.AddRange((await Lab.Docker(host).Run(["inspect", "-f", $"{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}", .. Enumerable.Range(0, perHost).Select(number => $"m{number}")])).Ok().Lines);
        }
        return [.. addresses];
    }

    private static async Task Until(Func<Task<bool>> condition, string what)
    {
        for (var clock = Stopwatch.StartNew(); !await condition(); await Task.Delay(50, Cancellation))
        {
            Assert.True(clock.Elapsed < Programs.Limit(40), $"not reached: {what}");
        }
    }
}
