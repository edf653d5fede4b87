using System.Text.Json;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker network create|ls|inspect|rm|prune`.</summary>
public sealed class NetworkCommandTests(SharedEngine engine) : EngineTest(engine)
{
    private static string Now() => TimeProvider.System.GetUtcNow().ToString("O", System.Globalization.CultureInfo.InvariantCulture);

    private string Network(string name = "net")
    {
        var full = Container(name);
        Cleanup(() => Docker.Run("network", "rm", full));
        return full;
    }

    [Fact]
    public async Task A_network_is_what_was_asked_for()
    {
        var (name, subnet) = (Network(), TestSubnet.Next());
        var id = await Docker.Ok(
            "network", "create", "--subnet", $"{subnet}.0/24", "--gateway", $"{subnet}.254", "--ip-range", $"{subnet}.128/25", "--aux-address", $"printer={subnet}.128",
            "--label", "a=b", "--opt", "com.docker.network.driver.mtu=1400", "--opt", "unknown.option=kept", name);
        Assert.Matches("^[0-9a-f]{64}$", id);
        foreach (var reference in new[] { name, id, id[..12] })
        {
            Assert.Equal(id, await Docker.Ok("network", "inspect", "-f", "{{.Id}}", reference));
        }
        using var document = JsonDocument.Parse((await Docker.Run("network", "inspect", name)).Ok().Output);
        var network = document.RootElement[0];
        Assert.Equal("bridge", network.GetProperty("Driver").GetString());
        Assert.Equal("local", network.GetProperty("Scope").GetString());
        Assert.False(network.GetProperty("Internal").GetBoolean());
        var config = network.GetProperty("IPAM").GetProperty("Config")[0];
        Assert.Equal($"{subnet}.0/24", config.GetProperty("Subnet").GetString());
        Assert.Equal($"{subnet}.254", config.GetProperty("Gateway").GetString());
        Assert.Equal($"{subnet}.128/25", config.GetProperty("IPRange").GetString());
        Assert.Equal($"{subnet}.128", config.GetProperty("AuxiliaryAddresses").GetProperty("printer").GetString());
        Assert.Equal("b", network.GetProperty("Labels").GetProperty("a").GetString());
        Assert.Equal("kept", network.GetProperty("Options").GetProperty("unknown.option").GetString());
        Assert.Empty(network.GetProperty("Containers").EnumerateObject());

        var inside = (await Docker.Run("run", "--rm", "--network", name, "alpine", "sh", "-c", "ip -4 addr show eth0; ip route; cat /sys/class/net/eth0/mtu")).Ok();
        Assert.Contains($"inet {subnet}.129/24", inside.Output, StringComparison.Ordinal);
        Assert.Contains($"default via {subnet}.254 dev eth0", inside.Output, StringComparison.Ordinal);
        Assert.Equal("1400", inside.Lines[^1]);
    }

    [Fact]
    public async Task A_network_without_a_subnet_gets_one_that_nobody_has()
    {
        var (one, two) = (Network("one"), Network("two"));
        await Docker.Ok("network", "create", one);
        await Docker.Ok("network", "create", two);
        var subnets = new[]
        {
            await Docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", one),
            await Docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", two),
            await Docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge"),
        };
        Assert.Equal(3, subnets.Distinct().Count());
        // Docker cuts the same ranges into larger ones.
        Assert.All(subnets[..2], subnet => Assert.Matches(
            IsSlipway ? @"^(172\.(1[89]|2\d|3[01])|192\.168)\.\d+\.0/24$" : @"^(172\.(1[7-9]|2\d|3[01])\.0\.0/16|192\.168\.\d+\.0/20)$", subnet));
    }

    [Fact]
    public async Task The_networks_that_always_are_stay()
    {
        var listed = await Docker.Ok("network", "ls", "--filter", "type=builtin", "--format", "{{.Name}} {{.Driver}} {{.Scope}}");
        Assert.Equal("bridge bridge local\nhost host local\nnone null local", listed);
        foreach (var name in new[] { "bridge", "host", "none" })
        {
            (await Docker.Run("network", "rm", name)).Exited(1).Says($"{name} is a pre-defined network and cannot be removed");
            (await Docker.Run("network", "create", name)).Exited(1).Says($"operation is not permitted on predefined {name} network");
        }
    }

    [Fact]
    public async Task Filters_choose_what_is_listed()
    {
        var (name, other) = (Network("one"), Network("two"));
        var id = await Docker.Ok("network", "create", "--label", $"test={name}", name);
        await Docker.Ok("network", "create", other);
        await Docker.Ok("create", "--name", Container("user"), "--network", other, "alpine", "true");
        foreach (var filter in new[] { $"name={name}", $"id={id[..20]}", $"label=test={name}", $"label=test" })
        {
            Assert.Equal(name, await Docker.Ok("network", "ls", "--filter", filter, "--filter", $"name={name}", "--format", "{{.Name}}"));
        }
        Assert.DoesNotContain(name, await Docker.Ok("network", "ls", "--filter", "driver=host", "--format", "{{.Name}}"), StringComparison.Ordinal);
        var custom = (await Docker.Run("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}")).Ok().Lines;
        Assert.Contains(name, custom);
        Assert.DoesNotContain("bridge", custom);
        var dangling = (await Docker.Run("network", "ls", "--filter", "dangling=true", "--format", "{{.Name}}")).Ok().Lines;
        Assert.Contains(name, dangling);
        Assert.DoesNotContain(other, dangling);
        (await Docker.Run("network", "ls", "--filter", "foo=bar")).Exited(1).Says("invalid filter 'foo'");
    }

    [Theory]
    [InlineData("plugin \"nosuch\" not found", "-d", "nosuch")]
    [InlineData("only one instance of \"host\" network is allowed", "-d", "host")]
    [InlineData("This node is not a swarm manager", "-d", "overlay")]
    [InlineData("invalid subnet 10.78.0.0/33: invalid CIDR block notation", "--subnet", "10.78.0.0/33")]
    [InlineData("invalid subnet 10.78.0.1/24: it should be 10.78.0.0/24", "--subnet", "10.78.0.1/24")]
    [InlineData("failed to parse com.docker.network.bridge.enable_icc value: maybe", "--opt", "com.docker.network.bridge.enable_icc=maybe")]
    [InlineData("failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: maybe (unknown gateway mode maybe)", "--opt", "com.docker.network.bridge.gateway_mode_ipv4=maybe")]
    [InlineData("gateway mode 'isolated' can only be used for an internal network", "--opt", "com.docker.network.bridge.gateway_mode_ipv6=isolated")]
    [InlineData("a b is no name of an interface", "--opt", "com.docker.network.bridge.trusted_host_interfaces=eth0:a b")]
    [InlineData("failed to parse com.docker.network.driver.mtu value: 1", "--opt", "com.docker.network.driver.mtu=1")]
    [InlineData("invalid bridge name a/b", "--opt", "com.docker.network.bridge.name=a/b")]
    [InlineData("existing interface lo is not a bridge", "--opt", "com.docker.network.bridge.name=lo")]
    public async Task What_cannot_be_is_refused_and_leaves_nothing(string expected, params string[] options)
    {
        var name = Network();
        (await Docker.Run(["network", "create", .. options, name])).Exited(1).Says(expected);
        (await Docker.Run("network", "inspect", name)).Exited(1).Says($"network {name} not found");
    }

    [Fact]
    public async Task Names_and_subnets_are_given_once()
    {
        var (name, subnet) = (Network(), TestSubnet.Next());
        await Docker.Ok("network", "create", "--subnet", $"{subnet}.0/24", name);
        (await Docker.Run("network", "create", name)).Exited(1).Says($"network with name {name} already exists");
        (await Docker.Run("network", "create", "--subnet", $"{subnet}.128/25", Network("other"))).Exited(1).Says("Pool overlaps with other one on this address space");
        await Docker.Ok("network", "rm", name);
        await Docker.Ok("network", "create", "--subnet", $"{subnet}.0/24", name);
    }

    [Fact]
    public async Task The_default_network_s_bridge_is_no_other_s()
    {
        var bridge = await Docker.Ok("network", "inspect", "-f", "{{index .Options \"com.docker.network.bridge.name\"}}", "bridge");
        (await Docker.Run("network", "create", "--opt", $"com.docker.network.bridge.name={bridge}", Network())).Exited(1).Says($"bridge name {bridge} is used by another network");
    }

    [Fact]
    public async Task A_network_in_use_stays_and_one_that_is_removed_leaves_nothing_in_the_kernel()
    {
        var name = Network();
        var id = await Docker.Ok("network", "create", name);
        var bridge = $"br-{id[..12]}";
        var user = await Sleeper("--network", name);
        (await Docker.Run("network", "rm", name)).Exited(1).Says("has active endpoints");
        Assert.Contains(user, await Docker.Ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", name), StringComparison.Ordinal);
        Assert.True(Directory.Exists($"/sys/class/net/{bridge}"));
        Assert.Contains(bridge, (await Programs.Run("nft", ["list", "ruleset"])).Ok().Output, StringComparison.Ordinal);
        await Docker.Ok("rm", "-f", user);
        var subnet = await Docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", name);
        await Docker.Ok("network", "rm", name);

        // Name and subnet are free at once; the kernel takes its time with the bridge.
        await Docker.Ok("network", "create", "--subnet", subnet, "--opt", $"com.docker.network.bridge.name={bridge}", name);
        await Docker.Ok("run", "--rm", "--network", name, "alpine", "true");
        await Docker.Ok("network", "rm", name);
        var deadline = DateTimeOffset.UtcNow.AddSeconds(60);
        while (Directory.Exists($"/sys/class/net/{bridge}") && DateTimeOffset.UtcNow < deadline)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        Assert.False(Directory.Exists($"/sys/class/net/{bridge}"));
        Assert.DoesNotContain(bridge, (await Programs.Run("nft", ["list", "ruleset"])).Ok().Output, StringComparison.Ordinal);
        (await Docker.Run("network", "rm", name)).Exited(1).Says($"network {name} not found");
    }

    [Fact]
    public async Task Prune_removes_what_no_container_has()
    {
        var (used, unused) = (Network("used"), Network("unused"));
        await Docker.Ok("network", "create", "--label", $"prune={unused}", used);
        await Docker.Ok("network", "create", "--label", $"prune={unused}", unused);
        await Docker.Ok("create", "--name", Container("user"), "--network", used, "alpine", "true");
        Assert.Equal($"Deleted Networks:\n{unused}", await Docker.Ok("network", "prune", "-f", "--filter", $"label=prune={unused}"));
        Assert.Equal(used, await Docker.Ok("network", "ls", "--filter", $"label=prune={unused}", "--format", "{{.Name}}"));
    }

    [Fact]
    public async Task Events_tell_of_a_network_s_life()
    {
        var name = Network();
        var since = Now();
        var id = await Docker.Ok("network", "create", name);
        var user = await Sleeper();
        await Docker.Ok("network", "connect", name, user);
        var container = await Docker.Inspect(user, "{{.Id}}");
        await Docker.Ok("network", "disconnect", name, user);
        await Docker.Ok("network", "rm", name);
        var events = (await Docker.Run("events", "--since", since, "--until", Now(), "--filter", $"network={name}", "--format", "{{json .}}")).Ok().Lines;
        List<string> told = [];
        foreach (var line in events)
        {
            using var document = JsonDocument.Parse(line);
            var actor = document.RootElement.GetProperty("Actor");
            Assert.Equal(id, actor.GetProperty("ID").GetString());
            Assert.Equal(name, actor.GetProperty("Attributes").GetProperty("name").GetString());
            Assert.Equal("bridge", actor.GetProperty("Attributes").GetProperty("type").GetString());
            var action = document.RootElement.GetProperty("Action").GetString()!;
            Assert.Equal(action.EndsWith("connect", StringComparison.Ordinal), actor.GetProperty("Attributes").TryGetProperty("container", out var about));
            Assert.Equal(action.EndsWith("connect", StringComparison.Ordinal) ? container : "", about.ValueKind == JsonValueKind.String ? about.GetString() : "");
            told.Add(action);
        }
        Assert.Equal(["create", "connect", "disconnect", "destroy"], told);
    }
}
