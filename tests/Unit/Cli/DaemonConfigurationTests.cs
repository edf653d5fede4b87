using Slipway.Cli;
using Slipway.Cli.Commands;
using Slipway.Cli.Roles;
using Slipway.Engine;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

public sealed class DaemonConfigurationTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void An_unknown_key_is_named()
    {
        File.WriteAllText(_path, """{"data-root":"/x","frobnicate":true}""");
        Assert.Contains("frobnicate", Assert.Throws<CommandException>(() => DaemonConfiguration.Read(_path, required: true)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_thing_in_flag_and_file_is_refused()
    {
        File.WriteAllText(_path, """{"data-root":"/x"}""");
        Assert.EndsWith(
            "the following directives are specified both as a flag and in the configuration file: data-root: (from flag: /y, from file: /x)",
            Assert.Throws<CommandException>(() => Read("--data-root", "/y")).Message, StringComparison.Ordinal);
        Assert.Equal("/x", Read("--exec-root", "/y").DataRoot);
    }

    [Theory]
    [InlineData("""{"host-gateway-ips":["2001:db8::1","192.0.2.1"]}""", "2001:db8::1 192.0.2.1")]
    [InlineData("""{"host-gateway-ips":["::ffff:192.0.2.1"]}""", "192.0.2.1")]
    [InlineData("""{"host-gateway-ips":[]}""", "")]
    [InlineData("""{"host-gateway-ip":"2001:db8::1"}""", "2001:db8::1")]
    [InlineData("""{"host-gateway-ip":""}""", "")]
    [InlineData("{}", "192.0.2.1 2001:db8::2", "--host-gateway-ip", "192.0.2.1", "--host-gateway-ip", "2001:db8::2")]
    public void The_host_gateway_has_an_address_of_each_family(string file, string expected, params string[] flags)
    {
        File.WriteAllText(_path, file);
        Assert.Equal(expected, string.Join(' ', ContainerDirectives.Apply(Read(flags), new EngineOptions()).Defaults.HostGateways));
    }

    [Theory]
    [InlineData("""{"host-gateway-ips":["192.0.2.1","192.0.2.2"]}""", "host-gateway-ips: 192.0.2.2: only one IPv4 host gateway IP address can be specified")]
    [InlineData("""{"host-gateway-ips":["2001:db8::1","192.0.2.1","2001:db8::2"]}""", "host-gateway-ips: 2001:db8::2: only one IPv6 host gateway IP address can be specified")]
    [InlineData("""{"host-gateway-ips":["hello"]}""", "host-gateway-ips: hello: it is no IP address")]
    [InlineData("""{"host-gateway-ips":[""]}""", "host-gateway-ips: : it is no IP address")]
    [InlineData("""{"host-gateway-ips":["10"]}""", "host-gateway-ips: 10: it is no IP address")]
    [InlineData("""{"host-gateway-ip":"010.0.0.1"}""", "host-gateway-ip: 010.0.0.1: it is no IP address")]
    [InlineData("""{"host-gateway-ips":"192.0.2.1"}""", "$.host-gateway-ips")]
    [InlineData("""{"host-gateway-ip":"192.0.2.1","host-gateway-ips":["192.0.2.1"]}""", "host-gateway-ip and host-gateway-ips must not both be specified in the config file")]
    [InlineData("""{"host-gateway-ip":"192.0.2.2"}""", "configuration file: host-gateway-ip: (from flag: [192.0.2.1], from file: 192.0.2.2)", "--host-gateway-ip", "192.0.2.1")]
    [InlineData("""{"host-gateway-ips":["192.0.2.2"]}""", "configuration file: host-gateway-ips: (from flag: [192.0.2.1], from file: [192.0.2.2])", "--host-gateway-ip", "192.0.2.1")]
    public void Host_gateways_that_cannot_be_meant_are_refused(string file, string expected, params string[] flags)
    {
        File.WriteAllText(_path, file);
        Assert.Contains(expected, Assert.Throws<CommandException>(() => ContainerDirectives.Apply(Read(flags), new EngineOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_disk_budget_is_said_in_one_place()
    {
        File.WriteAllText(_path, """{"disk-budget":"20GB"}""");
        Assert.Equal("20GB", Read().DiskBudget);
        Assert.Contains("disk-budget", Assert.Throws<CommandException>(() => Read("--disk-budget", "1GB")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("59")]
    [InlineData("999ms")]
    [InlineData("24h1s")]
    public void Spares_that_are_kept_no_time_or_for_ever_are_refused(string retention)
    {
        var error = Assert.Throws<CommandException>(() => DaemonRole.Validate(Read("--spare-retention", retention)));
        Assert.Contains(retention, error.Message, StringComparison.Ordinal);
        DaemonRole.Validate(Read("--spare-retention", "2s"));
    }

    [Theory]
    [InlineData("{}", null)]
    [InlineData("""{"builder":{"gc":{"enabled":true}}}""", null)]
    [InlineData("""{"builder":{"gc":{"enabled":true,"defaultKeepStorage":"20GB","policy":[{"keepStorage":"10GB","all":true}]}}}""", 20L << 30)]
    [InlineData("""{"builder":{"gc":{"defaultMaxUsedSpace":"5GB","defaultKeepStorage":"20GB"},"entitlements":{"network-host":true}}}""", 5L << 30)]
    [InlineData("""{"builder":{"gc":{"enabled":false,"defaultKeepStorage":"20GB"}}}""", long.MaxValue)]
    public void The_build_cache_has_the_limit_that_the_builder_is_given(string json, long? limit)
    {
        File.WriteAllText(_path, json);
        Assert.Equal(limit, BuilderDirectives.CacheLimit(Read().Builder));
    }

    [Fact]
    public void A_missing_file_is_an_error_only_where_it_was_named()
    {
        Assert.Null(DaemonConfiguration.Read("/nonexistent/daemon.json", required: false).DataRoot);
        Assert.Throws<CommandException>(() => DaemonConfiguration.Read("/nonexistent/daemon.json", required: true));
    }

    [Fact]
    public void Malformed_json_is_refused()
    {
        File.WriteAllText(_path, "{");
        Assert.Throws<CommandException>(() => DaemonConfiguration.Read(_path, required: false));
    }

    [Theory]
    [InlineData("""{"layer-peers":["10.0.0.2:2390"]}""", "layer-tls")]
    [InlineData("""{"layer-share":"127.0.0.1:2390"}""", "layer-tls")]
    [InlineData("""{"layer-peers":["nowhere"],"layer-tls":{"ca":"a","cert":"b","key":"c"}}""", "nowhere")]
    public void Sharing_of_layers_that_cannot_be_meant_is_refused(string json, string named)
    {
        File.WriteAllText(_path, json);
        DaemonConfiguration configuration = DaemonConfiguration.Read(_path, required: true);
        Assert.Contains(named, Assert.Throws<CommandException>(() => RegistryDirectives.Apply(configuration, new EngineOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sharing_of_layers_is_off_unless_configured()
    {
        EngineOptions options = RegistryDirectives.Apply(new DaemonConfiguration(), new EngineOptions());
        Assert.Empty(options.Peers.Peers);
        Assert.Null(options.Peers.Listen);
        File.WriteAllText(_path, """{"layer-peers":["10.0.0.2:2390"],"layer-share":"127.0.0.1:2390","layer-tls":{"ca":"a","cert":"b","key":"c"}}""");
        options = RegistryDirectives.Apply(Read(), new EngineOptions());
        Assert.Equal(["10.0.0.2:2390"], options.Peers.Peers);
        Assert.Equal("127.0.0.1:2390", options.Peers.Listen);
        Assert.Equal("b", options.Peers.Tls!.Certificate);
    }

    private const string ClusterTls = """ "tls":{"ca":"a","cert":"b","key":"c"} """;

    [Theory]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"]}}""", "a cluster needs cluster.tls")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1","members":["192.0.2.1:2377"],TLS}}""", "invalid cluster.listen \"192.0.2.1\"")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["host2:2377"],TLS}}""", "invalid cluster.members \"host2:2377\"")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.2:2377"],TLS}}""", "they must be the same on all hosts, with this one, 192.0.2.1")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377","192.0.2.1:2378"],TLS}}""", "192.0.2.1 is there twice")]
    [InlineData("""{"cluster":{"listen":"0.0.0.0:2377","members":["192.0.2.1:2377"],TLS}}""", "invalid cluster.advertise 0.0.0.0")]
    [InlineData("""{"cluster":{"listen":"0.0.0.0:2377","advertise":"here","members":["192.0.2.1:2377"],TLS}}""", "invalid cluster.advertise \"here\"")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"data-port":65535,TLS}}""", "invalid cluster.data-port 65535: it must be 1024 to 65534")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"key-lifetime":"9s",TLS}}""", "invalid cluster.key-lifetime 9s: it must be between 10s and 24h")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"key-lifetime":"25h",TLS}}""", "invalid cluster.key-lifetime 25h")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"key-lifetime":"long",TLS}}""", "invalid duration \"long\"")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"data-port":80,TLS}}""", "invalid cluster.data-port 80")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"address-pool":{"base":"10.0.0.0/8","size":30},TLS}}""", "invalid cluster.address-pool 10.0.0.0/8")]
    [InlineData("""{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377"],"address-pool":{"base":"10.0.0.0/8","size":4},TLS}}""", "cluster.address-pool")]
    public void A_cluster_that_cannot_be_meant_is_refused(string json, string named)
    {
        File.WriteAllText(_path, json.Replace("TLS", ClusterTls, StringComparison.Ordinal));
        Assert.Contains(named, Assert.Throws<CommandException>(() => ClusterDirectives.Apply(Read(), new EngineOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cluster_is_where_it_listens_unless_it_says_otherwise()
    {
        Assert.Null(ClusterDirectives.Apply(new DaemonConfiguration(), new EngineOptions()).Cluster);
        File.WriteAllText(_path, """{"cluster":{"listen":"192.0.2.1:2377","members":["192.0.2.1:2377","192.0.2.2:2377"],TLS}}""".Replace("TLS", ClusterTls, StringComparison.Ordinal));
        Slipway.Engine.Cluster.ClusterConfiguration cluster = ClusterDirectives.Apply(Read(), new EngineOptions()).Cluster!;
        Assert.Equal(("192.0.2.1", 4789, "10.0.0.0/8", 20), (cluster.Advertise.ToString(), cluster.DataPort, cluster.AddressPool.Base.ToString(), cluster.AddressPool.PrefixLength));
        Assert.Equal(["192.0.2.1:2377", "192.0.2.2:2377"], cluster.Members.Select(member => member.ToString()));
    }

    [Theory]
    [InlineData("""{"labels":["a=1"],"debug":true}""", "labels: (from flag: [b=2 c=3], from file: [a=1]), debug: (from flag: false, from file: true)", "--label", "b=2", "--debug=false", "--label", "c=3")]
    [InlineData("""{"mtu":1400}""", "mtu: (from flag: 1500, from file: 1400)", "--mtu", "1500")]
    [InlineData("""{"log-opts":{"max-size":"1m"}}""", "log-opts: (from flag: map[max-file:2], from file: map[max-size:1m])", "--log-opt", "max-file=2")]
    [InlineData("""{"proxies":{"http-proxy":"http://p"}}""", "http-proxy: (from flag: http://xxxxx:xxxxx@q/, from file: http://p)", "--http-proxy", "http://me:secret@q/")]
    [InlineData("""{"iptables":true}""", "iptables: (from flag: true, from file: true)", "--iptables")]
    public void Whatever_both_say_is_told_with_both_values(string file, string expected, params string[] flags)
    {
        File.WriteAllText(_path, file);
        Assert.EndsWith(": " + expected, Assert.Throws<CommandException>(() => Read(flags)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Flags_say_what_keys_say()
    {
        File.WriteAllText(_path, """{"proxies":{"no-proxy":"localhost"}}""");
        DaemonConfiguration read = Read(
            "--dns", "192.0.2.1", "--dns", "192.0.2.2", "--default-ulimit", "nofile=10:20", "--default-ulimit", "core=0", "--default-address-pool", "base=10.0.0.0/8,size=24", "--no-new-privileges",
            "--icc=false", "--mtu", "1400", "--log-opt", "max-size=1m", "--add-runtime", "other=/usr/bin/other", "--http-proxy", "http://p", "--tlsverify", "--default-shm-size", "16M", "--published-ports", "forward", "-D");
        Assert.Equal(["192.0.2.1", "192.0.2.2"], read.Dns);
        Assert.Equal((10, 20), (read.DefaultUlimits!["nofile"].Soft, read.DefaultUlimits["nofile"].Hard));
        Assert.Equal((0, 0), (read.DefaultUlimits["core"].Soft, read.DefaultUlimits["core"].Hard));
        Assert.Equal(new AddressPoolDirectives { Base = "10.0.0.0/8", Size = 24 }, read.AddressPools!.Single());
        Assert.Equal((true, false, 1400, "1m"), (read.NoNewPrivileges, read.InterContainer, read.Mtu, read.LogOptions!["max-size"]));
        Assert.Equal(("/usr/bin/other", "http://p", "localhost"), (read.Runtimes!["other"].Path, read.Proxies!.Http, read.Proxies.Exceptions));
        Assert.Equal((true, true, null), (read.TlsVerify, read.Debug, read.Init));
        Assert.Equal(Slipway.Networking.PortAdmission.Forward, NetworkDirectives.Apply(read, new EngineOptions()).PublishedPorts);
        Assert.Equal(Slipway.Networking.PortAdmission.Input, NetworkDirectives.Apply(new DaemonConfiguration(), new EngineOptions()).PublishedPorts);
        Assert.Equal(16 << 20, ContainerDirectives.Apply(read, new EngineOptions()).Defaults.ShmSize);
        IReadOnlyList<Slipway.Networking.AddressPoolSource> pools = NetworkDirectives.Apply(read, new EngineOptions()).AddressPools;
        Assert.Equal("10.0.0.0/8 24", $"{pools.Single().Base} {pools.Single().PrefixLength}");
    }

    [Fact]
    public void IPv6_of_the_default_network_and_options_of_all_are_given_by_flags()
    {
        File.WriteAllText(_path, """{"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}}}""");
        EngineOptions file = NetworkDirectives.Apply(Read("--ipv6", "--bip6", "fd00:1::1/64", "--fixed-cidr-v6", "fd00:1::/80", "--default-gateway-v6", "fd00:1::9"), new EngineOptions());
        Assert.Equal((true, "fd00:1::1", 64), (file.Ipv6, file.Ipv6BridgeAddress!.Value.Address.ToString(), file.Ipv6BridgeAddress.Value.PrefixLength));
        Assert.Equal(("fd00:1::/80", "fd00:1::9"), (file.Ipv6FixedRange.ToString(), file.Ipv6DefaultGateway!.ToString()));
        Assert.Equal("1400", file.NetworkDefaults["bridge"]["com.docker.network.driver.mtu"]);
        File.WriteAllText(_path, "");
        EngineOptions flags = NetworkDirectives.Apply(Read("--default-network-opt", "bridge=a=b=c", "--default-network-opt", "bridge=d="), new EngineOptions());
        Assert.Equal(new Dictionary<string, string> { ["a"] = "b=c", ["d"] = "" }, flags.NetworkDefaults["bridge"]);
        Assert.Contains("it is not driver=option=value", Assert.Throws<CommandException>(() => Read("--default-network-opt", "bridge")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("invalid argument \"x\" for \"--mtu\" flag: it is no number", "--mtu", "x")]
    [InlineData("invalid argument \"nofile\" for \"--default-ulimit\" flag: it must be NAME=VALUE", "--default-ulimit", "nofile")]
    [InlineData("invalid argument \"nofile=1:2:3\" for \"--default-ulimit\" flag: too many limit value arguments", "--default-ulimit", "nofile=1:2:3")]
    [InlineData("invalid argument \"base\" for \"--default-address-pool\" flag", "--default-address-pool", "base")]
    [InlineData("iptables: false is not supported", "--iptables=false")]
    [InlineData("api-cors-header: \"*\" is not supported", "--api-cors-header", "*")]
    [InlineData("storage-driver: \"zfs\" is not supported", "-s", "zfs")]
    [InlineData("exec-opts: [\"native.cgroupdriver=systemd\"] is not supported", "--exec-opt", "native.cgroupdriver=systemd")]
    public void What_a_flag_cannot_mean_is_refused(string expected, params string[] flags)
    {
        File.WriteAllText(_path, "");
        Assert.Contains(expected, Assert.Throws<CommandException>(() => Read(flags)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"default-address-pools":[{"base":"10.0.0.0/8","size":4}]}""", "the size must be from that of the base to 30")]
    [InlineData("""{"default-address-pools":[{"base":"fd00::/8","size":127}]}""", "the size must be from that of the base to 126")]
    [InlineData("""{"default-address-pools":[{"base":"fd00::","size":64}]}""", "fd00::: it is no network")]
    [InlineData("""{"fixed-cidr-v6":"10.0.0.0/8"}""", "fixed-cidr-v6: 10.0.0.0/8: it is no IPv6 network")]
    [InlineData("""{"bip6":"fd00::1"}""", "bip6: fd00::1: it is no IPv6 address with a prefix")]
    [InlineData("""{"default-gateway":"fd00::1"}""", "default-gateway: fd00::1: it is no IPv4 address")]
    [InlineData("""{"default-gateway-v6":"x"}""", "default-gateway-v6: x: it is no IPv6 address")]
    [InlineData("""{"fixed-cidr":"10.0.0.0"}""", "fixed-cidr: 10.0.0.0: it is no IPv4 network")]
    public void Networks_that_cannot_be_meant_are_refused(string file, string expected)
    {
        File.WriteAllText(_path, file);
        Assert.Contains(expected, Assert.Throws<CommandException>(() => NetworkDirectives.Apply(Read(), new EngineOptions())).Message, StringComparison.Ordinal);
    }

    /// <summary>Those of dockerd 26.1.5's help, but for what starts other programs' features: cri-containerd, rootless, version, help.</summary>
    [Fact]
    public void Every_flag_of_dockerd_is_known()
    {
        const string Dockerd = """
            add-runtime allow-nondistributable-artifacts api-cors-header authorization-plugin bip bridge cdi-spec-dir cgroup-parent config-file containerd containerd-namespace
            containerd-plugins-namespace cpu-rt-period cpu-rt-runtime data-root debug default-address-pool default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode default-runtime
            default-shm-size default-ulimit dns dns-opt dns-search exec-opt exec-root experimental fixed-cidr fixed-cidr-v6 group host-gateway-ip http-proxy https-proxy icc init init-path
            insecure-registry ip ip-forward ip-masq ip6tables iptables ipv6 label live-restore log-driver log-format log-level log-opt max-concurrent-downloads max-concurrent-uploads
            max-download-attempts metrics-addr mtu network-control-plane-mtu no-new-privileges no-proxy node-generic-resource pidfile raw-logs registry-mirror seccomp-profile selinux-enabled
            shutdown-timeout storage-driver storage-opt swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap validate
            """;
        HashSet<string> known = [.. DaemonCommand.Create().Options.Select(option => option.Name)];
        Assert.All(Dockerd.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries), flag => Assert.Contains("--" + flag, known));
    }

    [Fact]
    public void Every_key_has_its_row_in_the_document()
    {
        string text = File.ReadAllText(Path.Combine(RepositoryTests.Root, "docs", "configuration.md"));
        IEnumerable<string> keys = typeof(DaemonConfiguration).GetProperties()
            .Select(property => property.GetCustomAttributes(typeof(System.Text.Json.Serialization.JsonPropertyNameAttribute), inherit: false).Cast<System.Text.Json.Serialization.JsonPropertyNameAttribute>().SingleOrDefault()?.Name)
            .OfType<string>().Concat(ForeignDirectives.Keys).Concat(new DaemonFlags().Keys.Select(key => key.Split('.')[0]));
        Assert.All(keys.Distinct(), key => Assert.Contains($"`{key}`", text, StringComparison.Ordinal));
    }

    private DaemonConfiguration Read(params string[] arguments)
    {
        DaemonFlags flags = new();
        System.CommandLine.RootCommand command = new();
        foreach (System.CommandLine.Option option in flags.Options)
        {
            command.Options.Add(option);
        }

        System.CommandLine.ParseResult result = command.Parse(arguments);
        Assert.Empty(result.Errors);
        return DaemonConfiguration.Read(_path, required: true, flags.Read(result, hosts: null));
    }
}
