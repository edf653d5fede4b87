using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Names and kernel settings of the links inside containers.</summary>
public sealed class LinkOptionTests(SharedEngine engine) : EngineTest(engine)
{
    private string Network(string name = "net")
    {
        var full = Container(name);
        Cleanup(() => Docker.Run("network", "rm", full));
        return full;
    }

    [Fact]
    public async Task A_link_has_the_name_and_the_settings_that_are_asked_for()
    {
        var name = Network();
        await Docker.Ok("network", "create", name);
        const string Look = "ls /sys/class/net; cat /proc/sys/net/ipv4/conf/uplink0/log_martians; ip route | grep ^default";
        var output = await Docker.Ok(
            "run", "--rm",
            "--network", $"name={name},driver-opt=com.docker.network.endpoint.ifname=uplink0,\"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0\"",
            "alpine", "sh", "-c", Look);
        Assert.Matches(@"^lo\nuplink0\n1\ndefault via \S+ dev uplink0", output);

        // On the default network too, where a link waits under another name.
        Assert.Equal("lo\nmine", await Docker.Ok("run", "--rm", "--network", "name=bridge,driver-opt=com.docker.network.endpoint.ifname=mine", "alpine", "ls", "/sys/class/net"));
    }

    [Fact]
    public async Task A_network_names_its_links()
    {
        var (name, other) = (Network(), Network("other"));
        await Docker.Ok("network", "create", "--opt", "com.docker.network.container_iface_prefix=lan", name);
        await Docker.Ok("network", "create", other);
        Assert.Equal("eth0\nlan0\nlo", await Docker.Ok("run", "--rm", "--network", name, "--network", other, "alpine", "ls", "/sys/class/net"));
        (await Docker.Run("network", "create", "--opt", "com.docker.network.container_iface_prefix=a/b", Network("bad"))).Exited(1)
            .Says("failed to parse com.docker.network.container_iface_prefix value: a/b");
    }

    [Theory]
    [InlineData("unrecognised network interface sysctl 'net.ipv4.ip_forward=1'", "sysctls=net.ipv4.ip_forward=1")]
    [InlineData("unrecognised network interface sysctl", "sysctls=net.ipv4.conf.IFNAME.../../ip_forward=1")]
    [InlineData("failed to set net.ipv4.conf.IFNAME.nosuch=1 for eth0", "sysctls=net.ipv4.conf.IFNAME.nosuch=1")]
    [InlineData("invalid interface name a/b", "ifname=a/b")]
    [InlineData("invalid interface name lo", "ifname=lo")]
    public async Task What_cannot_be_is_refused(string expected, string option)
    {
        var name = Network();
        await Docker.Ok("network", "create", name);
        (await Docker.Run("run", "--rm", "--name", Container(), "--network", $"name={name},driver-opt=com.docker.network.endpoint.{option}", "alpine", "true")).Exited(125).Says(expected);
        Assert.Equal("0", await Docker.Ok("network", "inspect", "-f", "{{len .Containers}}", name));
    }
}
