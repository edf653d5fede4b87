using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>docker volume, and volumes in containers. Green against dockerd as well, but where a test says otherwise.</summary>
public sealed class VolumeTests(SharedEngine engine) : EngineTest(engine)
{
    private readonly string _label = "slipway-test-" + Guid.NewGuid().ToString("N")[..8];

    [Fact]
    public async Task A_volume_is_created_once_and_inspected()
    {
        var name = Volume();
        Assert.Equal(name, await Docker.Ok("volume", "create", "--label", "a=b", "--label", _label, name));
        Assert.Equal(name, await Docker.Ok("volume", "create", "--label", "c=d", name));
        var volume = JsonNode.Parse(await Docker.Ok("volume", "inspect", name))![0]!;
        Assert.Equal(("local", "local", "b", ""), ((string?)volume["Driver"], (string?)volume["Scope"], (string?)volume["Labels"]!["a"], (string?)volume["Labels"]![_label]));
        Assert.Null(volume["Labels"]!["c"]);
        Assert.Null(volume["Options"]);
        Assert.EndsWith($"/volumes/{name}/_data", (string?)volume["Mountpoint"], StringComparison.Ordinal);
        Assert.Equal(name, await Docker.Ok("volume", "ls", "-q", "--filter", $"label={_label}"));
        Assert.Equal(name, await Docker.Ok("volume", "ls", "-q", "--filter", "label=a=b", "--filter", $"name={name[2..]}", "--filter", "driver=local", "--filter", "dangling=true"));
        Assert.Equal("", await Docker.Ok("volume", "ls", "-q", "--filter", "label=a=x", "--filter", $"name={name}"));
        Assert.Equal("", await Docker.Ok("volume", "ls", "-q", "--filter", $"name={name}", "--filter", "dangling=false"));
        Assert.Equal(name, await Docker.Ok("volume", "rm", name));
        (await Docker.Run("volume", "rm", name)).Exited(1).Says($"get {name}: no such volume");
        Assert.Equal(name, await Docker.Ok("volume", "rm", "-f", name));
        (await Docker.Run("volume", "inspect", name)).Exited(1).Says($"get {name}: no such volume");
    }

    [Fact]
    public async Task A_volume_without_a_name_gets_one_and_counts_as_anonymous()
    {
        var name = await Docker.Ok("volume", "create", "--label", _label);
        Assert.Matches("^[0-9a-f]{64}$", name);
        Assert.Equal("true", await Docker.Ok("volume", "inspect", "-f", "{{eq (index .Labels \"com.docker.volume.anonymous\") \"\"}}", name));
        var pruned = (await Docker.Run("volume", "prune", "-f", "--filter", $"label={_label}")).Ok().Output;
        Assert.Contains(name, pruned, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("create x: volume name is too short, names should be at least two alphanumeric characters", "x")]
    [InlineData("create a/b: \"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", "a/b")]
    [InlineData("create v1: error looking up volume plugin nope: plugin \"nope\" not found", "-d", "nope", "v1")]
    [InlineData("create v1: invalid option: \"foo\"", "-o", "foo=1", "v1")]
    [InlineData("create v1: missing required option: \"device\"", "-o", "type=tmpfs", "v1")]
    [InlineData("create v1: missing required option: \"type\"", "-o", "device=/x", "v1")]
    [InlineData("create v1: invalid size: 'x'", "-o", "size=x", "v1")]
    public async Task What_cannot_be_created_is_told_in_Dockers_words(string message, params string[] arguments) =>
        (await Docker.Run(["volume", "create", .. arguments])).Exited(1).Says(message);

    [Fact]
    public async Task A_volume_that_a_container_names_is_not_removed()
    {
        var (volume, container) = (Volume(), Container());
        await Docker.Ok("create", "--name", container, "-v", $"{volume}:/data", "alpine", "true");
        var id = await Docker.Inspect(container, "{{.Id}}");
        (await Docker.Run("volume", "rm", volume)).Exited(1).Says($"remove {volume}: volume is in use - [{id}]");
        (await Docker.Run("volume", "rm", "-f", volume)).Exited(1).Says("volume is in use");
        Assert.Equal(volume, await Docker.Ok("volume", "ls", "-q", "--filter", "dangling=false", "--filter", $"name={volume}"));
        await Docker.Ok("rm", container);
        await Docker.Ok("volume", "rm", volume);
    }

    [Fact]
    [RunOption("--mount")]
    public async Task Anonymous_volumes_go_with_rm_v_and_with_run_rm()
    {
        var container = Container();
        await Docker.Ok("run", "--name", container, "-v", "/a", "--mount", "type=volume,dst=/b", "alpine", "true");
        var names = (await Docker.Inspect(container, "{{range .Mounts}}{{.Name}} {{end}}")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, names.Length);
        await Docker.Ok("rm", container);
        foreach (var name in names)
        {
            Assert.Equal(name, await Docker.Ok("volume", "rm", name));
        }

        await Docker.Ok("run", "-d", "--rm", "--name", container, "-v", "/a", "alpine", "sleep", "1000");
        var removed = await Docker.Inspect(container, "{{(index .Mounts 0).Name}}");
        await Docker.Ok("rm", "-fv", container);
        await Docker.Until(_ => true, ["version"]);
        (await Docker.Run("volume", "inspect", removed)).Exited(1);
    }

    [Fact]
    public async Task Events_tell_of_a_volumes_life()
    {
        var (volume, container) = (Volume(), Container());
        var since = await Docker.Ok("info", "-f", "{{.SystemTime}}");
        await Docker.Ok("volume", "create", volume);
        await Docker.Ok("run", "--name", container, "-v", $"{volume}:/data:ro", "alpine", "true");
        var id = await Docker.Inspect(container, "{{.Id}}");
        await Docker.Ok("rm", container);
        await Docker.Ok("volume", "rm", volume);
        var until = await Docker.Ok("info", "-f", "{{.SystemTime}}");
        var events = (await Docker.Run("events", "--since", since, "--until", until, "--filter", "type=volume", "--filter", $"volume={volume}", "--format", "{{json .}}")).Ok().Lines
            .Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal(["create", "mount", "unmount", "destroy"], events.Select(message => (string?)message["Action"]));
        Assert.All(events, message => Assert.Equal("local", (string?)message["Actor"]!["Attributes"]!["driver"]));
        var mounted = events[1]["Actor"]!["Attributes"]!;
        Assert.Equal((id, "/data", "", "false"), ((string?)mounted["container"], (string?)mounted["destination"], (string?)mounted["propagation"], (string?)mounted["read/write"]));
        Assert.Equal(id, (string?)events[2]["Actor"]!["Attributes"]!["container"]);
    }

    [Fact]
    public async Task Prune_takes_what_nobody_uses_and_named_ones_when_asked()
    {
        var (named, used, kept, container) = (Volume("named"), Volume("used"), Volume("kept"), Container());
        await Docker.Ok("volume", "create", "--label", _label, named);
        await Docker.Ok("volume", "create", "--label", _label, used);
        await Docker.Ok("volume", "create", "--label", _label, "--label", "keep=1", kept);
        await Docker.Ok("create", "--name", container, "-v", $"{used}:/data", "alpine", "true");
        Assert.Equal("Total reclaimed space: 0B", await Docker.Ok("volume", "prune", "-f", "--filter", $"label={_label}"));
        var pruned = (await Docker.Run("volume", "prune", "-af", "--filter", $"label={_label}", "--filter", "label!=keep=1")).Ok().Output;
        Assert.StartsWith($"Deleted Volumes:\n{named}\n\n", pruned, StringComparison.Ordinal);
        Assert.Equal(2, (await Docker.Run("volume", "ls", "-q", "--filter", $"label={_label}")).Ok().Lines.Length);
        (await Docker.Run("volume", "prune", "-f", "--filter", "dangling=true")).Exited(1).Says("invalid filter 'dangling'");
    }

    [Fact]
    public async Task System_df_shows_volumes_with_their_links_and_sizes()
    {
        var (volume, container) = (Volume(), Container());
        await Docker.Ok("run", "--name", container, "-v", $"{volume}:/data", "alpine", "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x > /data/f");
        var lines = (await Docker.Run("system", "df", "-v", "--format", "{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}}\n{{end}}")).Ok().Lines;
        Assert.Contains(lines, line => line.StartsWith($"{volume} 1 3", StringComparison.Ordinal) && line.EndsWith("kB", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Driver_options_mount_a_file_system_that_containers_share()
    {
        var (volume, container) = (Volume(), Container());
        await Docker.Ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000,noexec", volume);
        await Docker.Ok("run", "-d", "--name", container, "-v", $"{volume}:/x", "alpine", "sh", "-c", "echo shared > /x/f; sleep 1000");
        await Docker.Until(output => output == "shared\n", ["exec", container, "cat", "/x/f"]);
        var seen = await Docker.Ok("run", "--rm", "-v", $"{volume}:/y", "alpine", "sh", "-c", "cat /y/f; grep ' /y ' /proc/mounts; stat -c %u /y");
        Assert.Matches("^shared\ntmpfs /y tmpfs rw,.*noexec.*size=1024k.*\n1000$", seen);
        await Docker.Ok("rm", "-f", container);

        // Unmounted after its last use, so that what was in memory is gone.
        Assert.Equal("", await Docker.Ok("run", "--rm", "-v", $"{volume}:/y", "alpine", "ls", "/y"));
        await Docker.Ok("volume", "rm", volume);
    }

    [Fact]
    public async Task Driver_options_bind_a_directory_and_its_removal_leaves_that_alone()
    {
        var (volume, folder) = (Volume(), Folder());
        await File.WriteAllTextAsync(Path.Combine(folder, "kept"), "content", Cancellation);
        await Docker.Ok("volume", "create", "-o", "type=none", "-o", $"device={folder}", "-o", "o=bind", volume);
        Assert.Equal("content", await Docker.Ok("run", "--rm", "-v", $"{volume}:/x", "alpine", "sh", "-c", "cat /x/kept; echo new > /x/new"));
        await Docker.Ok("volume", "rm", volume);
        Assert.Equal(["kept", "new"], Directory.GetFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_device_that_is_missing_is_told_when_the_volume_is_mounted()
    {
        var volume = Volume();
        await Docker.Ok("volume", "create", "-o", "type=none", "-o", "device=/nonexistent-device", "-o", "o=bind", volume);
        (await Docker.Run("run", "--rm", "-v", $"{volume}:/x", "alpine", "true")).Exited(127).Says("failed to mount local volume: mount /nonexistent-device:").Says("no such file or directory");
        var other = Volume("other");
        await Docker.Ok("volume", "create", "-o", "type=nosuchfs", "-o", "device=server:/x", other);
        (await Docker.Run("run", "--rm", "-v", $"{other}:/x", "alpine", "true")).Exited(125).Says("no such device");
    }

    [Fact]
    public async Task What_only_the_api_can_ask_is_answered_as_by_Docker()
    {
        using var http = new EngineHttp(Docker.Socket);
        (await http.Send(HttpMethod.Put, "/volumes/vv?version=1", new StringContent("{}", null, "application/json"))).Refused(503, "volume update only valid for cluster volumes, but swarm is unavailable");
        (await http.Post("/volumes/create", "{\"Name\":\"vx\",\"ClusterVolumeSpec\":{}}")).Refused(503, "This node is not a swarm manager");
        (await http.Get("/volumes?filters=%7B%22foo%22%3A%5B%22v%22%5D%7D")).Refused(400, "invalid filter 'foo'");
        (await http.Get("/volumes?filters=%7B%22dangling%22%3A%5B%22x%22%5D%7D")).Refused(400, "invalid filter 'dangling=[x]'");
        (await http.Get("/volumes/nosuch")).Refused(404, "get nosuch: no such volume");
        var volume = Volume();
        var created = (await http.Post("/volumes/create", $$$"""{"Name":"{{{volume}}}","Driver":"local","DriverOpts":{},"Labels":{}}""")).Is(201).Json;
        Assert.Equal(("{}", "{}"), (created["Labels"]!.ToJsonString(), created["Options"]!.ToJsonString()));
        (await http.Send(HttpMethod.Delete, $"/volumes/{volume}")).Is(204);
        (await http.Send(HttpMethod.Delete, $"/volumes/{volume}")).Refused(404, $"get {volume}: no such volume");
        (await http.Send(HttpMethod.Delete, $"/volumes/{volume}?force=1")).Is(204);
    }

    [Fact]
    public async Task CVE_2021_41091_other_users_of_the_host_reach_nothing_that_containers_wrote()
    {
        Assert.SkipUnless(IsSlipway, "needs to know where the engine has its data");
        var (volume, container) = (Volume(), Container());
        const string script = "cp /bin/busybox /data/shell && chmod 4755 /data/shell && cp /bin/busybox /shell && chmod 4755 /shell";
        await Docker.Ok("run", "--name", container, "-v", $"{volume}:/data", "alpine", "sh", "-c", script);
        string[] programs = [$"{DataRoot}/volumes/{volume}/_data/shell", $"{DataRoot}/containers/{await Docker.Inspect(container, "{{.Id}}")}/upper/shell"];
        foreach (var program in programs)
        {
            Assert.True(File.Exists(program), program);
            var attempt = await Programs.Run("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", $"{program} id"]);
            Assert.NotEqual(0, attempt.ExitCode);
            attempt.Says("Permission denied");
        }
    }

    private string Volume(string name = "v") => Volume(Docker, Cleanup, name);

    /// <summary>A volume name that no other test uses; the volume is removed after the test.</summary>
    internal static string Volume(Docker docker, Action<Func<Task>> cleanup, string name)
    {
        var full = $"t{Guid.NewGuid().ToString("N")[..10]}-{name}";
        cleanup(() => docker.Run("volume", "rm", "-f", full));
        return full;
    }
}
