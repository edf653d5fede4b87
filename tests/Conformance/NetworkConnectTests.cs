using System.Net;
using System.Net.Sockets;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Containers on networks of their own: addresses, several networks, what is apart and what is not.</summary>
public sealed class NetworkConnectTests(SharedEngine engine) : EngineTest(engine)
{
    private const string Server = "while :; do echo answer | nc -l -p 80; done";

    private async Task<(string Name, string Subnet)> Network(string name, params string[] options)
    {
        var (full, subnet) = (Container(name), TestSubnet.Next());
        await Docker.Ok(["network", "create", "--subnet", $"{subnet}.0/24", .. options, full]);
        Cleanup(() => Docker.Run("network", "rm", full));
        return (full, subnet);
    }

    private async Task<string> Serving(string network, params string[] options)
    {
        var name = Container("server" + Guid.NewGuid().ToString("N")[..6]);
        await Docker.Ok(["run", "-d", "--name", name, "--network", network, .. options, "alpine", "sh", "-c", Server]);
        return name;
    }

    private Task<CliResult> Ask(string from, string target) => Docker.Run("exec", from, "sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 {target} 80 < /dev/null && exit; sleep 0.2; done; exit 1");

    private Task<CliResult> AskOnce(string from, string target) => Docker.Run("exec", from, "sh", "-c", $"nc -w 1 {target} 80 < /dev/null");

    [Fact]
    [RunOption("--ip", "--mac-address")]
    public async Task Addresses_are_as_asked_for_and_given_once()
    {
        var (network, subnet) = await Network("net");
        var name = await Sleeper("--network", network, "--ip", $"{subnet}.77", "--mac-address", "02:42:00:00:00:77");
        var shown = await Docker.Ok("exec", name, "ip", "addr", "show", "eth0");
        Assert.Contains($"inet {subnet}.77/24", shown, StringComparison.Ordinal);
        Assert.Contains("link/ether 02:42:00:00:00:77", shown, StringComparison.Ordinal);
        Assert.Equal($"{subnet}.77 02:42:00:00:00:77", await Docker.Inspect(name, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}}"));
        foreach (var (address, error) in new[]
        {
            ($"{subnet}.77", "Address already in use"),
            ($"{subnet}.1", "Address already in use"),
            ("10.1.1.1", "no configured subnet or ip-range contain the IP address 10.1.1.1"),
            ("nonsense", "invalid"),
        })
        {
            (await Docker.Run("run", "--rm", "--network", network, "--ip", address, "alpine", "true")).Exited(125).Says(error);
        }
    }

    [Fact]
    public async Task An_address_needs_a_network_with_a_subnet_that_was_asked_for()
    {
        var network = Container("auto");
        await Docker.Ok("network", "create", network);
        Cleanup(() => Docker.Run("network", "rm", network));
        (await Docker.Run("run", "--rm", "--network", network, "--ip", "172.17.0.9", "alpine", "true")).Exited(125)
            .Says("user specified IP address is supported only when connecting to networks with user configured subnets");
    }

    [Fact]
    [RunOption("--network")]
    public async Task A_container_starts_on_several_networks()
    {
        var (front, frontSubnet) = await Network("front");
        var (back, backSubnet) = await Network("back");
        var name = await Sleeper("--network", $"name={front},ip={frontSubnet}.7", "--network", $"name={back},alias=deep,ip={backSubnet}.8");
        var addresses = await Docker.Ok("exec", name, "ip", "-4", "-o", "addr");
        Assert.Contains($"eth0    inet {frontSubnet}.7/24", addresses, StringComparison.Ordinal);
        Assert.Contains($"eth1    inet {backSubnet}.8/24", addresses, StringComparison.Ordinal);
        Assert.Contains($"{frontSubnet}.7\t", await Docker.Ok("exec", name, "cat", "/etc/hosts"), StringComparison.Ordinal);

        // The first by name has the default route.
        Assert.Contains($"default via {backSubnet}.1 dev eth1", await Docker.Ok("exec", name, "ip", "route"), StringComparison.Ordinal);
        var other = await Sleeper("--network", back);
        Assert.Contains($"{backSubnet}.8", await Docker.Ok("exec", other, "nslookup", "deep."), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_running_container_is_connected_and_disconnected_and_its_ports_follow()
    {
        var (network, subnet) = await Network("net");
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-p", "127.0.0.1:0:80", "alpine", "sh", "-c", Server);
        await Published(name);
        await Docker.Ok("network", "connect", "--ip", $"{subnet}.9", "--alias", "late", "--gw-priority", "1", network, name);
        Assert.Contains($"eth1    inet {subnet}.9/24", await Docker.Ok("exec", name, "ip", "-4", "-o", "addr"), StringComparison.Ordinal);
        Assert.StartsWith($"default via {subnet}.1 dev eth1", await Docker.Ok("exec", name, "ip", "route"), StringComparison.Ordinal);
        Assert.Contains($"{subnet}.9\t", await Docker.Ok("exec", name, "cat", "/etc/hosts"), StringComparison.Ordinal);
        Assert.Contains("nameserver 127.0.0.11", await Docker.Ok("exec", name, "cat", "/etc/resolv.conf"), StringComparison.Ordinal);
        Assert.Contains($"{subnet}.9", await Docker.Ok("exec", name, "nslookup", "late."), StringComparison.Ordinal);
        await Published(name);
        (await Docker.Run("network", "connect", network, name)).Exited(1).Says($"endpoint with name {name} already exists in network {network}");

        await Docker.Ok("network", "disconnect", network, name);
        Assert.DoesNotContain(subnet, await Docker.Ok("exec", name, "ip", "-4", "-o", "addr"), StringComparison.Ordinal);
        Assert.DoesNotContain(subnet, await Docker.Ok("exec", name, "cat", "/etc/hosts"), StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.11", await Docker.Ok("exec", name, "cat", "/etc/resolv.conf"), StringComparison.Ordinal);
        Assert.Contains("default via", await Docker.Ok("exec", name, "ip", "route"), StringComparison.Ordinal);
        await Published(name);
        (await Docker.Run("network", "disconnect", network, name)).Exited(1).Says("is not connected to network");
        Assert.Equal("{}", await Docker.Ok("network", "inspect", "-f", "{{json .Containers}}", network));
    }

    [Fact]
    public async Task A_stopped_container_is_connected_for_its_next_start()
    {
        var (one, _) = await Network("one");
        var (two, subnet) = await Network("two");
        var name = Container();
        await Docker.Ok("create", "--name", name, "--network", one, "alpine", "ip", "-4", "-o", "addr");
        await Docker.Ok("network", "connect", two, name);
        await Docker.Ok("network", "disconnect", one, name);
        Assert.Contains($"eth0    inet {subnet}.2/24", await Docker.Ok("start", "-a", name), StringComparison.Ordinal);
        Assert.Equal($"map[{two}:true]", (await Docker.Inspect(name, "{{range $name, $x := .NetworkSettings.Networks}}map[{{$name}}:true]{{end}}")));
    }

    [Fact]
    public async Task Wrong_connections_are_refused_in_Docker_s_words()
    {
        var (network, _) = await Network("net");
        var name = await Sleeper();
        var host = await Sleeper("--network", "host");
        (await Docker.Run("network", "connect", network, "nosuch")).Exited(1).Says("No such container: nosuch");
        (await Docker.Run("network", "connect", "nosuch", name)).Exited(1).Says("network nosuch not found");
        (await Docker.Run("network", "connect", "host", name)).Exited(1).Says("container cannot be disconnected from host network or connected to host network");
        (await Docker.Run("network", "connect", "none", name)).Exited(1).Says("container cannot be connected to multiple networks with one of the networks in private (none) mode");
        (await Docker.Run("network", "connect", network, host)).Exited(1).Says("cannot be connected to any other network");
        (await Docker.Run("run", "--rm", "--network", "nosuch", "alpine", "true")).Exited(125).Says("network nosuch not found");
    }

    [Fact]
    public async Task Networks_are_apart_and_the_containers_of_one_are_not()
    {
        var (one, subnet) = await Network("one");
        var (two, _) = await Network("two");
        var server = await Serving(one, "--ip", $"{subnet}.9");
        var (near, far, common) = (await Sleeper("--network", one), await Sleeper("--network", two), await Sleeper());
        (await Ask(near, $"{subnet}.9")).Ok().Says("answer");
        (await Ask(near, server)).Ok().Says("answer");
        Assert.NotEqual(0, (await AskOnce(far, $"{subnet}.9")).ExitCode);
        Assert.NotEqual(0, (await AskOnce(common, $"{subnet}.9")).ExitCode);
    }

    [Fact]
    public async Task A_published_port_is_reached_from_another_network_by_the_host_s_address()
    {
        var (one, subnet) = await Network("one");
        var (two, _) = await Network("two");
        var server = await Serving(one, "-p", "0:80");
        var port = (await Docker.Ok("port", server, "80/tcp")).Split('\n')[0].Split(':')[^1];
        foreach (var from in new[] { await Sleeper("--network", two), await Sleeper("--network", one) })
        {
            (await Docker.Run("exec", from, "sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 {subnet}.1 {port} < /dev/null && exit; sleep 0.2; done; exit 1")).Ok().Says("answer");
        }
    }

    [Fact]
    public async Task An_internal_network_has_no_way_out_or_in()
    {
        var (inner, subnet) = await Network("inner", "--internal");
        var (outer, outerSubnet) = await Network("outer");
        var server = await Serving(inner, "-p", "0:80");
        var outside = await Serving(outer, "--ip", $"{outerSubnet}.9");
        Assert.Equal("", await Docker.Ok("port", server));
        Assert.DoesNotContain("default", await Docker.Ok("exec", server, "ip", "route"), StringComparison.Ordinal);
        (await Ask(await Sleeper("--network", inner), server)).Ok().Says("answer");

        // Not even with a route of its own.
        var climber = await Sleeper("--network", inner, "--cap-add", "NET_ADMIN");
        await Docker.Ok("exec", climber, "ip", "route", "add", "default", "via", $"{subnet}.1");
        Assert.NotEqual(0, (await AskOnce(climber, $"{outerSubnet}.9")).ExitCode);
        Assert.NotEqual(0, (await AskOnce(outside, await Docker.Inspect(server, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"))).ExitCode);
    }

    [Fact]
    public async Task Without_icc_only_published_ports_are_reached()
    {
        var (network, subnet) = await Network("quiet", "--opt", "com.docker.network.bridge.enable_icc=false");
        var server = await Serving(network, "--ip", $"{subnet}.9", "-p", "0:80");
        var port = (await Docker.Ok("port", server, "80/tcp")).Split('\n')[0].Split(':')[^1];
        Assert.NotEqual(0, (await AskOnce(await Sleeper("--network", network), $"{subnet}.9")).ExitCode);
        (await Docker.Run("exec", await Sleeper(), "sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 {subnet}.1 {port} < /dev/null && exit; sleep 0.2; done; exit 1")).Ok().Says("answer");
    }

    private async Task Published(string name)
    {
        var port = int.Parse((await Docker.Ok("port", name, "80/tcp")).Split('\n')[0].Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture);
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, Cancellation);
                using var reader = new StreamReader(client.GetStream());
                Assert.Equal("answer", await reader.ReadLineAsync(Cancellation));
                return;
            }
            catch (Exception exception) when (exception is SocketException or IOException or Xunit.Sdk.XunitException && attempt < 40)
            {
                await Task.Delay(100, Cancellation); // nc is between two connections
            }
        }
    }
}
