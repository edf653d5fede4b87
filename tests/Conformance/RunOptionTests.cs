using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Options of `docker run` that no other subject's tests prove, and the list of all of them.</summary>
public sealed partial class RunOptionTests(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>The list that docs/run-options.md is made of is that of the client.</summary>
    [Fact]
    public async Task The_list_of_options_is_the_client_s()
    {
        var help = (await Docker.Run("run", "--help")).Ok().Output;
        var known = await File.ReadAllLinesAsync(Path.Combine(Repository.Root, "tests/Unit/Containers/run-options.txt"), Cancellation);
        Assert.Equal(Option().Matches(help).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal), known.Order(StringComparer.Ordinal));
    }

    [Fact]
    [RunOption("--annotation")]
    public async Task Annotations_are_kept()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "--annotation", "a=b", "alpine", "true");
        Assert.Equal("map[a:b]", await Docker.Inspect(name, "{{.HostConfig.Annotations}}"));
    }

    [Fact]
    [RunOption("--cidfile")]
    public async Task The_id_is_written_to_a_file()
    {
        var file = Path.Combine(Folder(), "cid");
        var name = Container();
        await Docker.Ok("run", "--name", name, "--cidfile", file, "alpine", "true");
        Assert.Equal(await Docker.Inspect(name, "{{.Id}}"), await File.ReadAllTextAsync(file, Cancellation));
    }

    [Fact]
    [RunOption("--env-file", "--label-file")]
    public async Task Variables_and_labels_come_from_files()
    {
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/env", "# comment\nONE=1 and more\nTWO=\n", Cancellation);
        await File.WriteAllTextAsync($"{folder}/labels", "team=blue\n", Cancellation);
        var name = Container();
        var output = await Docker.Ok("run", "--name", name, "--env-file", $"{folder}/env", "--label-file", $"{folder}/labels", "alpine", "sh", "-c", "echo \"$ONE|${TWO-unset}\"");
        Assert.Equal("1 and more|", output);
        Assert.Equal("map[team:blue]", await Docker.Inspect(name, "{{.Config.Labels}}"));
    }

    [Fact]
    [RunOption("--domainname")]
    public async Task The_domain_name_is_the_kernel_s_and_in_hosts()
    {
        var result = (await Docker.Run("run", "--rm", "--hostname", "h", "--domainname", "example.org", "alpine", "sh", "-c", "cat /proc/sys/kernel/domainname; grep example /etc/hosts")).Ok();
        Assert.Equal("example.org", result.Lines[0]);
        Assert.EndsWith("\th.example.org h", Assert.Single(result.Lines[1..]), StringComparison.Ordinal);
    }

    [Fact]
    [RunOption("--mac-address")]
    public async Task The_hardware_address_is_chosen() =>
        Assert.Equal("92:d0:c6:0a:29:33", await Docker.Ok("run", "--rm", "--mac-address", "92:d0:c6:0a:29:33", "alpine", "cat", "/sys/class/net/eth0/address"));

    [Fact]
    [RunOption("--publish-all", "--expose")]
    public async Task Exposed_ports_are_published_at_free_ports()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-P", "--expose", "8080", "--expose", "5353/udp", "alpine", "sleep", "1000");
        var ports = await Docker.Ok("port", name);
        Assert.Matches(@"8080/tcp -> 0\.0\.0\.0:\d+", ports);
        Assert.Matches(@"5353/udp -> 0\.0\.0\.0:\d+", ports);
    }

    [Theory]
    [InlineData("--uts", "host", "uts")]
    [InlineData("--ipc", "host", "ipc")]
    [InlineData("--cgroupns", "host", "cgroup")]
    [InlineData("--pid", "host", "pid")]
    [InlineData("--userns", "host", "user")]
    [RunOption("--uts", "--cgroupns", "--pid", "--userns")]
    public async Task The_host_s_namespace_is_used(string option, string value, string type)
    {
        var own = new FileInfo($"/proc/self/ns/{type}").LinkTarget;
        Assert.Equal(own, await Docker.Ok("run", "--rm", option, value, "alpine", "readlink", $"/proc/self/ns/{type}"));
    }

    [Theory]
    [InlineData("--ipc", "private", "ipc")]
    [InlineData("--ipc", "none", "ipc")]
    [InlineData("--cgroupns", "private", "cgroup")]
    public async Task A_namespace_of_its_own_is_used(string option, string value, string type)
    {
        var own = new FileInfo($"/proc/self/ns/{type}").LinkTarget;
        Assert.NotEqual(own, await Docker.Ok("run", "--rm", option, value, "alpine", "readlink", $"/proc/self/ns/{type}"));
    }

    [Fact]
    [RunOption("--sig-proxy")]
    public async Task Signals_to_the_client_reach_the_program()
    {
        var name = Container();
        using (var client = Docker.Start("run", "--name", name, "alpine", "sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done"))
        {
            Assert.Equal("ready", await client.StandardOutput.ReadLineAsync(Cancellation));
            (await Programs.Run("kill", ["-TERM", $"{client.Id}"])).Ok();
            await client.WaitForExitAsync(Cancellation);
            Assert.Equal("42", await Docker.Ok("wait", name));
        }
    }

    [Fact]
    [RunOption("--device-cgroup-rule")]
    public async Task A_device_rule_allows_what_is_not_in_the_list()
    {
        // 1:4 is /dev/port, which no container gets; the node can be made, opening it is what the rule decides.
        const string open = "mknod /port c 1 4 && head -c 1 /port > /dev/null";
        var refused = await Docker.Run("run", "--rm", "--cap-add", "SYS_RAWIO", "alpine", "sh", "-c", open);
        Assert.Contains("Operation not permitted", refused.Error, StringComparison.Ordinal);


        // What the kernel's driver then says, or that it has none, is not the group's "no".
        var allowed = await Docker.Run("run", "--rm", "--cap-add", "SYS_RAWIO", "--device-cgroup-rule", "c 1:4 rmw", "alpine", "sh", "-c", "mknod /port c 1 4 && : < /port");
        Assert.DoesNotContain("Operation not permitted", allowed.Error, StringComparison.Ordinal);
    }

    [Fact]
    [RunOption("--volumes-from")]
    public async Task Volumes_of_another_container_are_shared()
    {
        var owner = Container();
        await Docker.Ok("run", "--name", owner, "-v", "/data", "alpine", "sh", "-c", "echo shared > /data/file");
        Assert.Equal("shared", await Docker.Ok("run", "--rm", "--volumes-from", owner, "alpine", "cat", "/data/file"));
    }

    [Fact]
    [RunOption("--volume-driver")]
    public async Task Volumes_are_made_by_the_driver_that_is_named()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "--volume-driver", "local", "-v", "/data", "alpine", "true");
        Assert.Equal("local", await Docker.Inspect(name, "{{(index .Mounts 0).Driver}}"));
        Assert.NotEqual(0, (await Docker.Run("create", "--volume-driver", "nosuch", "-v", "/data", "alpine", "true")).ExitCode);
    }

    [Theory]
    [InlineData("user specified IP address is supported on user defined networks only", "--ip", "172.17.0.77")]
    [InlineData("user specified IP address is supported on user defined networks only", "--ip6", "fd00::77")]
    [InlineData("network-scoped aliases are only supported for user-defined networks", "--network-alias", "x")]
    [RunOption("--ip", "--network-alias")]
    public async Task What_needs_a_network_of_one_s_own_is_refused_on_the_default_one(string expected, string option, string value) =>
        Assert.Contains(expected, (await Docker.Run("run", "--rm", option, value, "alpine", "true")).Error, StringComparison.Ordinal);

    [Fact]
    [RunOption("--gpus")]
    public async Task Without_a_driver_there_is_no_gpu() =>
        Assert.Contains("could not select device driver \"\" with capabilities: [[gpu]]", (await Docker.Run("run", "--rm", "--gpus", "all", "alpine", "true")).Error, StringComparison.Ordinal);

    [Fact]
    [RunOption("--kernel-memory")]
    public async Task Limits_that_the_kernel_has_not_any_more_change_nothing() =>
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "--kernel-memory", "50m", "alpine", "echo", "hi"));

    [Fact]
    [RunOption("--disable-content-trust")]
    public async Task Content_trust_may_be_disabled() => Assert.Equal("hi", await Docker.Ok("run", "--rm", "--disable-content-trust=true", "alpine", "echo", "hi"));

    [Fact]
    [RunOption("--isolation")]
    public async Task Isolation_is_Windows_affair()
    {
        Assert.Contains("Invalid isolation: \"hyperv\" - linux only supports 'default'", (await Docker.Run("run", "--rm", "--isolation", "hyperv", "alpine", "true")).Error, StringComparison.Ordinal);
        (await Docker.Run("run", "--rm", "--isolation", "default", "alpine", "true")).Ok();
    }

    [Fact]
    [RunOption("--detach", "--name", "--rm")]
    public async Task A_container_in_the_background_has_its_name_and_goes_when_it_ends()
    {
        var name = Container();
        var id = await Docker.Ok("run", "-d", "--rm", "--name", name, "alpine", "sleep", "1000");
        Assert.Equal(id, await Docker.Inspect(name, "{{.Id}}"));
        await Docker.Ok("stop", "-t", "0", name);
        await Docker.Until(output => output.Length == 0, ["ps", "-aq", "--filter", $"name={name}"]);
    }

    [Fact]
    [RunOption("--attach", "--interactive")]
    public async Task Only_the_streams_that_are_asked_for_are_attached()
    {
        var result = (await Docker.RunWith("in", "run", "--rm", "-i", "-a", "stdin", "-a", "stderr", "alpine", "sh", "-c", "echo out; cat >&2")).Ok();
        Assert.Equal("", result.Output);
        Assert.Equal("in", result.Error);
    }

    [GeneratedRegex(@"^ +(?:-[a-zA-Z], )?(--[a-z0-9-]+)", RegexOptions.Multiline)]
    private static partial Regex Option();
}
