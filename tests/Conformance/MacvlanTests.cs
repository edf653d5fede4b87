using System.Text.Json;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Networks of the driver macvlan: containers on the host's own network, here a link to a machine outside.</summary>
public sealed class MacvlanTests(SharedEngine engine) : EngineTest(engine), IAsyncLifetime
{
    private static int s_worlds;
    private OutsideWorld _outside = null!;

    async ValueTask IAsyncLifetime.InitializeAsync()
    {
        var world = Interlocked.Increment(ref s_worlds);
        _outside = await OutsideWorld.Make($"m{world}", 200 + (world % 8));
    }

    async ValueTask IAsyncDisposable.DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await DisposeAsync();
        await _outside.DisposeAsync();
    }

    /// <summary>The first three bytes of the network that the outside is on.</summary>
    private string Prefix => _outside.Address[.._outside.Address.LastIndexOf('.')];

    private async Task<string> Network(params string[] options)
    {
        var name = Container("net" + Guid.NewGuid().ToString("N")[..6]);
        await Docker.Ok(["network", "create", "-d", "macvlan", .. options, name]);
        Cleanup(() => Docker.Run("network", "rm", name));
        return name;
    }

    private Task<string> OnOutside(params string[] options) =>
        Network(["-o", $"parent={_outside.Link}", "--subnet", $"{Prefix}.0/24", "--gateway", _outside.Address, "--ip-range", $"{Prefix}.128/25", .. options]);

    private Task<string> Serving(params string[] options) => Running("while :; do echo answer | nc -l -p 80; done", options);

    private async Task<string> Running(string script, string[] options)
    {
        var name = Container("c" + Guid.NewGuid().ToString("N")[..6]);
        await Docker.Ok(["run", "-d", "--init", "--name", name, .. options, "alpine", "sh", "-c", script]);
        return name;
    }

    /// <summary>Asks until a server that has just been started answers.</summary>
    private static string Asking(string address) => $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 {address} 80 < /dev/null && exit; sleep 0.2; done; exit 1";

    [Fact]
    public async Task Containers_are_machines_of_the_parent_s_network()
    {
        var network = await OnOutside("--aux-address", $"printer={Prefix}.128");
        var server = await Serving("--network", network, "--network-alias", "web", "-p", "0:80");
        var client = await Sleeper("--network", network, "--ip", $"{Prefix}.200", "--mac-address", "02:11:22:33:44:55");

        // From outside, by its own address; no port of this host leads to it.
        (await Programs.Run("ip", ["netns", "exec", _outside.Namespace, "busybox", "sh", "-c", Asking($"{Prefix}.129")])).Ok().Says("answer");
        Assert.Equal("", await Docker.Ok("port", server));

        // To the outside, which is the router, with its own addresses; to the other container by its name.
        Assert.Contains($"default via {_outside.Address} dev eth0", await Docker.Ok("exec", client, "ip", "route"), StringComparison.Ordinal);
        await Docker.Ok("exec", client, "ping", "-c", "1", "-w", "5", _outside.Address);
        Assert.Contains("02:11:22:33:44:55", (await Programs.Run("ip", ["-n", _outside.Namespace, "neighbour"])).Ok().Output, StringComparison.Ordinal);
        (await Docker.Run("exec", client, "sh", "-c", Asking("web"))).Ok().Says("answer");

        var endpoint = "{{with index .NetworkSettings.Networks \"" + network + "\"}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}} {{.MacAddress}}{{end}}";
        Assert.Equal($"{Prefix}.200/24 {_outside.Address} 02:11:22:33:44:55", await Docker.Inspect(client, endpoint));
        using var document = JsonDocument.Parse((await Docker.Run("network", "inspect", network)).Ok().Output);
        var shown = document.RootElement[0];
        Assert.Equal("macvlan", shown.GetProperty("Driver").GetString());
        Assert.Equal(_outside.Link, shown.GetProperty("Options").GetProperty("parent").GetString());
        Assert.Equal(
            [$"{Prefix}.129/24", $"{Prefix}.200/24"],
            shown.GetProperty("Containers").EnumerateObject().Select(entry => entry.Value.GetProperty("IPv4Address").GetString()).Order(StringComparer.Ordinal));

        // The outside is no way to this host.
        Assert.DoesNotContain("Name:", (await Docker.Run("exec", client, "nslookup", "host.docker.internal.")).Output, StringComparison.Ordinal);
        (await Docker.Run("run", "--rm", "--network", network, "--ip", $"{Prefix}.200", "alpine", "true")).Exited(125).Says("Address already in use");
    }

    [Fact]
    public async Task An_address_is_free_at_once_with_its_hardware_address()
    {
        var network = await OnOutside();
        string[] fixedOptions = ["--network", network, "--ip", $"{Prefix}.150"];
        for (var round = 0; round < 3; round++)
        {
            var name = await Sleeper(fixedOptions);
            await Docker.Ok("restart", "-t", "0", name);
            await Docker.Ok("exec", name, "ping", "-c", "1", "-w", "5", _outside.Address);
            await Docker.Ok("rm", "-f", name);
        }

        var left = await Sleeper(fixedOptions);
        await Docker.Ok("network", "disconnect", network, left);
        Assert.DoesNotContain(Prefix, await Docker.Ok("exec", left, "ip", "addr"), StringComparison.Ordinal);
        var next = await Sleeper(fixedOptions);
        await Docker.Ok("exec", next, "ping", "-c", "1", "-w", "5", _outside.Address);
        (await Docker.Run("network", "rm", network)).Exited(1).Says("has active endpoints");
    }

    [Fact]
    public async Task A_container_is_on_a_bridge_and_on_the_parent_s_network_and_leaves_either()
    {
        var (network, bridge) = (await OnOutside(), Container("bridge"));
        await Docker.Ok("network", "create", "--subnet", $"{TestSubnet.Next()}.0/24", bridge);
        Cleanup(() => Docker.Run("network", "rm", bridge));
        var name = await Serving("--network", bridge, "-p", "0:80");
        Assert.NotEqual("", await Docker.Ok("port", name));

        // The route goes there by priority, and with it the ports, which this driver does not publish.
        await Docker.Ok("network", "connect", "--gw-priority", "1", network, name);
        Assert.Contains($"default via {_outside.Address} dev eth1", await Docker.Ok("exec", name, "ip", "route"), StringComparison.Ordinal);
        Assert.Equal("", await Docker.Ok("port", name));
        await Docker.Ok("network", "disconnect", bridge, name);
        (await Programs.Run("ip", ["netns", "exec", _outside.Namespace, "busybox", "sh", "-c", Asking($"{Prefix}.128")])).Ok().Says("answer");
        await Docker.Ok("network", "connect", bridge, name);
        await Docker.Ok("network", "disconnect", network, name);
        Assert.Matches("default via .* dev eth0", await Docker.Ok("exec", name, "ip", "route"));
        Assert.NotEqual("", await Docker.Ok("port", name));
    }

    [Fact]
    public async Task Private_links_do_not_reach_each_other()
    {
        var network = await OnOutside("-o", "macvlan_mode=private");
        var (one, two) = (await Sleeper("--network", network), await Sleeper("--network", network));
        await Docker.Ok("exec", one, "ping", "-c", "1", "-w", "5", _outside.Address);
        (await Docker.Run("exec", one, "ping", "-c", "1", "-W", "1", two)).Exited(1);
    }

    [Fact]
    public async Task A_passthru_link_has_the_parent_alone()
    {
        var network = await OnOutside("-o", "macvlan_mode=passthru", "-o", "com.docker.network.driver.mtu=1400");
        var one = await Sleeper("--network", network);
        Assert.Equal("1400", await Docker.Ok("exec", one, "cat", "/sys/class/net/eth0/mtu"));
        await Docker.Ok("exec", one, "ping", "-c", "1", "-w", "5", _outside.Address);
        (await Docker.Run("run", "--rm", "--network", network, "alpine", "true")).Exited(125).Says("failed to create the macvlan port: invalid argument");
        await Docker.Ok("rm", "-f", one);
        await Docker.Ok("run", "--rm", "--network", network, "alpine", "true");
    }

    [Fact]
    public async Task An_internal_network_has_no_router()
    {
        var network = await OnOutside("--internal");
        var (one, two) = (await Sleeper("--network", network), await Sleeper("--network", network));
        Assert.DoesNotContain("default", await Docker.Ok("exec", one, "ip", "route"), StringComparison.Ordinal);
        await Docker.Ok("exec", one, "ping", "-c", "1", "-w", "5", two);
    }

    [Fact]
    public async Task Without_a_parent_containers_reach_each_other_only_and_nothing_is_left()
    {
        var name = await Network();
        var id = await Docker.Ok("network", "inspect", "-f", "{{.Id}}", name);
        var parent = $"/sys/class/net/dm-{id[..12]}";
        Assert.True(Directory.Exists(parent));
        var (one, two) = (await Sleeper("--network", name), await Sleeper("--network", name));
        await Docker.Ok("exec", one, "ping", "-c", "1", "-w", "5", two);
        await Docker.Ok("rm", "-f", one, two);
        await Docker.Ok("network", "rm", name);
        Assert.False(Directory.Exists(parent));
    }

    [Fact]
    public async Task Events_name_the_driver()
    {
        var since = TimeProvider.System.GetUtcNow().ToString("O", System.Globalization.CultureInfo.InvariantCulture);
        var network = await OnOutside();
        var name = await Sleeper("--network", network);
        await Docker.Ok("rm", "-f", name);
        await Docker.Ok("network", "rm", network);
        var until = TimeProvider.System.GetUtcNow().ToString("O", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(
            ["create macvlan", "connect macvlan", "disconnect macvlan", "destroy macvlan"],
            (await Docker.Run("events", "--since", since, "--until", until, "--filter", $"network={network}", "--format", "{{.Action}} {{.Actor.Attributes.type}}")).Ok().Lines);
        Assert.Equal("[bridge host ipvlan macvlan null overlay]", await Docker.Ok("info", "-f", "{{.Plugins.Network}}"));
    }

    [Theory]
    [InlineData("macvlan", "requested macvlan mode 'foo' is not valid, 'bridge' mode is the macvlan driver default", "macvlan_mode=foo", "parent=lo")]
    [InlineData("macvlan", "loopback interface is not a valid macvlan parent link", "parent=lo")]
    [InlineData("ipvlan", "loopback interface is not a valid ipvlan parent link", "parent=lo")]
    [InlineData("ipvlan", "requested ipvlan mode 'x' is not valid, 'l2' mode is the ipvlan driver default", "ipvlan_mode=x")]
    [InlineData("ipvlan", "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default", "ipvlan_flag=x")]
    [InlineData("macvlan", "invalid subinterface vlan name nosuch, example formatting is eth0.10", "parent=nosuch")]
    [InlineData("macvlan", "invalid subinterface vlan name averyveryverylongname, example formatting is eth0.10", "parent=averyveryverylongname")]
    [InlineData("macvlan", "vlan id must be between 1-4094, received: 5000", "parent=lo.5000")]
    [InlineData("macvlan", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)", "parent=lo.x")]
    [InlineData("macvlan", "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received lo.1.2", "parent=lo.1.2")]
    [InlineData("macvlan", "-o parent interface was not found on the host: nosuch", "parent=nosuch.1")]
    [InlineData("macvlan", "failed to parse com.docker.network.driver.mtu value: x", "com.docker.network.driver.mtu=x")]
    public async Task What_cannot_be_is_refused_and_leaves_nothing(string driver, string expected, params string[] options)
    {
        var name = Container("net");
        (await Docker.Run(["network", "create", "-d", driver, .. options.SelectMany(option => new[] { "-o", option }), name])).Exited(1).Says(expected);
        (await Docker.Run("network", "inspect", name)).Exited(1).Says($"network {name} not found");
    }

    [Fact]
    public async Task A_parent_has_one_network_of_a_driver()
    {
        var id = await Docker.Ok("network", "inspect", "-f", "{{.Id}}", await OnOutside());
        (await Docker.Run("network", "create", "-d", "macvlan", "-o", $"parent={_outside.Link}", Container("other")))
            .Exited(1).Says($"network dm-{id[..12]} is already using parent interface {_outside.Link}");
    }

    [Fact]
    public async Task A_VLAN_of_the_parent_is_made_where_the_kernel_has_them()
    {
        var name = Container("net");
        var created = await Docker.Run("network", "create", "-d", "macvlan", "-o", $"parent={_outside.Link}.7", name);
        Cleanup(() => Docker.Run("network", "rm", name));
        if (await KernelHas("vlan", "id", "7"))
        {
            created.Ok();
            Assert.Contains("vlan", (await Programs.Run("ip", ["-d", "link", "show", $"{_outside.Link}.7"])).Ok().Output, StringComparison.Ordinal);
            await Docker.Ok("network", "rm", name);
        }
        else
        {
            created.Exited(1).Says($"failed to create {_outside.Link}.7 vlan link: operation not supported");
        }
        Assert.False(Directory.Exists($"/sys/class/net/{_outside.Link}.7"));
    }

    [Theory]
    [InlineData("l2", true)]
    [InlineData("l3", false)]
    [InlineData("l3s", false)]
    public async Task Ipvlan_links_share_the_parent_s_address_where_the_kernel_has_them(string mode, bool hasGateway)
    {
        var name = Container("net");
        await Docker.Ok(
            "network", "create", "-d", "ipvlan", "-o", $"parent={_outside.Link}", "-o", $"ipvlan_mode={mode}", "--subnet", $"{Prefix}.0/24", "--gateway", _outside.Address,
            "--ip-range", $"{Prefix}.128/25", name);
        Cleanup(() => Docker.Run("network", "rm", name));
        (await Docker.Run("run", "--rm", "--network", name, "--mac-address", "02:11:22:33:44:55", "alpine", "true"))
            .Exited(125).Says("ipvlan interfaces do not support custom mac address assignment");
        if (await KernelHas("ipvlan"))
        {
            var (one, two) = (await Sleeper("--network", name), await Sleeper("--network", name));
            await Docker.Ok("exec", one, "ping", "-c", "1", "-w", "5", two);
            Assert.Contains(
                hasGateway ? $"default via {_outside.Address}" : "default dev eth0", await Docker.Ok("exec", one, "ip", "route"), StringComparison.Ordinal);
        }
        else
        {
            (await Docker.Run("run", "--rm", "--network", name, "alpine", "true")).Exited(125).Says("failed to create the ipvlan port: operation not supported");
        }
    }

    /// <summary>Whether the kernel makes links of a kind.</summary>
    private async Task<bool> KernelHas(string kind, params string[] options) =>
        (await Programs.Run("ip", ["-n", _outside.Namespace, "link", "add", "link", "eth0", "name", "probe", "type", kind, .. options])).ExitCode == 0
        && (await Programs.Run("ip", ["-n", _outside.Namespace, "link", "delete", "probe"])).ExitCode == 0;
}
