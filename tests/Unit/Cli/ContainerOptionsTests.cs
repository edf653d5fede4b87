using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Cli;
using Slipway.Cli.Options;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

/// <summary>What the flags of <c>run</c> become in the request.</summary>
public sealed class ContainerOptionsTests
{
    [Fact]
    public void Words_behind_the_image_are_the_containers()
    {
        ContainerCreateRequest request = Parse("--rm", "-it", "alpine", "ls", "--rm", "@x", "-e", "-la");
        Assert.Equal(["ls", "--rm", "@x", "-e", "-la"], request.Cmd);
        Assert.Null(request.Env);
        Assert.True(request.Tty && request.OpenStdin && request.HostConfig!.AutoRemove);
    }

    [Fact]
    public void An_unknown_flag_is_no_image() =>
        Assert.Contains("unknown flag: --bogus", Assert.Throws<CommandException>(() => Parse("--bogus", "alpine")).Message, StringComparison.Ordinal);

    [Fact]
    public void Limits_are_converted_to_the_units_of_the_api()
    {
        HostConfig host = Parse("-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "10", "--ulimit", "nofile=100:200", "--shm-size", "1g", "a").HostConfig!;
        Assert.Equal(64L << 20, host.Memory);
        Assert.Equal(-1, host.MemorySwap);
        Assert.Equal(1_500_000_000, host.NanoCpus);
        Assert.Equal(10, host.PidsLimit);
        Assert.Equal(new Ulimit("nofile", 200, 100), Assert.Single(host.Ulimits!));
        Assert.Equal(1L << 30, host.ShmSize);
    }

    [Theory]
    [InlineData("80", "80/tcp", "", "")]
    [InlineData("8080:80", "80/tcp", "", "8080")]
    [InlineData("127.0.0.1:8080:80/udp", "80/udp", "127.0.0.1", "8080")]
    [InlineData("127.0.0.1::80", "80/tcp", "127.0.0.1", "")]
    [InlineData("[::1]:8080:80", "80/tcp", "::1", "8080")]
    [InlineData("8000-8010:80", "80/tcp", "", "8000-8010")]
    public void A_port_is_published(string flag, string port, string address, string hostPort)
    {
        ContainerCreateRequest request = Parse("-p", flag, "a");
        Assert.Contains(port, request.ExposedPorts!.Keys);
        PortBinding binding = Assert.Single(request.HostConfig!.PortBindings![port]!);
        Assert.Equal((address, hostPort), (binding.HostIp, binding.HostPort));
    }

    [Fact]
    public void A_range_of_ports_is_published_pairwise()
    {
        Dictionary<string, List<PortBinding>?> bindings = Parse("-p", "9000-9002:80-82", "a").HostConfig!.PortBindings!;
        Assert.Equal(["80/tcp=9000", "81/tcp=9001", "82/tcp=9002"], bindings.Select(b => $"{b.Key}={b.Value![0].HostPort}").Order());
    }

    [Theory]
    [InlineData("-p", "x")]
    [InlineData("-p", "1:2:3:4")]
    [InlineData("-p", "80/ftp")]
    [InlineData("-m", "12q")]
    [InlineData("--cpus", "many")]
    [InlineData("--ulimit", "nofile=5:1")]
    [InlineData("--pids-limit", "ten")]
    [InlineData("--restart", "on-failure:x")]
    [InlineData("--mount", "type=bind,source=/x")]
    [InlineData("--mount", "type=bind,target=/x,frob=1")]
    [InlineData("-e", "=x")]
    [InlineData("--env-file", "/nonexistent/env")]
    public void A_malformed_value_is_refused(string flag, string value) => Assert.Throws<CommandException>(() => Parse(flag, value, "a"));

    [Fact]
    public void A_variable_without_a_value_comes_from_the_callers_environment()
    {
        Environment.SetEnvironmentVariable("SLIPWAY_TEST_VARIABLE", "here");
        Assert.Equal(["A=b", "SLIPWAY_TEST_VARIABLE=here"], Parse("-e", "A=b", "-e", "SLIPWAY_TEST_VARIABLE", "-e", "SLIPWAY_TEST_ABSENT", "a").Env);
    }

    [Fact]
    public void A_mount_is_read_field_by_field()
    {
        Mount mount = Assert.Single(Parse("--mount", "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770,readonly", "a").HostConfig!.Mounts!);
        Assert.Equal(("tmpfs", "/t", true), (mount.Type, mount.Target, mount.ReadOnly));
        Assert.Equal((1L << 20, 0x3F8u), (mount.TmpfsOptions!.SizeBytes, mount.TmpfsOptions.Mode));
    }

    private static ContainerCreateRequest Parse(params string[] arguments)
    {
        Command command = new("run");
        ContainerOptions options = new(command);
        ParseResult result = new RootCommand { command }.Parse(["run", .. arguments], new ParserConfiguration { ResponseFileTokenReplacer = null });
        Assert.Empty(result.Errors);
        return options.Build(result);
    }
}
