using System.Net;
using System.Net.Sockets;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The embedded name server of networks of one's own.</summary>
public sealed class NetworkNameTests(SharedEngine engine) : EngineTest(engine)
{
    private async Task<(string Name, string Subnet)> Network(string name, params string[] options)
    {
        var (full, subnet) = (Container(name), TestSubnet.Next());
        await Docker.Ok(["network", "create", "--subnet", $"{subnet}.0/24", .. options, full]);
        Cleanup(() => Docker.Run("network", "rm", full));
        return (full, subnet);
    }

    /// <summary>The addresses a container finds for a name, in order; none where it finds no name.</summary>
    private async Task<string[]> Resolve(string container, string name)
    {
        var result = await Docker.Run("exec", container, "nslookup", name + ".");
        return [.. result.Lines.SkipWhile(line => !line.StartsWith("Name:", StringComparison.Ordinal))
            .Where(line => line.StartsWith("Address", StringComparison.Ordinal)).Select(line => line.Split(' ', '\t')[^1])];
    }

    [Fact]
    [RunOption("--network-alias")]
    public async Task Containers_are_found_by_name_alias_short_id_and_hostname()
    {
        var (network, subnet) = await Network("net");
        var server = await Sleeper("--network", network, "--ip", $"{subnet}.9", "--network-alias", "web", "--network-alias", "api", "--hostname", "host9");
        var client = await Sleeper("--network", network);
        var id = await Docker.Inspect(server, "{{.Id}}");
        foreach (var name in new[] { server, "web", "API", "host9", id[..12], $"{server}.{network}", $"web.{network}" })
        {
            Assert.Equal([$"{subnet}.9"], await Resolve(client, name));
        }
        Assert.Contains($"{server}.{network}", await Docker.Ok("exec", client, "nslookup", $"{subnet}.9"), StringComparison.Ordinal);
        Assert.Equal($"[{server} web api {id[..12]} host9]", await Docker.Inspect(server, "{{range .NetworkSettings.Networks}}{{.DNSNames}}{{end}}"));
        Assert.Contains("options ndots:0", await Docker.Ok("exec", client, "cat", "/etc/resolv.conf"), StringComparison.Ordinal);

        // The network's own address of the host.
        Assert.Equal([$"{subnet}.1"], await Resolve(client, "host.docker.internal"));
    }

    [Fact]
    public async Task The_host_is_known_where_there_is_no_name_server_too()
    {
        var name = await Sleeper();
        var gateway = await Docker.Inspect(name, "{{.NetworkSettings.Networks.bridge.Gateway}}");
        string[] both = [$"{gateway}\tgateway.docker.internal", $"{gateway}\thost.docker.internal"];
        Assert.Equal(both, await Known("exec", name));
        Assert.Equal(both, await Known("run", "--rm", "--network", "host", "alpine"));
        Assert.Empty(await Known("run", "--rm", "--network", "none", "alpine"));
        Assert.Equal([both[0], "192.0.2.7\thost.docker.internal"], await Known("run", "--rm", "--add-host", "Host.docker.internal:192.0.2.7", "alpine"));

        // On a network with a name server that knows them they are no lines any more, and again after it.
        var (network, _) = await Network("net");
        await Docker.Ok("network", "connect", network, name);
        Assert.Empty(await Known("exec", name));
        await Docker.Ok("network", "disconnect", network, name);
        Assert.Equal(both, await Known("exec", name));

        async Task<IEnumerable<string>> Known(params string[] command) =>
            (await Docker.Run([.. command, "grep", "-i", "docker.internal", "/etc/hosts"])).Lines.Select(line => line.Replace("Host.", "host.", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Names_are_known_on_their_network_only_and_end_with_the_container()
    {
        var (one, _) = await Network("one");
        var (two, _) = await Network("two");
        var server = await Sleeper("--network", one);
        var (near, far) = (await Sleeper("--network", one), await Sleeper("--network", two));
        Assert.Single(await Resolve(near, server));
        Assert.Empty(await Resolve(far, server));
        await Docker.Ok("rename", server, server + "x");
        Cleanup(() => Docker.Run("rm", "-f", server + "x"));
        Assert.Empty(await Resolve(near, server));
        Assert.Single(await Resolve(near, server + "x"));
        await Docker.Ok("stop", "-t", "0", server + "x");
        Assert.Empty(await Resolve(near, server + "x"));
    }

    [Fact]
    public async Task An_alias_of_several_containers_gives_all_addresses_each_first_in_turn()
    {
        var (network, subnet) = await Network("net");
        foreach (var last in new[] { 11, 12, 13 })
        {
            await Sleeper("--network", network, "--ip", $"{subnet}.{last}", "--network-alias", "pool");
        }
        var client = await Sleeper("--network", network);
        HashSet<string> first = [];
        for (var i = 0; i < 30 && first.Count < 3; i++)
        {
            var addresses = await Resolve(client, "pool");
            Assert.Equal([$"{subnet}.11", $"{subnet}.12", $"{subnet}.13"], addresses.Order(StringComparer.Ordinal));
            first.Add(addresses[0]);
        }
        Assert.Equal(3, first.Count);
    }

    [Fact]
    public async Task A_container_that_serves_port_53_itself_finds_names()
    {
        // Debian's busybox has no netcat for datagrams.
        Requirement.Shared();
        var (network, subnet) = await Network("net");
        var server = await Sleeper("--network", network, "--ip", $"{subnet}.9");
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "--network", network, "alpine", "sh", "-c", "nc -l -k -p 53 -e cat & exec nc -u -l -k -p 53 -e cat");
        await Docker.Until(output => output.Contains(":53 ", StringComparison.Ordinal) || output.Contains(":53\t", StringComparison.Ordinal), ["exec", name, "netstat", "-lnu"]);
        Assert.Equal([$"{subnet}.9"], await Resolve(name, server));
    }

    [Fact]
    public async Task A_link_on_a_network_of_one_s_own_is_a_name_for_one_container()
    {
        var (network, subnet) = await Network("net");
        var server = await Sleeper("--network", network, "--ip", $"{subnet}.9");
        var linked = await Sleeper("--network", network, "--link", $"{server}:store");
        var other = await Sleeper("--network", network);
        Assert.Equal([$"{subnet}.9"], await Resolve(linked, "store"));
        Assert.Empty(await Resolve(other, "store"));
    }

    [Fact]
    public async Task Other_names_are_asked_of_the_servers_named_for_the_container()
    {
        var (network, subnet) = await Network("net");
        using var upstream = new Upstream($"{subnet}.1");
        var client = await Sleeper("--network", network, "--dns", $"{subnet}.250", "--dns", $"{subnet}.1", "--dns-search", "corp.example");
        var file = await Docker.Ok("exec", client, "cat", "/etc/resolv.conf");
        Assert.Contains("nameserver 127.0.0.11", file, StringComparison.Ordinal);
        Assert.Contains("search corp.example", file, StringComparison.Ordinal);
        Assert.DoesNotContain($"{subnet}.1", file, StringComparison.Ordinal);

        // The first server does not answer; the second is asked.
        Assert.Equal(["192.0.2.77"], await Resolve(client, "www.example"));
        Assert.Contains("www.example", upstream.Asked);
        Assert.Equal([client], (await Docker.Run("exec", client, "nslookup", client + ".")).Lines.Where(line => line.StartsWith("Name:", StringComparison.Ordinal)).Select(line => line.Split('\t', ' ')[^1]).Distinct());
        Assert.DoesNotContain(client, upstream.Asked);
    }

    [Fact]
    public async Task CVE_2024_29018_an_internal_network_asks_nobody_outside()
    {
        var (network, subnet) = await Network("net", "--internal");
        using var upstream = new Upstream($"{subnet}.1");
        var client = await Sleeper("--network", network, "--dns", $"{subnet}.1");
        Assert.Empty(await Resolve(client, "secret.example"));
        Assert.Single(await Resolve(client, client));
        Assert.Empty(upstream.Asked);
    }

    /// <summary>A name server on the host that answers every question for an IPv4 address with 192.0.2.77, and others with nothing.</summary>
    private sealed class Upstream : IDisposable
    {
        private readonly UdpClient _socket;

        public Upstream(string address)
        {
            _socket = new UdpClient(new IPEndPoint(IPAddress.Parse(address), 53));
            _ = Serve();
        }

        public System.Collections.Concurrent.ConcurrentQueue<string> Asked { get; } = new();

        public void Dispose() => _socket.Dispose();

        private async Task Serve()
        {
            while (true)
            {
                UdpReceiveResult query;
                try
                {
                    query = await _socket.ReceiveAsync();
                }
                catch (Exception exception) when (exception is ObjectDisposedException or SocketException)
                {
                    return;
                }
                var bytes = query.Buffer;
                List<string> labels = [];
                var at = 12;
                for (; bytes[at] != 0; at += bytes[at] + 1)
                {
                    labels.Add(System.Text.Encoding.ASCII.GetString(bytes, at + 1, bytes[at]));
                }
                Asked.Enqueue(string.Join('.', labels));
                var isAddress = bytes[at + 2] == 1;
                byte[] header = [bytes[0], bytes[1], 0x81, 0x80, 0, 1, 0, (byte)(isAddress ? 1 : 0), 0, 0, 0, 0];
                byte[] record = isAddress ? [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77] : [];
                await _socket.SendAsync((byte[])[.. header, .. bytes[12..(at + 5)], .. record], query.RemoteEndPoint);
            }
        }
    }
}
