using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>At which addresses of the host a port is published, by family.</summary>
public sealed class PublishedAddressTests(SharedEngine engine) : EngineTest(engine)
{
    private const string Bindings = "{{range (index .NetworkSettings.Ports \"80/tcp\")}}{{.HostIp}}|{{.HostPort}} {{end}}";

    [Theory]
    [InlineData("{0}:80", "0.0.0.0:{0} [::]:{0}")]
    [InlineData("0.0.0.0:{0}:80", "0.0.0.0:{0}")]
    [InlineData("[::]:{0}:80", "[::]:{0}")]
    [InlineData("127.0.0.1:{0}:80", "127.0.0.1:{0}")]
    [InlineData("[::1]:{0}:80", "[::1]:{0}")]
    [InlineData("[0:0::1]:{0}:80", "[::1]:{0}")]
    [InlineData("[::ffff:127.0.0.1]:{0}:80", "127.0.0.1:{0}")]
    public async Task A_port_is_told_where_it_is_published(string published, string places)
    {
        var (name, port) = (Container(), Free());
        await Docker.Ok("run", "-d", "--name", name, "-p", Format(published, port), "alpine", "sleep", "1000");
        string[] expected = Format(places, port).Split(' ');
        Assert.Equal(expected.Select(place => $"80/tcp -> {place}"), (await Docker.Run("port", name)).Ok().Lines);
        Assert.Equal(expected, (await Docker.Run("port", name, "80")).Ok().Lines);
        var inspected = (await Docker.Inspect(name, Bindings)).Trim().Split(' ').Select(binding => binding.Split('|')).Select(parts => new IPEndPoint(IPAddress.Parse(parts[0]), Number(parts[1])).ToString());
        Assert.Equal(expected, inspected);
        Assert.Equal(string.Join(", ", expected.Select(place => $"{place}->80/tcp")), await Docker.Ok("ps", "--filter", $"name={name}", "--format", "{{.Ports}}"));
    }

    [Fact]
    public async Task A_port_that_the_engine_chooses_is_the_same_in_both_families()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-p", "80", "-p", "0:81", "-p", "82/udp", "alpine", "sleep", "1000");
        foreach (var port in new[] { "80/tcp", "81/tcp", "82/udp" })
        {
            var lines = (await Docker.Run("port", name, port)).Ok().Lines;
            Assert.Equal(2, lines.Length);
            Assert.Equal(("0.0.0.0", "[::]"), (lines[0][..lines[0].LastIndexOf(':')], lines[1][..lines[1].LastIndexOf(':')]));
            Assert.Equal(lines[0].Split(':')[^1], lines[1].Split(':')[^1]);
            Assert.InRange(Number(lines[0].Split(':')[^1]), 1024, 65535);
        }
    }

    [Theory]
    [InlineData("127.0.0.1:{0}:80", "[::1]:{0}:80", "{0}:80")]
    [InlineData("[::1]:{0}:80", "127.0.0.1:{0}:80", "[::]:{0}:80")]
    [InlineData("[::]:{0}:80", "0.0.0.0:{0}:80", "{0}:80")]
    [InlineData("{0}:80", "{0}:80/udp", "0.0.0.0:{0}:80")]
    public async Task A_port_that_is_taken_in_one_family_is_free_in_the_other(string first, string beside, string refused)
    {
        var port = Free();
        var (one, other, third) = (Container("one"), Container("other"), Container("third"));
        await Docker.Ok("run", "-d", "--name", one, "-p", Format(first, port), "alpine", "sleep", "1000");
        var result = await Docker.Run("run", "-d", "--name", third, "-p", Format(refused, port), "alpine", "sleep", "1000");
        result.Exited(125);
        Assert.Matches($":{port} failed: port is already allocated|:{port}(:.*)?: (bind: )?address already in use", result.Error);
        await Docker.Ok("run", "-d", "--name", other, "-p", Format(beside, port), "alpine", "sleep", "1000");

        // What was refused keeps nothing: when the others are gone it starts.
        await Docker.Ok("rm", "-f", one, other);
        await Docker.Ok("start", third);
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    public async Task Of_a_range_the_first_is_published_that_is_free_in_both_families(AddressFamily taken)
    {
        Assert.SkipUnless(IsSlipway, "dockerd 26 gives up, or publishes one port at 0.0.0.0 and another at [::]");
        var (name, port) = (Container(), FreePair());
        using var holder = new Socket(taken, SocketType.Stream, ProtocolType.Tcp);
        if (taken == AddressFamily.InterNetworkV6)
        {
            holder.DualMode = false;
        }

        holder.Bind(new IPEndPoint(taken == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, port));
        holder.Listen();
        await Docker.Ok("run", "-d", "--name", name, "-p", $"{port}-{port + 1}:80", "alpine", "sleep", "1000");
        Assert.Equal([$"0.0.0.0:{port + 1}", $"[::]:{port + 1}"], (await Docker.Run("port", name, "80")).Ok().Lines);
    }

    [Theory]
    [InlineData("192.0.2.99:{0}:80", "cannot assign requested address")]
    [InlineData("[2001:db8::9]:{0}:80", "cannot assign requested address")]
    public async Task An_address_that_the_host_has_not_is_refused(string published, string message)
    {
        var (name, port) = (Container(), Free());
        (await Docker.Run("run", "-d", "--name", name, "-p", Format(published, port), "alpine", "sleep", "1000")).Exited(125).Says(message);
        Assert.Equal("", await Docker.Ok("port", name));
        Assert.Equal("created", await Docker.Inspect(name, "{{.State.Status}}"));
    }

    [Fact]
    public async Task Datagrams_that_come_by_IPv6_reach_a_container_that_has_IPv4_alone()
    {
        // Debian's busybox has no netcat for datagrams.
        Requirement.Shared();

        // A machine outside that speaks IPv6 alone with this host, and a network without IPv6.
        await using var outside = await OutsideWorld.Make("udp6", 217);
        var subnet = $"fdc7:{Environment.ProcessId % 65536:x}::";
        (await Programs.Run("ip", ["addr", "add", $"{subnet}1/64", "dev", outside.Link, "nodad"])).Ok();
        (await Programs.Run("ip", ["-n", outside.Namespace, "addr", "add", $"{subnet}2/64", "dev", "eth0", "nodad"])).Ok();
        var (network, name) = (Container("net"), Container());
        Cleanup(() => Docker.Run("network", "rm", network));
        Cleanup(() => Docker.Run("rm", "-f", name));
        await Docker.Ok("network", "create", network);

        // Each of these servers has one client.
        string[] options = ["--network", network, "-p", "51/udp", "-p", "52/udp", "-p", "53/udp", "-p", "54/udp"];
        await Docker.Ok(["run", "-d", "--name", name, .. options, "alpine", "sh", "-c", "for port in 51 52 53 54; do nc -u -l -p $port -e cat & done; exec sleep 1000"]);
        Assert.Equal("", await Docker.Inspect(name, $"{{{{(index .NetworkSettings.Networks \"{network}\").GlobalIPv6Address}}}}"));
        Assert.Equal("loopback", await Echo(IPAddress.IPv6Loopback, await Port(51), "loopback"));
        Assert.Equal("global", await Echo(IPAddress.Parse($"{subnet}1"), await Port(52), "global"));
        Assert.Equal("four", await Echo(IPAddress.Loopback, await Port(53), "four"));
        var (port, answer) = (await Port(54), "");
        for (var attempt = 0; attempt < 5 && answer.Trim().Length == 0; attempt++)
        {
            answer = (await Programs.Run("ip", ["netns", "exec", outside.Namespace, "bash", "-c", $"exec 3<> /dev/udp/{subnet}1/{port}; echo outside >&3; timeout 2 dd bs=100 count=1 status=none <&3"])).Output;
        }

        Assert.Equal("outside\n", answer);

        // Nobody answers for it when it is gone.
        var first = await Port(51);
        await Docker.Ok("rm", "-f", name);
        Assert.Null(await Echo(IPAddress.IPv6Loopback, first, "gone", attempts: 2));

        async Task<int> Port(int inside) => Number((await Docker.Run("port", name, $"{inside}/udp")).Ok().Lines.Single(line => line.StartsWith("[::]:", StringComparison.Ordinal)).Split(':')[^1]);
    }

    private static string Format(string text, int port) => string.Format(CultureInfo.InvariantCulture, text, port);

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>Null where nobody answers.</summary>
    private static async Task<string?> Echo(IPAddress address, int port, string text, int attempts = 20)
    {
        using var client = new UdpClient(address.AddressFamily);
        client.Connect(address, port);
        for (var attempt = 0; attempt < attempts; attempt++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(500);
            try
            {
                await client.SendAsync(Encoding.ASCII.GetBytes(text), limit.Token);
                return Encoding.ASCII.GetString((await client.ReceiveAsync(limit.Token)).Buffer);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException && !Cancellation.IsCancellationRequested)
            {
                // The server inside may not listen yet; datagrams are not kept for it.
                await Task.Delay(100, Cancellation);
            }
        }

        return null;
    }

    /// <summary>A port that is free in both families.</summary>
    private static int Free()
    {
        using var listener = new TcpListener(IPAddress.IPv6Any, 0);
        listener.Server.DualMode = true;
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The first of two neighbours that are.</summary>
    private static int FreePair()
    {
        for (var attempt = 0; ; attempt++)
        {
            var port = Free();
            try
            {
                using var next = new TcpListener(IPAddress.IPv6Any, port + 1);
                next.Server.DualMode = true;
                next.Start();
                return port;
            }
            catch (SocketException) when (attempt < 20)
            {
            }
        }
    }
}
