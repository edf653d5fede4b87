using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Our own command line against the engine: docker's flags, docker's output.</summary>
public sealed class SlipwayCliTests(SharedEngine engine) : EngineTest(engine)
{
    private Task<CliResult> Slipway(params string[] arguments) => SlipwayWith(null, arguments);

    private Task<CliResult> SlipwayWith(string? input, params string[] arguments)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        Dictionary<string, string> environment = new() { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" };
        return Programs.Run(Repository.Executable!, arguments, input is null ? null : new MemoryStream(System.Text.Encoding.UTF8.GetBytes(input)), environment: environment);
    }

    [Theory]
    [InlineData(0, "true")]
    [InlineData(42, "sh", "-c", "exit 42")]
    [InlineData(127, "nosuch")]
    [InlineData(126, "/etc/passwd")]
    public async Task Run_ends_with_the_containers_code(int code, params string[] command) =>
        (await Slipway(["run", "--rm", "alpine", .. command])).Exited(code);

    [Fact]
    public async Task Run_of_an_invalid_name_is_an_engine_error() =>
        (await Slipway("run", "--rm", "--name", "a/b", "alpine", "true")).Exited(125).Says("Invalid container name (a/b)");

    [Fact]
    public async Task Run_with_an_unknown_flag_is_refused() => (await Slipway("run", "--bogus", "alpine", "true")).Exited(125).Says("unknown flag: --bogus");

    [Fact]
    public async Task Init_writes_what_fits_the_project_and_replaces_nothing_unasked()
    {
        var folder = Folder();
        (await Slipway("init", folder)).Exited(1).Says("no project is recognized").Says("--type (dotnet, go, java, node, python, static)");
        (await Slipway("init", Path.Combine(folder, "none"))).Exited(1).Says("is no folder");
        Assert.Empty(Directory.GetFiles(folder));
        await File.WriteAllTextAsync(Path.Combine(folder, "go.mod"), "module x\ngo 1.24\n", Cancellation);
        (await Slipway("init", folder)).Ok().Says("for Go 1.24").Says("guessed, please look: the port: 8080").Says("docker run --rm -p 8080:8080");
        var text = await File.ReadAllTextAsync(Path.Combine(folder, "Dockerfile"), Cancellation);
        Assert.Contains("FROM --platform=$BUILDPLATFORM golang:1.24 AS build\n", text, StringComparison.Ordinal);
        Assert.Contains("\n.git\n", await File.ReadAllTextAsync(Path.Combine(folder, ".dockerignore"), Cancellation), StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(folder, "Dockerfile"), "mine", Cancellation);
        (await Slipway("init", folder)).Exited(1).Says("Dockerfile exists: --force replaces it");
        Assert.Equal("mine", await File.ReadAllTextAsync(Path.Combine(folder, "Dockerfile"), Cancellation));
        (await Slipway("init", "--force", "--type", "static", folder)).Ok().Says("for pages in .");
        (await Slipway("init", "--type", "cobol", folder)).Exited(1);
    }

    [Fact]
    public async Task Run_connects_the_streams()
    {
        Assert.Equal("hi", (await SlipwayWith("hi\n", "run", "-i", "--rm", "alpine", "cat")).Ok().Line);
        var both = (await Slipway("run", "--rm", "alpine", "sh", "-c", "echo out; echo err >&2")).Ok();
        Assert.Equal(("out\n", "err\n"), (both.Output, both.Error));
    }

    [Fact]
    public async Task The_way_of_a_network()
    {
        var (name, subnet, server) = (Container("net"), TestSubnet.Next(), Container("server"));
        var id = (await Slipway("network", "create", "--subnet", $"{subnet}.0/24", "--gateway", $"{subnet}.254", "--aux-address", $"x={subnet}.1", "--label", "a=b", name)).Ok().Line;
        Cleanup(() => Docker.Run("network", "rm", name));
        (await Slipway("network", "create", "--subnet", "10.78.0.0/24", "--gateway", "10.79.0.1", "other")).Exited(1).Says("no matching subnet for gateway 10.79.0.1");
        Assert.Equal($"{id[..12]} {name} bridge local", (await Slipway("network", "ls", "-f", $"name={name}", "--format", "{{.ID}} {{.Name}} {{.Driver}} {{.Scope}}")).Ok().Line);
        (await Slipway("run", "-d", "--name", server, "-p", "127.0.0.1:0:80", "alpine", "sleep", "1000")).Ok();
        (await Slipway("network", "connect", "--alias", "www", "--ip", $"{subnet}.9", "--gw-priority", "1", name, server)).Ok();
        Assert.Equal($"{subnet}.254", (await Slipway("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", name)).Ok().Line);
        var port = (await Docker.Ok("port", server, "80/tcp")).Split(':')[^1];
        (await Slipway("network", "inspect", "--diagram", name)).Ok()
            .Says($"network {name} (bridge)").Says($"subnet {subnet}.0/24, gateway {subnet}.254").Says($"br-{id[..12]}").Says($"└── {server}  {subnet}.9/24")
            .Says($"127.0.0.1:{port} → 80/tcp").Says("also called www").Says("also on bridge");
        (await Slipway("network", "rm", name)).Exited(1).Says("has active endpoints");
        (await Slipway("network", "disconnect", name, server)).Ok();
        (await Slipway("network", "inspect", "--diagram", name)).Ok().Says("no containers");
        (await Slipway("network", "inspect", "--diagram", "nosuch")).Exited(1).Says("network nosuch not found");
        Assert.Equal($"Deleted Networks:\n{name}", (await Slipway("network", "prune", "-f", "--filter", "label=a=b")).Ok().Output.Trim());
    }

    [Fact]
    public async Task The_way_of_a_container()
    {
        var name = Container();
        var id = (await Slipway("run", "-d", "--name", name, "-e", "A=b", "-m", "64m", "alpine", "sh", "-c", "echo started; exec sleep 1000")).Ok().Line;
        Assert.Equal(64, id.Length);
        Assert.Equal("b", (await Slipway("exec", name, "sh", "-c", "echo $A")).Ok().Line);
        (await Slipway("exec", name, "sh", "-c", "exit 7")).Exited(7);
        Assert.Equal("started", (await Slipway("logs", name)).Ok().Line);
        Assert.Equal("67108864", (await Slipway("inspect", "-f", "{{.HostConfig.Memory}}", name)).Ok().Line);
        Assert.Contains("sleep 1000", (await Slipway("top", name)).Ok().Output, StringComparison.Ordinal);
        (await Slipway("explain", name)).Ok().Says("execve").Says("pivot_root");
        (await Slipway("pause", name)).Ok();
        (await Slipway("unpause", name)).Ok();
        Assert.Equal(name, (await Slipway("stop", "-t", "1", name)).Ok().Line);
        (await Slipway("start", name)).Ok();
        (await Slipway("kill", name)).Ok();
        Assert.Equal("137", (await Slipway("wait", name)).Ok().Line);
        (await Slipway("rename", name, name + "2")).Ok();
        (await Slipway("rm", name + "2")).Ok();
        (await Slipway("inspect", name + "2")).Exited(1).Says("No such object");
    }

    /// <summary>Both tools read the same answers: what they show of them is the same.</summary>
    [Theory]
    [InlineData("ps", "-a", "--no-trunc", "--format", "{{.ID}}|{{.Image}}|{{.Command}}|{{.Names}}|{{.Ports}}|{{.State}}|{{.Networks}}")]
    [InlineData("images", "--no-trunc", "--format", "{{.ID}}|{{.Repository}}|{{.Tag}}|{{.Size}}")]
    [InlineData("inspect", "-f", "{{.Name}} {{json .Config.Cmd}} {{.HostConfig.NetworkMode}} {{range .Mounts}}{{.Destination}}{{end}}", "NAME")]
    [InlineData("logs", "NAME")]
    [InlineData("history", "--no-trunc", "--format", "{{.ID}}|{{.Comment}}|{{.Size}}", "alpine")]
    public async Task Output_is_the_one_of_docker(params string[] arguments)
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "-v", "/tmp:/data", "alpine", "echo", "logged");
        string[] named = [.. arguments.Select(argument => argument == "NAME" ? name : argument)];
        string[] narrowed = arguments[0] == "ps" ? [.. named, "-f", $"name={name}"] : arguments[0] == "images" ? [.. named, "alpine"] : named;

        Assert.Equal(await Docker.Ok(narrowed), (await Slipway(narrowed)).Ok().Line);
    }

    [Fact]
    public async Task Inspect_shows_the_whole_object()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(await Docker.Ok("inspect", name)), JsonNode.Parse((await Slipway("inspect", name)).Ok().Output)));
    }

    [Fact]
    public async Task Images_go_out_and_come_back()
    {
        var (image, copy) = (Image("a"), Image("b"));
        var archive = Path.Combine(Path.GetTempPath(), $"slipway-cli-{Guid.NewGuid():N}.tar");
        Cleanup(() => Task.Run(() => File.Delete(archive)));
        (await Slipway("tag", "alpine", image)).Ok();
        (await Slipway("tag", "alpine", copy)).Ok();
        (await Slipway("save", "-o", archive, image)).Ok();
        (await Slipway("rmi", image)).Ok().Says($"Untagged: {image}");
        (await Slipway("load", "-i", archive)).Ok().Says($"Loaded image: {image}");
        Assert.Equal(await Docker.Inspect(copy, "{{.Id}}"), await Docker.Inspect(image, "{{.Id}}"));
        (await Slipway("save", "-o", archive, "nosuch:1")).Exited(1).Says("No such image: nosuch:1");
    }

    [Fact]
    public async Task Events_of_the_past_are_shown()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        (await Slipway("events", "--since", "1m", "--until", "0s", "-f", $"container={name}", "--format", "{{.Action}}")).Ok().Says("create");
    }

    [Theory]
    [InlineData("info", "Server Version")]
    [InlineData("version", "API version")]
    [InlineData("--help", "Commands:")]
    [InlineData("completion bash", "complete -o default -F _slipway slipway")]
    public async Task Tells(string arguments, string expected) => (await Slipway(arguments.Split(' '))).Ok().Says(expected);

    [Fact]
    public async Task Completion_offers_verbs_and_containers()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        Assert.Contains("explain", (await Slipway("[suggest:8]", "slipway ")).Ok().Lines);
        Assert.Contains(name, (await Slipway("[suggest:11]", "slipway rm ")).Ok().Lines);
    }

    /// <summary>In mount, network and process namespaces of its own, where nothing is at the default places.</summary>
    [Fact]
    public async Task Run_starts_an_engine_where_none_runs()
    {
        Requirement.Root();
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        var rootfs = Path.Combine(Path.GetTempPath(), $"slipway-cli-{Guid.NewGuid():N}.tar");
        Cleanup(() => Task.Run(() => File.Delete(rootfs)));
        await Docker.Ok("save", "-o", rootfs, "alpine");
        const string Script = """
            set -e
            mkdir -p /var/lib/slipway /var/log
            for d in /run /var/lib/slipway /var/log; do mount -t tmpfs none $d; done
            ip link set lo up
            "$1" load -i "$2"
            "$1" run --rm alpine echo from a container
            # The brackets keep the pattern from matching this script's own command line.
            engine=$(pgrep -o -f 'slipway[ ]daemon')
            kill "$engine"
            while [ -e "/proc/$engine" ] && ! grep -q '^State:.Z' "/proc/$engine/status"; do sleep 0.1; done
            "$1" daemon --cleanup
            """;
        var result = await Programs.Run("unshare", ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", Script, "sh", Repository.Executable!, rootfs]);
        result.Ok().Says("No engine is running: starting one.").Says("from a container");
    }
}
