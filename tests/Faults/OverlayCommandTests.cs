using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Two hosts on a switch, an engine on each.</summary>
public sealed class TwoHosts : IAsyncLifetime
{
    public ClusterLab Lab { get; } = new("tw", 2);

    public async ValueTask InitializeAsync() => await Lab.Start();

    public ValueTask DisposeAsync() => Lab.DisposeAsync();
}

/// <summary>The network commands, given on two hosts in turn.</summary>
public sealed class OverlayCommandTests(TwoHosts hosts) : IClassFixture<TwoHosts>
{
    private Docker First => hosts.Lab.Docker(0);

    private Docker Second => hosts.Lab.Docker(1);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_network_is_the_same_on_both_hosts()
    {
        await Make("--attachable", "--label", "team=a", "--subnet", "10.99.1.0/24", "same");
        const string what = "{{.Id}} {{.Driver}} {{.Scope}} {{.Attachable}} {{json .Labels}} {{(index .IPAM.Config 0).Subnet}} {{json .Options}} {{.Created}}";
        var here = await First.Ok("network", "inspect", "-f", what, "same");
        Assert.Contains(" overlay swarm true {\"team\":\"a\"} 10.99.1.0/24 {\"com.docker.network.driver.overlay.vxlanid_list\":\"", here, StringComparison.Ordinal);
        Assert.Equal(here, await Second.Ok("network", "inspect", "-f", what, "same"));
        Assert.Equal("[{\"Name\":\"192.0.2.1\",\"IP\":\"192.0.2.1\"},{\"Name\":\"192.0.2.2\",\"IP\":\"192.0.2.2\"}]", await Second.Ok("network", "inspect", "-f", "{{json .Peers}}", "same"));
        Assert.Equal("same overlay swarm", await Second.Ok("network", "ls", "--filter", "name=same", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"));

        (await Second.Run("network", "create", "-d", "overlay", "same")).Exited(1).Says("network with name same already exists");
        (await Second.Run("network", "create", "same")).Exited(1).Says("network with name same already exists");
        (await Second.Run("network", "create", "-d", "overlay", "--subnet", "10.99.0.0/16", "over")).Exited(1).Says("Pool overlaps with other one on this address space");
        var number = await First.Ok("network", "inspect", "-f", "{{index .Options \"com.docker.network.driver.overlay.vxlanid_list\"}}", "same");
        (await Second.Run("network", "create", "-d", "overlay", "-o", $"com.docker.network.driver.overlay.vxlanid_list={number}", "over")).Exited(1).Says($"VXLAN number {number} is used by another network of the cluster");

        // What was refused is claimed by nobody.
        await Make("over");
        await Second.Ok("run", "-d", "--name", "user", "--network", "same", "alpine", "sleep", "600");
        (await First.Run("network", "rm", "same")).Exited(1).Says("has active endpoints");
        (await Second.Run("network", "rm", "same")).Exited(1).Says("has active endpoints");
        await Second.Ok("rm", "-f", "user");
        await Remove(Second, "same");
        await Remove(First, "over");
    }

    [Theory]
    [InlineData("networks of the driver overlay need IPv4, also beside IPv6", "--ipv4=false", "--ipv6")]
    [InlineData("beside 10.99.9.0/24 it is at least a /120 of IPv6", "--ipv6", "--subnet", "10.99.9.0/24", "--subnet", "fd99:9::/121")]
    [InlineData("fd99:9::1 belongs to the gateway 10.99.9.1", "--ipv6", "--subnet", "10.99.9.0/24", "--subnet", "fd99:9::/64", "--gateway", "fd99:9::7")]
    [InlineData("invalid ip-range fd99:9::/80", "--ipv6", "--subnet", "10.99.9.0/24", "--subnet", "fd99:9::/64", "--ip-range", "fd99:9::/80")]
    [InlineData("failed to parse com.docker.network.driver.overlay.vxlanid_list value: 0", "-o", "com.docker.network.driver.overlay.vxlanid_list=0")]
    [InlineData("failed to parse com.docker.network.driver.overlay.vxlanid_list value: 4097,4098", "-o", "com.docker.network.driver.overlay.vxlanid_list=4097,4098")]
    [InlineData("more than the underlay leaves: 1450", "-o", "com.docker.network.driver.mtu=1500")]
    [InlineData("it has no block of 4 addresses for each of 2 hosts", "--subnet", "10.99.9.0/30")]
    public async Task What_cannot_be_meant_is_refused_and_leaves_nothing(string message, params string[] options)
    {
        (await First.Run(["network", "create", "-d", "overlay", .. options, "wrong"])).Exited(1).Says(message);
        Assert.NotEqual(0, (await First.Run("network", "inspect", "wrong")).ExitCode);
        await Make("wrong");
        await Remove(Second, "wrong");
    }

    /// <summary>On a kernel that can encrypt, tests/vm/ipsec-tests goes on from here.</summary>
    [Fact]
    public async Task An_encrypted_network_is_refused_by_name_where_the_kernel_cannot_encrypt()
    {
        string[] state = ["src", ClusterLab.Address(0), "dst", "192.0.2.99", "proto", "esp", "spi", "0x1001"];
        var added = await Programs.Run("ip", ["-n", hosts.Lab.Engines[0].Namespace, "xfrm", "state", "add", .. state, "mode", "transport", "aead", "rfc4106(gcm(aes))", $"0x{new string('0', 72)}", "128"]);
        if (added.ExitCode == 0)
        {
            (await Programs.Run("ip", ["-n", hosts.Lab.Engines[0].Namespace, "xfrm", "state", "delete", .. state])).Ok();
            await Make("--opt", "encrypted", "secret");
            await Remove(Second, "secret");
            return;
        }

        await Until(async () => (await First.Run("network", "create", "-d", "overlay", "--opt", "encrypted", "secret")).Error.Contains("this host's kernel cannot encrypt networks, which takes IPsec's ESP with AES-GCM", StringComparison.Ordinal), "it is refused");
        Assert.NotEqual(0, (await First.Run("network", "inspect", "secret")).ExitCode);
        Assert.NotEqual(0, (await Second.Run("network", "inspect", "secret")).ExitCode);
        Assert.Equal("", (await Programs.Run("ip", ["-n", hosts.Lab.Engines[0].Namespace, "xfrm", "policy"])).Ok().Output.Trim());
        await Make("secret"); // its name is nobody's
        await Remove(Second, "secret");
    }

    [Fact]
    public async Task Addresses_that_are_asked_for_are_of_the_hosts_own_blocks_or_of_one_it_gets()
    {
        await Make("--subnet", "10.99.2.0/24", "fixed");
        Assert.Equal("10.99.2.9", await Address("one", "10.99.2.9"));
        (await First.Run("run", "-d", "--network", "fixed", "--ip", "10.99.2.9", "alpine", "true")).Exited(125).Says("Address already in use");
        (await First.Run("run", "-d", "--network", "fixed", "--ip", "10.99.2.70", "alpine", "true")).Exited(125).Says("address 10.99.2.70 is given by host 192.0.2.2 alone: the block 10.99.2.64/26 is its own");
        Assert.Equal("10.99.2.200", await Address("two", "10.99.2.200"));
        (await First.Run("run", "-d", "--network", "fixed", "--ip", "10.98.2.1", "alpine", "true")).Exited(125).Says("no configured subnet or ip-range contain the IP address 10.98.2.1");
        await First.Run(["rm", "-f", .. (await First.Run("ps", "-aq")).Lines]);
        await Remove(First, "fixed");

        async Task<string> Address(string name, string address)
        {
            await First.Ok("run", "-d", "--name", name, "--network", "fixed", "--ip", address, "alpine", "sleep", "600");
            return await First.Inspect(name, "{{.NetworkSettings.Networks.fixed.IPAddress}}");
        }
    }

    [Fact]
    public async Task Containers_have_the_same_place_in_both_families()
    {
        await Make("--ipv6", "--subnet", "10.99.6.0/24", "--subnet", "fd99:6::/64", "both");
        (await Second.Run("network", "create", "-d", "overlay", "--ipv6", "--subnet", "fd99:6::/96", "overlaps")).Exited(1).Says("Pool overlaps with other one on this address space");
        Assert.Equal("10.99.6.1 fd99:6::1", await Second.Ok("network", "inspect", "-f", "{{range $i, $c := .IPAM.Config}}{{if $i}} {{end}}{{$c.Gateway}}{{end}}", "both"));
        const string Serve = "exec nc -l -k -p 80 -e hostname";
        await First.Ok("run", "-d", "--name", "one", "--hostname", "one", "--network", "both", "alpine", "sh", "-c", Serve);
        await Second.Ok("run", "-d", "--name", "two", "--hostname", "two", "--network", "both", "alpine", "sh", "-c", Serve);
        Assert.Equal("10.99.6.2 fd99:6::2", await Addresses(First, "one"));
        Assert.Equal("10.99.6.65 fd99:6::41", await Addresses(Second, "two"));
        foreach (var (host, from, to, address) in new[] { (First, "one", "two", "fd99:6::41"), (Second, "two", "one", "fd99:6::2") })
        {
            await Until(async () => (await host.Run("exec", from, "nslookup", "-type=aaaa", to)).Output.Contains(address, StringComparison.Ordinal), $"{to} has an IPv6 address");
            await Until(async () => (await host.Run("exec", from, "sh", "-c", $"nc -w 2 {address} 80 < /dev/null")).Line == to, $"{to} answers at {address}");
            await Until(async () => (await host.Run("exec", from, "sh", "-c", $"nc -w 2 {to} 80 < /dev/null")).Line == to, $"{to} answers by its name");
        }

        // One of the two addresses says the other.
        await First.Ok("run", "-d", "--name", "asked", "--network", "both", "--ip6", "fd99:6::9", "alpine", "sleep", "600");
        Assert.Equal("10.99.6.9 fd99:6::9", await Addresses(First, "asked"));
        (await First.Run("run", "-d", "--network", "both", "--ip", "10.99.6.10", "--ip6", "fd99:6::b", "alpine", "true")).Exited(125).Says("fd99:6::b belongs to 10.99.6.11, and 10.99.6.10 to fd99:6::a");
        (await First.Run("run", "-d", "--network", "both", "--ip6", "fd99:6::1:0", "alpine", "true")).Exited(125).Says("fd99:6::1:0 is not among those of fd99:6::/64 that belong to 10.99.6.0/24");

        // What an engine has told the kernel the next one knows.
        await hosts.Lab.Engines[0].Kill();
        await hosts.Lab.Engines[0].Start();
        await Until(async () => (await First.Run("exec", "one", "sh", "-c", "nc -w 2 fd99:6::41 80 < /dev/null")).Line == "two", "two answers after a restart");
        await Second.Ok("rm", "-f", "two");
        await Until(async () => (await First.Run("exec", "one", "nslookup", "-type=aaaa", "two")).ExitCode != 0, "two is forgotten");
        await Until(
            async () => !(await Programs.Run("ip", ["-n", hosts.Lab.Engines[0].Namespace, "-6", "neigh", "show", "nud", "permanent"])).Output.Contains("fd99:6::41", StringComparison.Ordinal),
            "the kernel has forgotten two");
        await First.Run(["rm", "-f", .. (await First.Run("ps", "-aq")).Lines]);
        await Remove(First, "both");

        static async Task<string> Addresses(Docker docker, string container) =>
            await docker.Inspect(container, "{{.NetworkSettings.Networks.both.IPAddress}} {{.NetworkSettings.Networks.both.GlobalIPv6Address}}");
    }

    /// <summary>Makes a network on the first host, and waits until the second has a block of it.</summary>
    private async Task Make(params string[] arguments)
    {
        await Until(async () => (await First.Run(["network", "create", "-d", "overlay", .. arguments])).ExitCode == 0, $"{arguments[^1]} is made");
        await Until(
            async () => (await Programs.Run("ip", ["-n", hosts.Lab.Engines[1].Namespace, "link", "show", $"ov-{(await Second.Run("network", "inspect", "-f", "{{.Id}}", arguments[^1])).Line.PadRight(12)[..12]}"])).ExitCode == 0,
            $"{arguments[^1]} is at the second host");
    }

    private async Task Remove(Docker docker, string network)
    {
        await Until(async () => (await docker.Run("network", "rm", network)).ExitCode == 0, $"{network} is removed");
        foreach (var host in new[] { First, Second })
        {
            await Until(async () => (await host.Run("network", "inspect", network)).ExitCode != 0, $"{network} is gone");
        }
    }

    private static async Task Until(Func<Task<bool>> condition, string what)
    {
        for (var clock = Stopwatch.StartNew(); !await condition(); await Task.Delay(30, Cancellation))
        {
            Assert.True(clock.Elapsed < Programs.Limit(40), $"not reached: {what}");
        }
    }
}
