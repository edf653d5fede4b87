using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The directives of daemon.json about what containers get that do not say otherwise.</summary>
public sealed class ContainerDefaultsTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Defaults_hold_where_a_container_does_not_say_otherwise()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var folder = Folder();
        var (file, profile) = (Path.Combine(folder, "daemon.json"), Path.Combine(folder, "seccomp.json"));
        await File.WriteAllTextAsync(profile, """{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}""", Cancellation);
        await File.WriteAllTextAsync(
            file,
            $$"""
            {"dns": ["192.0.2.53"], "dns-search": ["example.test"], "dns-opts": ["ndots:3"], "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 2000, "Soft": 1000} },
             "default-shm-size": "16M", "default-ipc-mode": "shareable", "default-cgroupns-mode": "private", "no-new-privileges": true, "seccomp-profile": "{{profile}}",
             "mtu": 1400, "ip": "127.0.0.1", "host-gateway-ips": ["192.0.2.1", "2001:db8::1"], "shutdown-timeout": 3, "features": {"containerd-snapshotter": false} }
            """,
            Cancellation);
        await using var daemon = new Engine("def") { Flags = ["--config-file", file] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        var docker = daemon.Docker;
        const string Look = "grep -v '^#' /etc/resolv.conf; ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1 | awk '{print $2}'; grep NoNewPrivs /proc/self/status | cut -f2; mkdir /x 2>/dev/null || echo filtered; cat /sys/class/net/eth0/mtu; grep gate$ /etc/hosts || true";
        Assert.Equal(
            "nameserver 192.0.2.53\nsearch example.test\noptions ndots:3\n1000\n2000\n16384\n1\nfiltered\n1400\n192.0.2.1\tgate\n2001:db8::1\tgate",
            await docker.Ok("run", "--rm", "--add-host", "gate:host-gateway", "alpine", "sh", "-c", Look));
        Assert.Equal(
            "nameserver 192.0.2.54\nsearch other.test\noptions ndots:1\n50\n60\n32768\n0\n1400",
            await docker.Ok(
                "run", "--rm", "--dns", "192.0.2.54", "--dns-search", "other.test", "--dns-option", "ndots:1", "--ulimit", "nofile=50:60", "--shm-size", "32m", "--security-opt", "no-new-privileges=false",
                "--security-opt", "seccomp=builtin", "alpine", "sh", "-c", Look));
        await docker.Ok("run", "-d", "--name", "box", "-p", "80", "alpine", "sleep", "1000");
        Assert.Equal("shareable private", await docker.Inspect("box", "{{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}}"));
        Assert.StartsWith("127.0.0.1:", await docker.Ok("port", "box", "80"), StringComparison.Ordinal);

        // By its name the host is known at the same addresses, wherever there is a way to it.
        await docker.Ok("network", "create", "out");
        await docker.Ok("network", "create", "--internal", "shut");
        var gateway = await docker.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "out");
        Assert.Equal(
            $"192.0.2.1|2001:db8::1|{gateway}",
            await docker.Ok("run", "--rm", "--network", "out", "alpine", "sh", "-c", """
                ask() { nslookup -type=$1 $2. | awk '/^Name:/ { found = 1 } found && /^Address/ { print $NF }'; }
                echo "$(ask a host.docker.internal)|$(ask aaaa host.docker.internal)|$(ask a gateway.docker.internal)"
                """));
        Assert.DoesNotContain("192.0.2.1", (await docker.Run("run", "--rm", "--network", "shut", "alpine", "nslookup", "host.docker.internal.")).Output, StringComparison.Ordinal);
        await docker.Ok("network", "rm", "out", "shut");
        Assert.Equal("1\nfiltered", await docker.Ok("exec", "box", "sh", "-c", "grep NoNewPrivs /proc/self/status | cut -f2; mkdir /x 2>/dev/null || echo filtered"));
    }

    [Fact]
    public async Task Without_icc_containers_of_the_default_network_do_not_reach_each_other()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var file = Path.Combine(Folder(), "daemon.json");
        await File.WriteAllTextAsync(file, """{"icc": false, "seccomp-profile": "unconfined"}""", Cancellation);
        await using var daemon = new Engine("icc") { Flags = ["--config-file", file] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        var docker = daemon.Docker;
        await docker.Ok("run", "-d", "--name", "one", "alpine", "sleep", "1000");
        var address = await docker.Inspect("one", "{{.NetworkSettings.Networks.bridge.IPAddress}}");
        Assert.NotEqual(0, (await docker.Run("run", "--rm", "alpine", "ping", "-c", "1", "-W", "2", address)).ExitCode);

        // The same where it is not forbidden.
        var other = await Sleeper();
        await Docker.Ok("run", "--rm", "alpine", "ping", "-c", "1", "-W", "10", await Docker.Inspect(other, "{{.NetworkSettings.Networks.bridge.IPAddress}}"));
        Assert.Equal("0", await docker.Ok("exec", "one", "sh", "-c", "grep Seccomp: /proc/self/status | cut -f2"));
    }

    [Fact]
    public async Task There_are_no_managed_plugins_and_none_can_be_installed()
    {
        Assert.SkipUnless(IsSlipway, "Docker can install plugins");
        Assert.Equal("", await Docker.Ok("plugin", "ls", "-q"));
        Assert.Contains("plugin \"nosuch\" not found", (await Docker.Run("plugin", "inspect", "nosuch")).Error, StringComparison.Ordinal);
        Assert.Contains("plugin \"nosuch\" not found", (await Docker.Run("plugin", "rm", "nosuch")).Error, StringComparison.Ordinal);
        var install = await Docker.Run("plugin", "install", "--grant-all-permissions", "some/plugin");
        Assert.NotEqual(0, install.ExitCode);
        Assert.Contains("managed plugins are not supported", install.Error, StringComparison.Ordinal);
    }
}
