using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The daemon's flags, which say what keys of daemon.json say, and <c>--validate</c>.</summary>
public sealed class DaemonFlagTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Flags_have_the_effect_of_the_keys()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var network = $"10.213.{Environment.ProcessId % 250}";
        await using var daemon = new Engine("flag")
        {
            Flags =
            [
                "--dns", "192.0.2.53", "--dns-search", "example.test", "--dns-opt", "ndots:3", "--default-ulimit", "nofile=1000:2000", "--default-shm-size", "16M", "--default-ipc-mode", "shareable",
                "--no-new-privileges", "--mtu", "1400", "--ip", "127.0.0.1", "--host-gateway-ip", "2001:db8::1", "--host-gateway-ip", "192.0.2.1", "--fixed-cidr", $"{network}.128/26", "--ip-masq=false",
                "--default-address-pool", "base=10.231.64.0/25,size=26", "--log-format", "json", "--label", "tier=test", "--log-driver", "local", "--log-opt", "max-size=1m", "--live-restore", "--iptables",
            ],
        };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        var docker = daemon.Docker;
        const string Look = "grep -v '^#' /etc/resolv.conf; ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1 | awk '{print $2}'; grep NoNewPrivs /proc/self/status | cut -f2; cat /sys/class/net/eth0/mtu; grep gate$ /etc/hosts";
        Assert.Equal(
            "nameserver 192.0.2.53\nsearch example.test\noptions ndots:3\n1000\n2000\n16384\n1\n1400\n2001:db8::1\tgate\n192.0.2.1\tgate",
            await docker.Ok("run", "--rm", "--add-host", "gate:host-gateway", "alpine", "sh", "-c", Look));
        await docker.Ok("run", "-d", "--name", "box", "-p", "80", "alpine", "sleep", "1000");
        Assert.Equal("shareable local map[max-size:1m]", await docker.Inspect("box", "{{.HostConfig.IpcMode}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config}}"));
        Assert.StartsWith("127.0.0.1:", await docker.Ok("port", "box", "80"), StringComparison.Ordinal);
        Assert.Equal("[tier=test] local", await docker.Ok("info", "-f", "{{.Labels}} {{.LoggingDriver}}"));

        // Addresses are of the range; networks are cut from the pool.
        var address = await docker.Inspect("box", "{{.NetworkSettings.Networks.bridge.IPAddress}}");
        Assert.StartsWith(network + ".", address, StringComparison.Ordinal);
        Assert.InRange(int.Parse(address[(network.Length + 1)..], System.Globalization.CultureInfo.InvariantCulture), 128, 191);
        Assert.Equal(
            $"{network}.128/26 false 127.0.0.1",
            await docker.Ok(
                "network", "inspect", "bridge", "-f",
                "{{(index .IPAM.Config 0).IPRange}} {{index .Options \"com.docker.network.bridge.enable_ip_masquerade\"}} {{index .Options \"com.docker.network.bridge.host_binding_ipv4\"}}"));
        await docker.Ok("network", "create", "cut");
        Assert.Equal("10.231.64.0/26", await docker.Ok("network", "inspect", "cut", "-f", "{{(index .IPAM.Config 0).Subnet}}"));
        await docker.Ok("network", "create", "--subnet", "10.231.64.96/27", "within");
        (await docker.Run("network", "create", "none-left")).Exited(1)
            .Says("all predefined address pools have been fully subnetted: ").Says("10.231.64.0/26 (network cut)").Says("10.231.64.96/27 (network within)");
        await docker.Ok("network", "rm", "cut", "within");
        var lines = (await File.ReadAllLinesAsync(daemon.LogPath, Cancellation)).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Contains(lines, line => ((string)line["msg"]!).StartsWith("API listen on ", StringComparison.Ordinal) && (string?)line["level"] == "info");
    }

    [Fact]
    public async Task A_start_that_fails_tells_why_in_one_line()
    {
        Assert.SkipUnless(IsSlipway, "runs Slipway's own command");
        var folder = Folder();
        Directory.CreateDirectory(Path.Combine(folder, "run", "supervisor.log"));
        var result = await Programs.Run(Repository.Executable!, [
            "daemon", "--config-file", "/dev/null", "--bridge", "none", "--data-root", Path.Combine(folder, "root"), "--exec-root", Path.Combine(folder, "run"),
            "--pidfile", Path.Combine(folder, "pid"), "-H", $"unix://{folder}/socket"]);
        result.Says($"""failed to start the engine: open "{folder}/run/supervisor.log": EISDIR (Is a directory)""").Exited(1);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"labels":["a=1"],"dns":["192.0.2.1"]}""", 0, "configuration OK")]
    [InlineData("""{"labels":["a=1"]}""", 1, "the following directives are specified both as a flag and in the configuration file: labels: (from flag: [b=2], from file: [a=1])", "--label", "b=2")]
    [InlineData("""{"debug":false}""", 1, "debug: (from flag: true, from file: false)", "--debug")]
    [InlineData("""{"frobnicate":1}""", 1, "the following directives don't match any configuration option: frobnicate")]
    [InlineData("""{"iptables":false}""", 1, "iptables: false is not supported")]
    [InlineData("""{"host-gateway-ips":["192.0.2.1"]}""", 0, "configuration OK")]
    [InlineData("""{"host-gateway-ips":["gateway"]}""", 1, "host-gateway-ips: gateway: it is no IP address")]
    [InlineData("""{"log-format":"xml"}""", 1, "invalid log format: xml")]
    [InlineData("""{"hosts":["tcp://0.0.0.0:0"]}""", 1, "refusing to listen on tcp://0.0.0.0:0: without client certificates (--tlsverify)")]
    [InlineData("""{"hosts":["tcp://0.0.0.0:0"],"tls":false}""", 1, "refusing to listen on tcp://0.0.0.0:0: without client certificates (--tlsverify)")]
    [InlineData("""{"mtu":"x"}""", 1, "mtu")]
    [InlineData("{", 1, "unable to configure the Slipway engine with file")]
    public async Task Validate_says_what_is_wrong_and_starts_nothing(string json, int expected, string text, params string[] flags)
    {
        Assert.SkipUnless(IsSlipway, "runs Slipway's own command");
        var folder = Folder();
        var file = Path.Combine(folder, "daemon.json");
        await File.WriteAllTextAsync(file, json, Cancellation);
        var result = await Programs.Run(Repository.Executable!, ["daemon", "--validate", "--config-file", file, .. flags]);
        result.Says(text).Exited(expected);
        Assert.Equal([file], Directory.EnumerateFileSystemEntries(folder));
    }

    [Fact]
    public async Task By_tcp_without_tls_loopback_is_served_with_a_warning_and_nothing_else()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        await using var daemon = new Engine("tcp") { Flags = ["-H", "tcp://127.0.0.1:0", "--tls=false"] };
        await daemon.Start();
        Assert.Contains("level=warning msg=\"tcp://127.0.0.1:0: Binding to an IP address, even on localhost, can also give access to scripts run in a browser.", await File.ReadAllTextAsync(daemon.LogPath, Cancellation), StringComparison.Ordinal);
        var table = await File.ReadAllTextAsync($"/proc/{daemon.Pid}/net/tcp", Cancellation);

        // Null: it was closed meanwhile.
        var sockets = Directory.GetFiles($"/proc/{daemon.Pid}/fd").Select(file => new FileInfo(file).LinkTarget).OfType<string>().Where(name => name.StartsWith("socket:", StringComparison.Ordinal)).ToHashSet();

        // State 0A is LISTEN; the tenth field is the socket's inode (proc_pid_net(5)).
        var listening = table.Split('\n').Skip(1).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields.Length > 9 && fields[3] == "0A" && sockets.Contains($"socket:[{fields[9]}]")).ToList();
        var port = Convert.ToInt32(Assert.Single(listening)[1].Split(':')[1], 16);
        Assert.StartsWith("0100007F:", listening[0][1], StringComparison.Ordinal);
        Assert.Equal(0, (await Programs.Run(Docker.Path, ["-H", $"tcp://127.0.0.1:{port}", "version"])).ExitCode);
    }
}
