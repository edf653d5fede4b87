using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The default bridge, published ports, and the networks none and host.</summary>
public sealed class NetworkTests(SharedEngine engine) : EngineTest(engine)
{
    private const string EchoTcp = "while :; do nc -l -p 80 -e cat; done";
    private const string EchoUdp = "nc -u -l -k -p 53 -e cat";

    [Fact]
    public async Task Container_has_an_address_and_a_default_route_on_the_bridge()
    {
        var name = await Sleeper();
        var address = await Docker.Inspect(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
        var gateway = await Docker.Inspect(name, "{{.NetworkSettings.Networks.bridge.Gateway}}");
        Assert.Contains($"inet {address}/", await Docker.Ok("exec", name, "ip", "-4", "addr", "show", "eth0"), StringComparison.Ordinal);
        Assert.StartsWith($"default via {gateway} dev eth0", await Docker.Ok("exec", name, "ip", "route"), StringComparison.Ordinal);
        Assert.Contains(await Docker.Inspect(name, "{{.NetworkSettings.Networks.bridge.MacAddress}}"), await Docker.Ok("exec", name, "ip", "link", "show", "eth0"), StringComparison.Ordinal);
        await Docker.Ok("exec", name, "ping", "-c", "1", "-w", "5", gateway);
        Assert.Contains($"{address}\t", await Docker.Ok("exec", name, "cat", "/etc/hosts"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Containers_reach_each_other()
    {
        var (one, two) = (await Sleeper(), await Sleeper());
        var address = await Docker.Inspect(two, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
        Assert.NotEqual(address, await Docker.Inspect(one, "{{.NetworkSettings.Networks.bridge.IPAddress}}"));
        await Docker.Ok("exec", one, "ping", "-c", "1", "-w", "5", address);
    }

    [Fact]
    public async Task Outside_is_reached_through_NAT()
    {
        // A network namespace that knows no way back to the containers: it answers only what comes from the host's own address.
        await using var outside = await OutsideWorld.Make("nat", 215);
        var server = Programs.Start("ip", ["netns", "exec", outside.Namespace, "busybox", "nc", "-l", "-p", "7000", "-e", "/bin/echo", "from outside"]);
        Cleanup(() =>
        {
            server.Kill();
            server.Dispose();
            return Task.CompletedTask;
        });
        var output = await Docker.Ok("run", "--rm", "alpine", "sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 5 {outside.Address} 7000 && exit; sleep 0.3; done");
        Assert.Equal("from outside", output);
    }

    [Fact]
    [RunOption("--publish")]
    public async Task Published_tcp_port_answers_on_every_address_of_the_host()
    {
        await using var outside = await OutsideWorld.Make("pub", 216);
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-p", "80", "alpine", "sh", "-c", EchoTcp);
        var port = int.Parse((await Docker.Ok("port", name, "80/tcp")).Split('\n')[0].Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture);
        foreach (var address in new[] { "127.0.0.1", outside.HostAddress })
        {
            Assert.Equal("ping", await EchoOverTcp(address, port));
        }

        // The server listens anew after each connection: there is a moment in which it does not.
        var fromOutside = "";
        for (var attempt = 0; attempt < 30 && fromOutside.Length == 0; attempt++)
        {
            fromOutside = (await Programs.Run(
                "ip", ["netns", "exec", outside.Namespace, "busybox", "nc", "-w", "5", outside.HostAddress, $"{port}"], new MemoryStream("pong"u8.ToArray()))).Output;
        }

        Assert.Equal("pong", fromOutside);
    }

    [Fact]
    public async Task Published_udp_port_answers()
    {
        // Debian's busybox has no netcat for datagrams.
        Requirement.Shared();
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-p", "127.0.0.1:0:53/udp", "alpine", "sh", "-c", EchoUdp);
        var port = int.Parse((await Docker.Ok("port", name, "53/udp")).Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture);
        using var client = new UdpClient();
        client.Connect(IPAddress.Loopback, port);
        for (var attempt = 0; attempt < 20; attempt++)
        {
            await client.SendAsync("ping"u8.ToArray(), Cancellation);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(500);
            try
            {
                Assert.Equal("ping", Encoding.ASCII.GetString((await client.ReceiveAsync(limit.Token)).Buffer));
                return;
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException && !Cancellation.IsCancellationRequested)
            {
                // The server inside may not listen yet; datagrams are not kept for it.
            }
        }
        Assert.Fail("no answer");
    }

    [Fact]
    public async Task Port_already_published_is_refused_and_free_again_after_removal()
    {
        var port = FreePort();
        var first = Container("first");
        await Docker.Ok("run", "-d", "--name", first, "-p", $"{port}:80", "alpine", "sleep", "1000");
        (await Docker.Run("run", "--rm", "--name", Container("second"), "-p", $"{port}:80", "alpine", "true")).Exited(125).Says("port is already allocated");
        await Docker.Ok("rm", "-f", first);
        await Docker.Ok("run", "--rm", "-p", $"{port}:80", "alpine", "true");
    }

    [Fact]
    public async Task Port_that_a_program_of_the_host_holds_is_refused()
    {
        using var listener = new TcpListener(IPAddress.Any, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        (await Docker.Run("run", "--rm", "--name", Container(), "-p", $"{port}:80", "alpine", "true")).Exited(125).Says("already in use");
    }

    [Fact]
    [RunOption("--network")]
    public async Task Network_none_has_only_loopback()
    {
        var lines = (await Docker.Run("run", "--rm", "--network", "none", "alpine", "sh", "-c", "ls /sys/class/net; ip route; ping -c 1 -w 2 127.0.0.1 > /dev/null && echo alive")).Ok().Lines;
        Assert.Equal(["lo", "alive"], lines);
    }

    [Fact]
    public async Task Network_host_is_the_hosts()
    {
        var own = (await Programs.Run("readlink", ["/proc/self/ns/net"])).Ok().Line;
        Assert.Equal(own, await Docker.Ok("run", "--rm", "--network", "host", "alpine", "readlink", "/proc/self/ns/net"));
        Assert.Equal(Environment.MachineName, await Docker.Ok("run", "--rm", "--network", "host", "alpine", "hostname"));
    }

    [Fact]
    public async Task Network_of_another_container_is_shared()
    {
        var name = await Sleeper();
        Assert.Equal(await Docker.Ok("exec", name, "readlink", "/proc/self/ns/net"), await Docker.Ok("run", "--rm", "--network", $"container:{name}", "alpine", "readlink", "/proc/self/ns/net"));
    }

    [Fact]
    [RunOption("--add-host", "--dns", "--dns-option", "--dns-search")]
    public async Task Hosts_dns_and_extra_entries()
    {
        var output = await Docker.Ok("run", "--rm", "--dns", "192.0.2.53", "--dns-search", "example.org", "--dns-option", "ndots:3", "--add-host", "db:192.0.2.9", "-h", "web", "alpine", "cat", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname");
        Assert.All(["nameserver 192.0.2.53", "search example.org", "options ndots:3", "192.0.2.9\tdb", "\tweb", "127.0.0.1\tlocalhost"], text => Assert.Contains(text, output, StringComparison.Ordinal));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task<string> EchoOverTcp(string address, int port)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var client = new TcpClient();
            try
            {
                await client.ConnectAsync(address, port, Cancellation);
                await using var stream = client.GetStream();
                await stream.WriteAsync("ping"u8.ToArray(), Cancellation);
                client.Client.Shutdown(SocketShutdown.Send);
                using var reader = new StreamReader(stream);
                var answer = await reader.ReadToEndAsync(Cancellation);
                if (answer.Length > 0 || attempt >= 30)
                {
                    return answer;
                }
            }
            catch (Exception e) when (e is SocketException or IOException && attempt < 30)
            {
                // The server inside is not listening yet.
            }
            await Task.Delay(100, Cancellation);
        }
    }
}
