using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>
/// A host is as it was before the engine's first start, when networks are pruned and the engine has cleaned up: links, addresses, routes,
/// rules of routing and of nf_tables, settings of the kernel. The host is a network namespace with no others in it.
/// </summary>
public sealed class NetworkCleanupTests
{
    /// <summary>What the kernel counts, and what it reports of itself.</summary>
    private static readonly string[] s_moving = ["nf_conntrack_count", "/route/flush", "random", "gc_stale_time_last", "/nf_log/"];

    [Fact]
    public async Task The_host_is_as_before_the_first_start()
    {
        await using var engine = new Engine("hclean") { OwnNetworkNamespace = true };
        await engine.MakeNetworkNamespace();

        // A host with a network of its own, and a firewall that somebody else wrote.
        await Ok(engine, "ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1");
        await Ok(engine, "ip", "addr", "add", "192.0.2.1/24", "dev", "lan0");
        await Ok(engine, "ip", "addr", "add", "2001:db8:77::1/64", "dev", "lan0", "nodad");
        await Ok(engine, "ip", "link", "set", "lan0", "up");
        await Ok(engine, "ip", "link", "set", "lan1", "up");
        await Ok(engine, "ip", "route", "add", "default", "via", "192.0.2.2");
        await Ok(engine, "nft", "add table inet host; add chain inet host input { type filter hook input priority 0; policy accept; }; add rule inet host input tcp dport 9 drop");
        await Settled(engine);
        var before = await State(engine);
        Assert.NotEmpty(before.Settings);

        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        await Use(engine.Docker);
        Assert.NotEqual(before.Links, (await State(engine)).Links);
        await engine.Kill();
        await engine.Start();
        await engine.Docker.Ok("rm", "-f", "web", "six", "lan", "default");
        await engine.Docker.Ok("network", "prune", "-f");
        Assert.Equal("bridge host none", string.Join(' ', (await engine.Docker.Run("network", "ls", "--format", "{{.Name}}")).Ok().Lines.Order(StringComparer.Ordinal)));
        await engine.Stop();
        await engine.CleanUp();
        Same(before, await State(engine));

        // Also of an engine that was killed while its networks were there, and never came back.
        await engine.Start();
        await Use(engine.Docker);
        await engine.Kill();
        await engine.CleanUp();
        Same(before, await State(engine));
    }

    /// <summary>Makes one network of each kind and containers on them.</summary>
    private static async Task Use(Docker docker)
    {
        var subnet = TestSubnet.Next();
        string[][] networks =
        [
            ["--subnet", $"{subnet}.0/24", "plain"], ["--ipv6", "sixes"], ["--internal", "closed"], ["-o", "com.docker.network.bridge.enable_icc=false", "apart"],
            ["-o", "com.docker.network.bridge.gateway_mode_ipv4=routed", "routed"], ["-d", "macvlan", "-o", "parent=lan0", "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.128/25", "outer"],
            ["-d", "macvlan", "inner"], ["-o", "com.docker.network.bridge.enable_ip_masquerade=false", "open"],
        ];
        foreach (var network in networks)
        {
            await docker.Ok(["network", "create", .. network]);
        }

        await docker.Ok("run", "-d", "--stop-signal", "KILL", "--name", "web", "--network", "plain", "-p", "8080:80", "-p", "127.0.0.1:8081:81/udp", "alpine", "sleep", "1000");
        await docker.Ok("network", "connect", "closed", "web");
        await docker.Ok("network", "connect", "apart", "web");
        await docker.Ok("network", "connect", "routed", "web");
        await docker.Ok("run", "-d", "--stop-signal", "KILL", "--name", "six", "--network", "sixes", "-p", "[::]:8082:80", "alpine", "sleep", "1000");
        await docker.Ok("run", "-d", "--stop-signal", "KILL", "--name", "lan", "--network", "outer", "alpine", "sleep", "1000");
        await docker.Ok("network", "connect", "inner", "lan");
        await docker.Ok("run", "-d", "--stop-signal", "KILL", "--name", "default", "-p", "8083:80", "alpine", "sleep", "1000");
    }

    private static void Same(HostState before, HostState after)
    {
        Assert.Equal(before.Links, after.Links);
        Assert.Equal(before.Addresses, after.Addresses);
        Assert.Equal(before.Routes, after.Routes);
        Assert.Equal(before.RoutingRules, after.RoutingRules);
        Assert.Equal(before.FirewallRules, after.FirewallRules);

        // The first network may load a module of the kernel's, which brings settings that were not there.
        foreach (var (name, value) in before.Settings)
        {
            Assert.True(after.Settings.TryGetValue(name, out var now) && now == value, $"{name} was {value}, and is {now}");
        }
    }

    /// <summary>Addresses of a new link appear by themselves, a moment after it is up.</summary>
    private static async Task Settled(Engine engine)
    {
        for (var i = 0; i < 200; i++)
        {
            var text = await Ok(engine, "ip", "-6", "addr");
            if (!text.Contains("tentative", StringComparison.Ordinal) && text.Split("fe80:").Length == 3)
            {
                return;
            }

            await Task.Delay(50, TestContext.Current.CancellationToken);
        }

        Assert.Fail("link-local addresses did not settle");
    }

    private static async Task<HostState> State(Engine engine) => new(
        Lines(await Ok(engine, "ip", "-d", "link")),
        Lines(await Ok(engine, "ip", "addr")),
        [.. Lines(await Ok(engine, "ip", "route", "show", "table", "all")), .. Lines(await Ok(engine, "ip", "-6", "route", "show", "table", "all"))],
        [.. Lines(await Ok(engine, "ip", "rule")), .. Lines(await Ok(engine, "ip", "-6", "rule"))],
        await Ok(engine, "nft", "list", "ruleset"),
        Settings((await Programs.Run(engine.Inside[0], [.. engine.Inside[1..], "grep", "-rs", "", "/proc/sys/net"])).Output));

    /// <summary>The index of a link that stays does not change; an address' remaining lifetime does.</summary>
    private static string[] Lines(string text) =>
        [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.Contains("valid_lft", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <param name="text">Lines of a file name, a colon and a line of the file.</param>
    private static Dictionary<string, string> Settings(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Where(line => !s_moving.Any(part => line.Contains(part, StringComparison.Ordinal)))
        .Select(line => line.Split(':', 2))
        .GroupBy(parts => parts[0], parts => parts[1], StringComparer.Ordinal)
        .ToDictionary(file => file.Key, file => string.Join('\n', file), StringComparer.Ordinal);

    private static async Task<string> Ok(Engine engine, params string[] command)
    {
        string[] inside = [.. engine.Inside, .. command];
        return (await Programs.Run(inside[0], inside[1..])).Ok().Output;
    }

    private sealed record HostState(
        string[] Links, string[] Addresses, string[] Routes, string[] RoutingRules, string FirewallRules, Dictionary<string, string> Settings);
}
