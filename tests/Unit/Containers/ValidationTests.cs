using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>What create refuses, in dockerd's words (those of 26.1.5 where it has the check).</summary>
public sealed class ValidationTests
{
    private const string Cpus = "0-1";
    private const string Nodes = "0";

    public static TheoryData<Resources, string> BadLimits => new()
    {
        { new Resources { Memory = 1 << 20 }, "Minimum memory limit allowed is 6MB" },
        { new Resources { Memory = -1 }, "Minimum memory limit allowed is 6MB" },
        { new Resources { Memory = 64 << 20, MemorySwap = 32 << 20 }, "Minimum memoryswap limit should be larger than memory limit, see usage" },
        { new Resources { MemorySwap = 32 << 20 }, "You should always set the Memory limit when using Memoryswap limit, see usage" },
        { new Resources { CpusetCpus = "99" }, "Requested CPUs are not available - requested 99, available: 0-1" },
        { new Resources { CpusetCpus = "x" }, "Invalid value x for cpuset cpus: invalid format: x" },
        { new Resources { CpusetCpus = "0-99999999999" }, "Invalid value 0-99999999999 for cpuset cpus: value of out range, maximum is 8192" },
        { new Resources { CpusetMems = "1" }, "Requested memory nodes are not available - requested 1, available: 0" },
        { new Resources { NanoCpus = 1, CpuPeriod = 100000 }, "Conflicting options: Nano CPUs and CPU Period cannot both be set" },
        { new Resources { CpuPeriod = 10 }, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)" },
        { new Resources { CpuQuota = 10 }, "CPU cfs quota can not be less than 1ms (i.e. 1000)" },
        { new Resources { BlkioWeight = 5 }, "Range of blkio weight is from 10 to 1000" },
        { new Resources { MemorySwappiness = 101 }, "Invalid value: 101, valid memory swappiness range is 0-100" },
    };

    [Theory]
    [MemberData(nameof(BadLimits))]
    public void Limits(Resources limits, string message) =>
        Assert.Equal(message, Assert.Throws<EngineException>(() => ResourceValidation.Validate(limits, Cpus, Nodes)).Message);

    [Fact]
    public void More_cpus_than_there_are()
    {
        int count = Environment.ProcessorCount;
        EngineException exception = Assert.Throws<EngineException>(() => ResourceValidation.Validate(new Resources { NanoCpus = (count + 1) * 1_000_000_000L }, Cpus, Nodes));
        Assert.Equal($"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available", exception.Message);
    }

    public static TheoryData<HostConfig, ErrorKind, string> BadHostConfigs => new()
    {
        { new HostConfig { RestartPolicy = new RestartPolicy("bogus") }, ErrorKind.InvalidParameter, "invalid restart policy: unknown policy 'bogus'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'" },
        { new HostConfig { RestartPolicy = new RestartPolicy("always", 3) }, ErrorKind.InvalidParameter, "invalid restart policy: maximum retry count can only be used with 'on-failure'" },
        { new HostConfig { IpcMode = "bad" }, ErrorKind.InvalidParameter, "invalid IPC mode: bad" },
        { new HostConfig { PidMode = "bad" }, ErrorKind.InvalidParameter, "invalid PID mode: bad" },
        { new HostConfig { OomScoreAdj = 2000 }, ErrorKind.InvalidParameter, "Invalid value 2000, range for oom score adj is [-1000, 1000]" },
        { new HostConfig { Runtime = "nope" }, ErrorKind.InvalidParameter, "unknown or invalid runtime name: nope" },
        { new HostConfig { LogConfig = new LogConfig { Type = "nope" } }, ErrorKind.InvalidParameter, "error looking up logging plugin nope: plugin \"nope\" not found" },
        { new HostConfig { LogConfig = new LogConfig { Config = new() { ["max-size"] = "x" } } }, ErrorKind.InvalidParameter, "invalid size: 'x'" },
        { new HostConfig { Ulimits = [new Ulimit("nofile", Hard: 50, Soft: 100)] }, ErrorKind.InvalidParameter, "ulimit soft limit must be less than or equal to hard limit: 100 > 50" },
        { new HostConfig { Sysctls = new() { ["kernel.domainname"] = "x" } }, ErrorKind.InvalidParameter, "sysctl 'kernel.domainname' is not allowed: it is not namespaced" },
        { new HostConfig { Sysctls = new() { ["net.ipv4.ip_forward"] = "1" }, NetworkMode = "host" }, ErrorKind.InvalidParameter, "sysctl \"net.ipv4.ip_forward\" not allowed in host network namespace" },
        { new HostConfig { PortBindings = new() { ["x/tcp"] = [new PortBinding { HostPort = "1" }] } }, ErrorKind.InvalidParameter, "invalid port specification: \"x\"" },
        { new HostConfig { PortBindings = new() { ["80/tcp"] = [new PortBinding { HostPort = "99999" }] } }, ErrorKind.InvalidParameter, "invalid port specification: \"99999\"" },
        { new HostConfig { StorageOpt = new() { ["size"] = "x" } }, ErrorKind.InvalidParameter, "invalid size: 'x'" },
        { new HostConfig { StorageOpt = new() { ["size"] = "1m" } }, ErrorKind.InvalidParameter, "invalid size: '1m': a container's layer has at least 4 MiB" },
        { new HostConfig { StorageOpt = new() { ["nosuch"] = "1" } }, ErrorKind.System, "Unknown option nosuch" },
        { new HostConfig { Dns = ["nonsense"] }, ErrorKind.InvalidParameter, "invalid IP address: nonsense" },
        { new HostConfig { ExtraHosts = ["name:10.0.0.1\n6.6.6.6 evil"] }, ErrorKind.InvalidParameter, "invalid IP address in add-host: \"10.0.0.1\n6.6.6.6 evil\"" },
        { new HostConfig { NetworkMode = "container:x", Dns = ["1.1.1.1"] }, ErrorKind.InvalidParameter, "conflicting options: dns and the network mode" },
    };

    [Theory]
    [MemberData(nameof(BadHostConfigs))]
    public void Host_configurations(HostConfig hostConfig, ErrorKind kind, string message)
    {
        EngineException exception = Assert.Throws<EngineException>(() => HostConfigValidation.Validate(new ContainerConfig(), hostConfig, new Dictionary<string, RuntimeDefinition>()));
        Assert.Equal((kind, message), (exception.Kind, exception.Message));
    }

    [Theory]
    [InlineData("Env", "invalid environment variable: ")]
    [InlineData("WorkingDir", "the working directory 'rel' is invalid, it needs to be an absolute path")]
    [InlineData("StopSignal", "invalid signal: NOPE")]
    [InlineData("Healthcheck", "Interval in Healthcheck cannot be less than 1ms")]
    public void Configurations(string field, string message)
    {
        ContainerConfig config = field switch
        {
            "Env" => new ContainerConfig { Env = ["NOVALUE", ""] },
            "WorkingDir" => new ContainerConfig { WorkingDir = "rel" },
            "StopSignal" => new ContainerConfig { StopSignal = "NOPE" },
            _ => new ContainerConfig { Healthcheck = new HealthConfig { Interval = 1 } },
        };
        Assert.Equal(message, Assert.Throws<EngineException>(() => ConfigValidation.Validate(config)).Message);
    }

    [Theory]
    [InlineData("/a:/b:badmode", "invalid mode: badmode")]
    [InlineData("/tmp:rel", "invalid volume specification: '/tmp:rel': invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute")]
    [InlineData("/tmp:/", "invalid volume specification: '/tmp:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'")]
    [InlineData("a:b:c:d", "invalid volume specification: 'a:b:c:d'")]
    [InlineData("./x:/y", "create ./x: \"./x\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path")]
    [InlineData("/a:/x/../..", "invalid volume specification: '/a:/x/../..': invalid mount config for type \"bind\": invalid specification: destination can't be '/'")]
    public void Binds(string bind, string message) => Assert.Equal(message, Assert.Throws<EngineException>(() => Resolve(new HostConfig { Binds = [bind] })).Message);

    [Fact]
    public void Mounts_are_read_and_ordered_parents_first()
    {
        IReadOnlyList<ContainerMount> mounts = MountSpecs.Resolve(
            new ContainerConfig { Volumes = new() { ["/data"] = new(), ["/anonymous"] = new() } },
            new HostConfig { Binds = ["/src:/a/b:ro", "named:/data"], Tmpfs = new() { ["/a"] = "size=1m,exec" } },
            s_lookups);
        Assert.Equal(["/a", "/anonymous", "/data", "/a/b"], mounts.Select(mount => mount.Destination));
        Assert.Equal(["nosuid", "nodev", "size=1m"], mounts[0].Options);
        Assert.True(mounts[1] is { Type: "volume", Anonymous: true });
        Assert.Equal(("volume", "named", false), (mounts[2].Type, mounts[2].VolumeName, mounts[2].Anonymous));
        Assert.Equal(("bind", "/src", true, "rprivate"), (mounts[3].Type, mounts[3].Source, mounts[3].ReadOnly, mounts[3].Propagation));
        Assert.Contains("rro", mounts[3].Options);
        Assert.Equal("Duplicate mount point: /x", Assert.Throws<EngineException>(() => Resolve(new HostConfig { Binds = ["/a:/x", "/b:/x/"] })).Message);
    }

    [Fact]
    public void Ports()
    {
        ContainerConfig config = new() { ExposedPorts = new() { ["80/tcp"] = new(), ["53/udp"] = new(), ["7000-7001"] = new() } };
        HostConfig hostConfig = new()
        {
            PublishAllPorts = true,
            PortBindings = new() { ["80/tcp"] = [new PortBinding { HostIp = "127.0.0.1", HostPort = "8080" }, new PortBinding { HostPort = "9000-9010" }] },
        };
        Assert.Equal(
            [
                new PortRequest(PortProtocol.Tcp, 80, System.Net.IPAddress.Loopback, 8080),
                new PortRequest(PortProtocol.Tcp, 80, null, 9000, 9010),
                new PortRequest(PortProtocol.Udp, 53),
                new PortRequest(PortProtocol.Tcp, 7000),
                new PortRequest(PortProtocol.Tcp, 7001),
            ],
            PortSpecs.Requests(config, hostConfig));
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("0.0.0.0", "0.0.0.0")]
    [InlineData("::", "::")]
    [InlineData("0:0::1", "::1")]
    [InlineData("::ffff:192.0.2.7", "192.0.2.7")]
    public void Addresses_of_ports(string text, string? address) =>
        Assert.Equal(address, Assert.Single(PortSpecs.Requests(new ContainerConfig(), Published(text))).HostAddress?.ToString());

    [Theory]
    [InlineData("1")]
    [InlineData("127.1")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("010.0.0.1")]
    [InlineData("1.2.3.4 ")]
    [InlineData("[::1]")]
    [InlineData("[::1]:80")]
    [InlineData("fe80::1%2")]
    [InlineData("localhost")]
    public void No_addresses_of_ports(string text) =>
        Assert.Equal($"invalid IP address: {text}", Assert.Throws<EngineException>(() => PortSpecs.Requests(new ContainerConfig(), Published(text))).Message);

    private static HostConfig Published(string address) => new() { PortBindings = new() { ["80/tcp"] = [new PortBinding { HostIp = address, HostPort = "8080" }] } };

    [Theory]
    [InlineData("KILL", 9)]
    [InlineData("SIGTERM", 15)]
    [InlineData("sigusr1", 10)]
    [InlineData("1", 1)]
    [InlineData("RTMIN+3", 37)]
    [InlineData("SIGRTMAX-1", 63)]
    public void Signal_numbers(string text, int number) => Assert.Equal(number, Signals.Parse(text));

    [Theory]
    [InlineData("NOPE")]
    [InlineData("0")]
    [InlineData("-9")]
    [InlineData("RTMIN+31")]
    [InlineData("KILL+1")]
    [InlineData("")]
    public void No_signals(string text) => Assert.Equal($"invalid signal: {text}", Assert.Throws<EngineException>(() => Signals.Parse(text)).Message);

    [Fact]
    public void A_signal_that_the_kernel_has_not() =>
        Assert.Equal("the linux daemon does not support signal 65", Assert.Throws<EngineException>(() => Signals.Parse("65")).Message);

    [Theory]
    [InlineData("seccomp=unconfined", false, "unconfined")]
    [InlineData("seccomp={}", false, "{}")]
    [InlineData("no-new-privileges", true, null)]
    [InlineData("no-new-privileges:true", true, null)]
    [InlineData("no-new-privileges=false", false, null)]
    public void Security_options(string option, bool noNewPrivileges, string? seccomp) =>
        Assert.Equal(new SecurityOptions(noNewPrivileges, seccomp), SecurityOptions.Parse([option]));

    [Fact]
    public void Unknown_security_options_are_refused()
    {
        Assert.Equal("invalid --security-opt 2: \"foo\"", Assert.Throws<EngineException>(() => SecurityOptions.Parse(["foo"])).Message);
        Assert.Equal(ErrorKind.NotImplemented, Assert.Throws<EngineException>(() => SecurityOptions.Parse(["apparmor=mine"])).Kind);
    }

    private static readonly MountLookups s_lookups = new(_ => throw new InvalidOperationException("no other container"), name => $"sha256:{name}");

    private static IReadOnlyList<ContainerMount> Resolve(HostConfig hostConfig) => MountSpecs.Resolve(new ContainerConfig(), hostConfig, s_lookups);
}
