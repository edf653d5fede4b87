using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>IPv6 of bridge networks.</summary>
public sealed class Ipv6Tests(SharedEngine engine) : EngineTest(engine)
{
    private static int s_last;

    /// <summary>A /64 that no other test has, without its <c>::/64</c>.</summary>
    private static string Subnet() => $"fdc6:{Environment.ProcessId % 65536:x}:{Interlocked.Increment(ref s_last):x}:1";

    private string Network(string name = "net")
    {
        var full = Container(name);
        Cleanup(() => Docker.Run("network", "rm", full));
        return full;
    }

    [Fact]
    public async Task A_network_with_IPv6_gets_a_subnet_of_the_host_s_own()
    {
        var (name, other) = (Network(), Network("other"));
        await Docker.Ok("network", "create", "--ipv6", name);
        await Docker.Ok("network", "create", "--ipv6", other);
        using var document = JsonDocument.Parse((await Docker.Run("network", "inspect", name, other)).Ok().Output);
        var subnets = document.RootElement.EnumerateArray().Select(network =>
        {
            Assert.Equal((true, true), (network.GetProperty("EnableIPv4").GetBoolean(), network.GetProperty("EnableIPv6").GetBoolean()));
            var configs = network.GetProperty("IPAM").GetProperty("Config");
            Assert.Equal(2, configs.GetArrayLength());
            Assert.Matches(@"^\d+\.\d+\.\d+\.\d+/\d+$", configs[0].GetProperty("Subnet").GetString());
            var subnet = IPNetwork.Parse(configs[1].GetProperty("Subnet").GetString()!);
            Assert.Equal((64, 0xfd), (subnet.PrefixLength, subnet.BaseAddress.GetAddressBytes()[0]));
            Assert.True(subnet.Contains(IPAddress.Parse(configs[1].GetProperty("Gateway").GetString()!)));
            return subnet;
        }).ToList();
        Assert.NotEqual(subnets[0], subnets[1]);
        Assert.Equal(subnets[0].BaseAddress.GetAddressBytes()[..6], subnets[1].BaseAddress.GetAddressBytes()[..6]);
    }

    [Fact]
    [RunOption("--ip6")]
    public async Task Containers_have_addresses_routes_and_names_of_both_families()
    {
        var (name, subnet) = (Network(), Subnet());
        await Docker.Ok(
            "network", "create", "--ipv6", "--subnet", $"{subnet}::/64", "--gateway", $"{subnet}::fe", "--ip-range", $"{subnet}::1:0/112", "--aux-address", $"printer={subnet}::1:0", name);
        var (server, client) = (Container("server"), Container("client"));
        await Docker.Ok("run", "-d", "--name", server, "--network", name, "--ip6", $"{subnet}::77", "--network-alias", "web", "alpine", "sleep", "1000");
        await Docker.Ok("run", "-d", "--name", client, "--network", name, "alpine", "sleep", "1000");
        Assert.Equal(
            $"{subnet}::77 64 {subnet}::fe",
            await Docker.Inspect(server, $"{{{{with index .NetworkSettings.Networks \"{name}\"}}}}{{{{.GlobalIPv6Address}}}} {{{{.GlobalIPv6PrefixLen}}}} {{{{.IPv6Gateway}}}}{{{{end}}}}"));
        Assert.Equal($"{subnet}::1:1", await Docker.Inspect(client, $"{{{{(index .NetworkSettings.Networks \"{name}\").GlobalIPv6Address}}}}"));
        Assert.Contains($"{subnet}::77/64", await Docker.Ok("network", "inspect", "-f", "{{range .Containers}}{{.IPv6Address}} {{end}}", name), StringComparison.Ordinal);
        Assert.Equal($"{subnet}::1:0", await Docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 1).AuxiliaryAddresses.printer}}", name));
        var inside = await Docker.Ok("exec", server, "sh", "-c", "ip -6 addr show eth0; ip -6 route; cat /etc/hosts");
        Assert.Contains($"inet6 {subnet}::77/64 scope global", inside, StringComparison.Ordinal);
        Assert.DoesNotContain("tentative", inside, StringComparison.Ordinal);
        Assert.Contains($"default via {subnet}::fe dev eth0", inside, StringComparison.Ordinal);
        Assert.Contains($"{subnet}::77\t", inside, StringComparison.Ordinal);
        await Docker.Ok("exec", client, "ping", "-6", "-c", "1", "-w", "5", $"{subnet}::77");
        await Docker.Ok("exec", client, "ping", "-6", "-c", "1", "-w", "5", $"{subnet}::fe");

        // Names lead to both addresses, and either address to its name.
        var address = await Docker.Inspect(server, $"{{{{(index .NetworkSettings.Networks \"{name}\").IPAddress}}}}");
        Assert.Contains($"{subnet}::77", await Docker.Ok("exec", client, "nslookup", "-type=aaaa", "web."), StringComparison.Ordinal);
        var ipv4 = await Docker.Ok("exec", client, "nslookup", "-type=a", "web.");
        Assert.Contains(address, ipv4, StringComparison.Ordinal);
        Assert.DoesNotContain($"{subnet}::77", ipv4, StringComparison.Ordinal);
        Assert.Contains($"{server}.{name}", await Docker.Ok("exec", client, "nslookup", $"{subnet}::77"), StringComparison.Ordinal);
        Assert.Contains($"{subnet}::fe", await Docker.Ok("exec", client, "nslookup", "-type=aaaa", "host.docker.internal."), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_network_may_have_IPv6_alone()
    {
        var (name, subnet) = (Network(), Subnet());
        await Docker.Ok("network", "create", "--ipv4=false", "--ipv6", "--subnet", $"{subnet}::/64", name);
        Assert.Equal("false true [1]", await Docker.Ok("network", "inspect", "-f", "{{.EnableIPv4}} {{.EnableIPv6}} [{{len .IPAM.Config}}]", name));
        var server = Container();
        await Docker.Ok("run", "-d", "--name", server, "--network", name, "alpine", "sleep", "1000");
        Assert.Equal($"[] {subnet}::2", await Docker.Inspect(server, $"{{{{with index .NetworkSettings.Networks \"{name}\"}}}}[{{{{.IPAddress}}}}] {{{{.GlobalIPv6Address}}}}{{{{end}}}}"));
        var addresses = await Docker.Ok("run", "--rm", "--network", name, "alpine", "sh", "-c", $"ip addr show eth0; ping -6 -c 1 -w 5 {server} > /dev/null && echo reached");
        Assert.DoesNotContain("inet ", addresses, StringComparison.Ordinal);
        Assert.EndsWith("reached", addresses, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_default_routes_of_both_families_follow_the_networks()
    {
        var (six, four, subnet) = (Network("a6"), Network("b4"), Subnet());
        await Docker.Ok("network", "create", "--ipv6", "--subnet", $"{subnet}::/64", six);
        await Docker.Ok("network", "create", "--ipv4=false", "--ipv6", four);
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "--network", four, "alpine", "sleep", "1000");
        var gateway = await Docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", four);
        Assert.Contains($"default via {gateway} dev eth0", await Docker.Ok("exec", name, "ip", "-6", "route"), StringComparison.Ordinal);
        await Docker.Ok("network", "connect", six, name);
        var routes = await Docker.Ok("exec", name, "sh", "-c", "ip -6 route; ip -4 route");
        Assert.Contains($"default via {subnet}::1 dev eth1", routes, StringComparison.Ordinal);
        Assert.Equal(2, routes.Split('\n').Count(route => route.StartsWith("default", StringComparison.Ordinal)));
        await Docker.Ok("network", "disconnect", six, name);
        Assert.Contains($"default via {gateway} dev eth0", await Docker.Ok("exec", name, "ip", "-6", "route"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_routed_network_opens_the_container_s_own_ports()
    {
        var (name, subnet) = (Network(), Subnet());
        await Docker.Ok("network", "create", "--ipv6", "--subnet", $"{subnet}::/64", "--opt", "com.docker.network.bridge.gateway_mode_ipv6=routed", name);
        var server = Container();
        await Docker.Ok("run", "-d", "--name", server, "--network", name, "-p", "80", "alpine", "sleep", "1000");
        var bindings = await Docker.Inspect(server, "{{range (index .NetworkSettings.Ports \"80/tcp\")}}{{.HostIp}} {{.HostPort}};{{end}}");
        Assert.Matches(@"^0\.0\.0\.0 [1-9]\d+;:: 0;$", bindings);
        var bridge = $"br-{(await Docker.Ok("network", "inspect", "-f", "{{.Id}}", name))[..12]}";
        var rules = (await Programs.Run("nft", ["list", "ruleset", "ip6"])).Ok().Output;
        Assert.Contains($"{subnet}::2 . tcp . 80", rules, StringComparison.Ordinal);
        Assert.Contains($"oifname \"{bridge}\" ct status dnat masquerade", rules, StringComparison.Ordinal);
        Assert.DoesNotContain($"oifname != \"{bridge}\" masquerade", rules, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("IPv4 or IPv6 must be enabled", "--ipv4=false")]
    [InlineData("invalid subnet fd00:77::1/64: it should be fd00:77::/64", "--ipv6", "--subnet", "fd00:77::1/64")]
    [InlineData("multicast subnet 'ff00::/64' is not allowed", "--ipv6", "--subnet", "ff00::/64")]
    [InlineData("driver-opt \"com.docker.network.enable_ipv6\" is not a valid bool", "--opt", "com.docker.network.enable_ipv6=maybe")]
    [InlineData("IPv6 needs an MTU of at least 1280 bytes: 1000", "--ipv6", "--opt", "com.docker.network.driver.mtu=1000")]
    public async Task What_cannot_be_is_refused_and_leaves_nothing(string expected, params string[] options)
    {
        var name = Network();
        (await Docker.Run(["network", "create", .. options, name])).Exited(1).Says(expected);
        (await Docker.Run("network", "inspect", name)).Exited(1).Says($"network {name} not found");
    }

    [Fact]
    public async Task An_address_that_the_network_does_not_have_is_refused()
    {
        var (own, chosen, four, subnet) = (Network("own"), Network("chosen"), Network("four"), Subnet());
        await Docker.Ok("network", "create", "--ipv6", "--subnet", $"{subnet}::/64", own);
        await Docker.Ok("network", "create", "--ipv6", chosen);
        await Docker.Ok("network", "create", four);
        (await Docker.Run("network", "create", "--ipv6", "--subnet", $"{subnet}::/80", Network("overlap"))).Exited(1).Says("Pool overlaps with other one on this address space");
        (await Docker.Run("run", "--rm", "--network", own, "--ip6", "fd00:9999::2", "alpine", "true")).Exited(125).Says("no configured subnet or ip-range contain the IP address fd00:9999::2");
        (await Docker.Run("run", "--rm", "--network", chosen, "--ip6", "fd00:9999::2", "alpine", "true")).Exited(125).Says("only when connecting to networks with user configured subnets");
        (await Docker.Run("run", "--rm", "--network", four, "--ip6", "fd00:9999::2", "alpine", "true")).Exited(125).Says("no configured subnet or ip-range contain the IP address fd00:9999::2");
    }

    [Fact]
    public async Task The_default_network_has_IPv6_where_the_daemon_is_told_and_all_of_it_comes_back_after_a_crash()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var subnet = Subnet();
        await using var daemon = new Engine("six")
        {
            Flags = ["--ipv6", "--fixed-cidr-v6", $"{subnet}::/64", "--default-network-opt", "bridge=com.docker.network.driver.mtu=1400"],
        };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        var docker = daemon.Docker;
        Assert.Equal($"true {subnet}::/64", await docker.Ok("network", "inspect", "-f", "{{.EnableIPv6}} {{(index .IPAM.Config 1).Subnet}}", "bridge"));
        await docker.Ok("network", "create", "small");
        Assert.Equal("1400", await docker.Ok("network", "inspect", "-f", "{{index .Options \"com.docker.network.driver.mtu\"}}", "small"));
        await docker.Ok("run", "-d", "--name", "server", "-p", "80", "alpine", "sh", "-c", "while :; do echo answer | nc -l -p 80; done");
        var before = await docker.Inspect("server", "{{json .NetworkSettings}}");
        Assert.Equal($"{subnet}::2 {subnet}::1", await docker.Inspect("server", "{{.NetworkSettings.GlobalIPv6Address}} {{.NetworkSettings.IPv6Gateway}}"));
        Assert.Contains($"{subnet}::2\t", await docker.Ok("exec", "server", "cat", "/etc/hosts"), StringComparison.Ordinal);
        await daemon.Kill();
        await daemon.Start();
        Assert.Equal(before, await docker.Inspect("server", "{{json .NetworkSettings}}"));
        Assert.Equal($"{subnet}::3", await docker.Ok("run", "--rm", "alpine", "sh", "-c", "ip -6 -o addr show eth0 scope global | awk '{print $4}' | cut -d/ -f1"));
        var port = int.Parse((await docker.Ok("port", "server", "80/tcp")).Split('\n')[0].Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture);
        foreach (var address in new[] { "::1", $"{subnet}::1" })
        {
            Assert.Equal("answer", await Ask(IPAddress.Parse(address), port));
        }
    }

    /// <summary>What a server says first; it may not listen yet.</summary>
    private static async Task<string> Ask(IPAddress address, int port)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var client = new TcpClient(AddressFamily.InterNetworkV6);
            try
            {
                await client.ConnectAsync(address, port, Cancellation);
                using var reader = new StreamReader(client.GetStream());
                if (await reader.ReadLineAsync(Cancellation) is { } line)
                {
                    return line;
                }
            }
            catch (Exception exception) when (exception is SocketException or IOException && attempt < 100)
            {
            }
            await Task.Delay(100, Cancellation);
        }
    }
}
