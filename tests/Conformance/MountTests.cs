using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>--mount with all its options, --volumes-from, and parts of volumes.</summary>
public sealed class MountTests(SharedEngine engine) : EngineTest(engine)
{
    private string Volume(string name = "v") => VolumeTests.Volume(Docker, Cleanup, name);

    private async Task<JsonNode> Mounts(params string[] options)
    {
        var container = Container("mounts" + Guid.NewGuid().ToString("N")[..4]);
        await Docker.Ok(["create", "--name", container, .. options, "alpine", "true"]);
        return JsonNode.Parse(await Docker.Inspect(container, "{{json .Mounts}}"))!;
    }

    [Fact]
    public async Task Mounts_are_shown_as_by_Docker()
    {
        var volume = Volume();
        var named = (await Mounts("--mount", $"type=volume,src={volume},dst=/x,readonly"))[0]!;
        Assert.Equal(("volume", volume, "local", "z", false, ""), ((string?)named["Type"], (string?)named["Name"], (string?)named["Driver"], (string?)named["Mode"], (bool)named["RW"]!, (string?)named["Propagation"]));
        var anonymous = (await Mounts("-v", "/x"))[0]!;
        Assert.Equal(("volume", "", true), ((string?)anonymous["Type"], (string?)anonymous["Mode"], (bool)anonymous["RW"]!));
        var words = (await Mounts("-v", $"{volume}:/x:nocopy,ro"))[0]!;
        Assert.Equal(("nocopy,ro", false), ((string?)words["Mode"], (bool)words["RW"]!));
        var bind = (await Mounts("--mount", "type=bind,src=/tmp,dst=/x"))[0]!;
        Assert.Equal(("bind", "/tmp", "", "rprivate"), ((string?)bind["Type"], (string?)bind["Source"], (string?)bind["Mode"], (string?)bind["Propagation"]));
        var tmpfs = (await Mounts("--mount", "type=tmpfs,dst=/x"))[0]!;
        Assert.Equal(("tmpfs", "", "/x", true), ((string?)tmpfs["Type"], (string?)tmpfs["Source"], (string?)tmpfs["Destination"], (bool)tmpfs["RW"]!));
        Assert.Equal("[]", (await Mounts("--tmpfs", "/x")).ToJsonString());
    }

    [Theory]
    [InlineData("Duplicate mount point: /x", "-v", "/tmp:/x", "--mount", "type=bind,src=/etc,dst=/x")]
    [InlineData("invalid mode: ro,rw", "-v", "some:/x:ro,rw")]
    [InlineData("invalid volume specification: '/tmp:/x:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified", "-v", "/tmp:/x:nocopy")]
    [InlineData("invalid volume specification: 'some:/x:rshared': invalid mount config for type \"volume\": field BindOptions must not be specified", "-v", "some:/x:rshared")]
    [InlineData("invalid mount config for type \"bind\": invalid propagation mode: foo", "--mount", "type=bind,src=/tmp,dst=/x,bind-propagation=foo")]
    [InlineData("invalid mount config for type \"bind\": bind source path does not exist: /nonexistent-source", "--mount", "type=bind,src=/nonexistent-source,dst=/x")]
    [InlineData("invalid mount config for type \"tmpfs\": field Source must not be specified", "--mount", "type=tmpfs,src=a,dst=/x")]
    [InlineData("invalid mount config for type \"volume\": subpath must be a relative path within the volume", "--mount", "type=volume,src=some,dst=/x,volume-subpath=../b")]
    [InlineData("invalid mount config for type \"volume\": subpath must be a relative path within the volume", "--mount", "type=volume,src=some,dst=/x,volume-subpath=/etc")]
    [InlineData("includes invalid characters for a local volume name", "--mount", "type=volume,src=/absolute,dst=/x")]
    [InlineData("invalid mode: zz", "--volumes-from", "some:zz")]
    [InlineData("No such container: nosuch-container", "--volumes-from", "nosuch-container")]
    [InlineData("invalid mount config for type \"weird\": mount type unknown", "--mount", "type=weird,dst=/x")]
    public async Task What_cannot_be_mounted_is_told_in_Dockers_words(string message, params string[] options)
    {
        // dockerd looks for the other container before it looks at the mode.
        var from = options[1].StartsWith("some:zz", StringComparison.Ordinal) ? await Sleeper() : null;
        options = [.. options.Select(option => from is null ? option : option.Replace("some:zz", $"{from}:zz", StringComparison.Ordinal))];
        (await Docker.Run(["create", .. options, "alpine", "true"])).Exited(1).Says(message);
    }

    [Fact]
    public async Task A_volume_is_made_as_the_mount_says()
    {
        var volume = Volume();
        await Docker.Ok("run", "--rm", "--mount", $"type=volume,src={volume},dst=/x,volume-label=a=b,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=64k", "alpine", "grep", " /x tmpfs .*size=64k", "/proc/mounts");
        Assert.Equal("b tmpfs size=64k", await Docker.Ok("volume", "inspect", "-f", "{{.Labels.a}} {{.Options.type}} {{.Options.o}}", volume));
        var other = Volume("other");
        await Docker.Ok("create", "--name", Container(), "--volume-driver", "local", "-v", $"{other}:/x", "alpine", "true");
        Assert.Equal("local", await Docker.Ok("volume", "inspect", "-f", "{{.Driver}}", other));
        (await new EngineHttp(Docker.Socket).Post("/containers/create", $$$"""{"Image":"alpine","Cmd":["true"],"HostConfig":{"Binds":["{{{other}}}2:/x"],"VolumeDriver":"nope"}}"""))
            .Refused(IsSlipway ? 400 : 404, $"create {other}2: error looking up volume plugin nope: plugin \"nope\" not found");
    }

    [Fact]
    public async Task Tmpfs_has_its_size_and_mode()
    {
        var line = await Docker.Ok("run", "--rm", "--mount", "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=0700", "alpine", "grep", " /x ", "/proc/mounts");
        Assert.Equal("tmpfs /x tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700 0 0", line.Replace(",inode64", "", StringComparison.Ordinal));
        (await Docker.Run("run", "--rm", "--mount", "type=tmpfs,dst=/x,readonly", "alpine", "touch", "/x/f")).Exited(1).Says("Read-only file system");
    }

    [Fact]
    public async Task Volumes_from_another_container_at_the_same_places()
    {
        var (volume, source, folder) = (Volume(), Container("source"), Folder());
        await Docker.Ok("run", "--name", source, "-v", $"{volume}:/v", "-v", "/own", "-v", $"{folder}:/bind:ro", "--tmpfs", "/memory", "alpine", "sh", "-c", "echo named > /v/f; echo own > /own/f");
        Assert.Equal("named own", await Docker.Ok("run", "--rm", "--volumes-from", source, "alpine", "sh", "-c", "echo $(cat /v/f) $(cat /own/f); touch /v/written"));
        (await Docker.Run("run", "--rm", "--volumes-from", $"{source}:ro", "alpine", "touch", "/v/x")).Exited(1).Says("Read-only file system");
        (await Docker.Run("run", "--rm", "--volumes-from", $"{source}:rw", "alpine", "touch", "/bind/x")).Exited(1).Says("Read-only file system");

        // A mount of the container's own takes the place, and an anonymous volume stays as long as somebody names it.
        var user = Container("user");
        await Docker.Ok("create", "--name", user, "--volumes-from", source, "-v", $"{folder}:/v", "alpine", "ls", "/v");
        var destinations = (await Docker.Inspect(user, "{{range .Mounts}}{{.Type}}:{{.Destination}} {{end}}")).Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal);
        Assert.Equal(["bind:/bind", "bind:/v", "volume:/own"], destinations);
        var own = await Docker.Inspect(user, "{{range .Mounts}}{{if eq .Destination \"/own\"}}{{.Name}}{{end}}{{end}}");
        await Docker.Ok("rm", "-v", source);
        await Docker.Ok("volume", "inspect", own);
        await Docker.Ok("rm", "-v", user);
        (await Docker.Run("volume", "inspect", own)).Exited(1);
    }

    [Fact]
    public async Task Parts_of_a_volume()
    {
        var volume = Volume();
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/w", "alpine", "sh", "-c", "mkdir -p /w/d/e; echo hi > /w/d/f; echo deep > /w/d/e/g; ln -s d /w/inside; ln -s /etc /w/absolute; ln -s ../../../../etc /w/up; echo file > /w/file");
        Assert.Equal("hi", await Docker.Ok(Part("d", "cat", "/x/f")));
        Assert.Equal("deep", await Docker.Ok(Part("d/e", "cat", "/x/g")));
        Assert.Equal("hi", await Docker.Ok(Part("inside", "cat", "/x/f")));
        Assert.Equal("file", await Docker.Ok(Part("file", "cat", "/x")));
        (await Docker.Run(Part("absolute", "ls", "/x"))).Exited(125).Says("path concatenation escapes the base directory");
        var up = await Docker.Run(Part("up", "ls", "/x"));
        if (IsSlipway)
        {
            // dockerd looks outside whether there is such a path, and tells.
            up.Exited(125).Says("path concatenation escapes the base directory");
        }

        Assert.Equal("", up.Output);
        (await Docker.Run(Part("nosuch", "ls", "/x"))).Exited(127).Says("no such file or directory");

        string[] Part(string part, params string[] command) => ["run", "--rm", "--mount", $"type=volume,src={volume},dst=/x,volume-subpath={part}", "alpine", .. command];
    }

    [Fact]
    public async Task CVE_2021_25741_a_part_of_a_volume_that_is_exchanged_for_a_link_leads_nowhere()
    {
        var (volume, attacker) = (Volume(), Container("attacker"));
        const string exchange = "mkdir -p /w/d; echo own > /w/d/own; ln -s /etc /w/link; touch /w/ready; while true; do mv /w/d /w/t; ln -s /etc /w/d; rm /w/d; mv /w/t /w/d; done";
        await Docker.Ok("run", "-d", "--name", attacker, "-v", $"{volume}:/w", "alpine", "sh", "-c", exchange);
        await Docker.Until(output => output.Contains("ready", StringComparison.Ordinal), ["exec", attacker, "ls", "/w"]);
        int mounted = 0;
        for (var i = 0; i < 40; i++)
        {
            var result = await Docker.Run("run", "--rm", "--mount", $"type=volume,src={volume},dst=/x,volume-subpath=d", "alpine", "ls", "/x");
            if (result.ExitCode == 0)
            {
                Assert.Equal("own", result.Line);
                mounted++;
            }
        }

        Assert.True(mounted > 0, "the part was never mounted: nothing was proved");
        await Docker.Ok("rm", "-f", attacker);
    }

    [Fact]
    public async Task Binds_below_binds_are_read_only_as_asked()
    {
        Assert.SkipUnless(IsSlipway, "the dockerd under test has a mount namespace of its own");
        var folder = Folder();
        var inner = Path.Combine(folder, "inner");
        Directory.CreateDirectory(inner);
        (await Programs.Run("mount", ["-t", "tmpfs", "slipway-test", inner])).Ok();
        Cleanup(async () => (await Programs.Run("umount", [inner])).Ok());
        await File.WriteAllTextAsync(Path.Combine(inner, "f"), "below", Cancellation);
        Assert.Equal("below", await Docker.Ok("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x", "alpine", "cat", "/x/inner/f"));
        Assert.Equal("", await Docker.Ok("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,bind-recursive=disabled", "alpine", "ls", "/x/inner"));
        Assert.Equal("", await Docker.Ok("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,bind-nonrecursive", "alpine", "ls", "/x/inner"));
        await Docker.Ok("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,readonly,bind-recursive=writable", "alpine", "touch", "/x/inner/written");
        (await Docker.Run("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,readonly,bind-recursive=writable", "alpine", "touch", "/x/f")).Exited(1).Says("Read-only");
        (await Docker.Run("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,readonly", "alpine", "touch", "/x/inner/g")).Exited(1).Says("Read-only");
        (await Docker.Run("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,readonly,bind-recursive=readonly,bind-propagation=rprivate", "alpine", "touch", "/x/inner/g")).Exited(1).Says("Read-only");
    }

    [Fact]
    public async Task Propagation_needs_a_shared_mount_and_then_works()
    {
        Assert.SkipUnless(IsSlipway, "the dockerd under test has a mount namespace of its own");
        var folder = Folder();
        (await Programs.Run("mount", ["-t", "tmpfs", "slipway-test", folder])).Ok();
        Cleanup(async () => (await Programs.Run("umount", ["-R", folder])).Ok());
        (await Programs.Run("mount", ["--make-private", folder])).Ok();
        (await Docker.Run("run", "--rm", "--mount", $"type=bind,src={folder},dst=/x,bind-propagation=rslave", "alpine", "true")).Exited(125)
            .Says($"path {folder} is mounted on {folder} but it is not a shared or slave mount");
        (await Docker.Run("run", "--rm", "-v", $"{folder}:/x:rshared", "alpine", "true")).Exited(125).Says($"path {folder} is mounted on {folder} but it is not a shared mount");
        (await Programs.Run("mount", ["--make-shared", folder])).Ok();
        Directory.CreateDirectory(Path.Combine(folder, "later"));
        var slave = await Sleeper("--mount", $"type=bind,src={folder},dst=/x,bind-propagation=rslave");
        var apart = await Sleeper("-v", $"{folder}:/x");
        (await Programs.Run("mount", ["-t", "tmpfs", "slipway-test", Path.Combine(folder, "later")])).Ok();
        await File.WriteAllTextAsync(Path.Combine(folder, "later/f"), "seen", Cancellation);
        Assert.Equal("seen", await Docker.Ok("exec", slave, "cat", "/x/later/f"));
        Assert.Equal("", await Docker.Ok("exec", apart, "ls", "/x/later"));
        await Docker.Ok("rm", "-f", slave, apart);
    }

    [Fact]
    public async Task Images_are_mounted_read_only()
    {
        Assert.SkipUnless(IsSlipway, "dockerd mounts images since 28");
        var (image, container) = (Image(), Container());
        var layers = new[] { Archive.Of(Archive.Folder("docs/"), Archive.Text("docs/readme", "first"), Archive.Link("docs/out", "/etc/hostname")), Archive.Of(Archive.Text("docs/readme", "second")) };
        (await Docker.RunWith(new MemoryStream(Archive.Image(image, layers)), "load")).Ok();
        Assert.Equal("second", await Docker.Ok("run", "--rm", "--mount", $"type=image,src={image},dst=/x", "alpine", "cat", "/x/docs/readme"));
        Assert.Equal("second", await Docker.Ok("run", "--rm", "--mount", $"type=image,src={image},dst=/x,image-subpath=docs", "alpine", "cat", "/x/readme"));
        (await Docker.Run("run", "--rm", "--mount", $"type=image,src={image},dst=/x", "alpine", "touch", "/x/f")).Exited(1).Says("Read-only file system");
        (await Docker.Run("run", "--rm", "--mount", $"type=image,src={image},dst=/x,image-subpath=docs/out", "alpine", "cat", "/x")).Exited(125).Says("escapes the base directory");
        (await Docker.Run("create", "--mount", "type=image,src=nosuch/image:1,dst=/x", "alpine", "true")).Exited(1).Says("No such image: nosuch/image:1");
        await Docker.Ok("create", "--name", container, "--mount", $"type=image,src={image},dst=/x", "alpine", "true");
        (await Docker.Run("rmi", image)).Exited(1).Says("is using its referenced image");
        await Docker.Ok("rm", container);
        await Docker.Ok("rmi", image);
    }
}
