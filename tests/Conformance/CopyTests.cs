using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary><c>docker cp</c> both ways, with containers in every state.</summary>
public sealed class CopyTests(SharedEngine engine) : EngineTest(engine)
{
    private async Task<string> Tree(params string[] options)
    {
        var name = await Sleeper(options);
        await Docker.Ok("exec", "-u", "root", name, "sh", "-c", """
            mkdir -p /d/sub; echo content > /d/f; ln -s f /d/l; ln -s /d /dl; ln -s nosuch/../x /dang; mkfifo /d/fifo; ln /d/f /d/hard
            echo inside > /d/sub/g; chmod 600 /d/sub/g; chown 12:34 /d/sub/g; touch -d @1000000000 /d/sub/g
            """);
        return name;
    }

    /// <summary>What a tar that the CLI writes to stdout holds, in tar's words.</summary>
    private async Task<string[]> Listing(string source, params string[] options) =>
        (await Programs.Run("sh", ["-c", $"\"$0\" cp {string.Join(' ', options)} \"$1\" - | tar -tvf - --numeric-owner", Docker.Path, source], environment: Docker.Variables)).Ok().Lines;

    private static string[] Names(string[] listing) => [.. listing.Select(line => line[(line.IndexOf(':', StringComparison.Ordinal) + 4)..])];

    [Fact]
    public async Task A_file_comes_out_and_goes_in()
    {
        var name = await Tree();
        var folder = Folder();
        await Docker.Ok("cp", $"{name}:/d/f", folder);
        Assert.Equal("content\n", await File.ReadAllTextAsync($"{folder}/f", Cancellation));
        await Docker.Ok("cp", $"{name}:d/f", $"{folder}/renamed");
        Assert.Equal("content\n", await File.ReadAllTextAsync($"{folder}/renamed", Cancellation));
        await File.WriteAllTextAsync($"{folder}/in", "from outside", Cancellation);
        await Docker.Ok("cp", $"{folder}/in", $"{name}:/d");
        await Docker.Ok("cp", $"{folder}/in", $"{name}:/d/other");
        await Docker.Ok("cp", $"{folder}/in", $"{name}:/dl/through");
        Assert.Equal("from outsidefrom outsidefrom outside", await Docker.Ok("exec", name, "cat", "/d/in", "/d/other", "/d/through"));
    }

    [Fact]
    public async Task Directories_follow_dockers_rules_of_trailing_slash_and_dot()
    {
        var name = await Tree();
        var folder = Folder();
        await Docker.Ok("cp", $"{name}:/d", $"{folder}/new");
        Assert.Equal("content\n", await File.ReadAllTextAsync($"{folder}/new/f", Cancellation));
        Directory.CreateDirectory($"{folder}/there");
        await Docker.Ok("cp", $"{name}:/d/", $"{folder}/there");
        Assert.Equal("inside\n", await File.ReadAllTextAsync($"{folder}/there/d/sub/g", Cancellation));
        await Docker.Ok("cp", $"{name}:/d/.", $"{folder}/there");
        Assert.Equal("inside\n", await File.ReadAllTextAsync($"{folder}/there/sub/g", Cancellation));
        await Docker.Ok("cp", $"{folder}/there", $"{name}:/d");
        await Docker.Ok("cp", $"{folder}/there/.", $"{name}:/fresh");
        await Docker.Ok("cp", $"{folder}/there/sub", $"{name}:/renamed");
        Assert.Equal("inside\ninside\ninside", await Docker.Ok("exec", name, "cat", "/d/there/sub/g", "/fresh/sub/g", "/renamed/g"));
    }

    [Fact]
    public async Task A_tar_names_its_entries_after_the_path()
    {
        var name = await Tree();
        Assert.Equal(["d/", "d/f", "d/fifo", "d/hard link to d/f", "d/l -> f", "d/sub/", "d/sub/g"], Names(await Listing($"{name}:/d")));
        Assert.Equal("dl -> /d", Names(await Listing($"{name}:/dl")).Single());
        Assert.Equal(["dl/", "dl/f", "dl/fifo", "dl/hard link to dl/f", "dl/l -> f", "dl/sub/", "dl/sub/g"], Names(await Listing($"{name}:/dl/")));
        Assert.Equal(["./", "./f"], Names(await Listing($"{name}:/dl/."))[..2]);
        Assert.Equal(["/", "/.dockerenv", "/bin/"], Names(await Listing($"{name}:/"))[..3]);
        Assert.Equal("dang -> nosuch/../x", Names(await Listing($"{name}:/dang")).Single());
        Assert.Contains(await Listing($"{name}:/d"), line => line.StartsWith("-rw------- 12/34", StringComparison.Ordinal) && line.Contains("2001-09-09", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Links_are_followed_when_asked()
    {
        var name = await Tree();
        var folder = Folder();
        await Docker.Ok("cp", $"{name}:/d/l", $"{folder}/link");
        Assert.Equal("f", new FileInfo($"{folder}/link").LinkTarget);
        await Docker.Ok("cp", "-L", $"{name}:/d/l", $"{folder}/file");
        Assert.Equal("content\n", await File.ReadAllTextAsync($"{folder}/file", Cancellation));
        Assert.Null(new FileInfo($"{folder}/file").LinkTarget);
        await Docker.Ok("cp", "-L", $"{name}:/dl", $"{folder}/tree");
        Assert.Equal("inside\n", await File.ReadAllTextAsync($"{folder}/tree/sub/g", Cancellation));
        File.CreateSymbolicLink($"{folder}/in", "file");
        await Docker.Ok("cp", "-L", $"{folder}/in", $"{name}:/followed");
        await Docker.Ok("cp", $"{folder}/in", $"{name}:/kept");
        Assert.Equal("content file", await Docker.Ok("exec", name, "sh", "-c", "echo $(cat /followed) $(readlink /kept)"));
    }

    [Fact]
    public async Task Owner_mode_and_times_come_along_and_with_a_the_owner_is_the_containers_user()
    {
        var name = await Tree("-u", "nobody");
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/f", "x", Cancellation);
        (await Programs.Run("sh", ["-c", $"chown 1234:1235 {folder}/f; chmod 4751 {folder}/f; touch -d @1000000000 {folder}/f"])).Ok();
        await Docker.Ok("cp", $"{folder}/f", $"{name}:/kept");
        await Docker.Ok("cp", "-a", $"{folder}/f", $"{name}:/archived");
        Assert.Equal("1234:1235 4751 1000000000", await Docker.Ok("exec", name, "stat", "-c", "%u:%g %a %Y", "/kept"));
        Assert.Equal("65534:65534 4751 1000000000", await Docker.Ok("exec", name, "stat", "-c", "%u:%g %a %Y", "/archived"));
        await Docker.Ok("cp", "-a", $"{name}:/kept", $"{folder}/out");
        Assert.Equal("4751 1000000000", (await Programs.Run("stat", ["-c", "%a %Y", $"{folder}/out"])).Ok().Line);
    }

    [Fact]
    public async Task Tars_stream_through_stdin_and_stdout_and_q_says_nothing()
    {
        var name = await Tree();
        var tar = Archive.Of(Archive.Folder("t/"), Archive.Text("t/x", "one"), Archive.Link("t/l", "x"), Archive.HardLink("t/h", "t/x"));
        (await Docker.RunWith(new MemoryStream(tar), "cp", "-q", "-", $"{name}:/d")).Ok();
        Assert.Equal("one one one", await Docker.Ok("exec", name, "sh", "-c", "echo $(cat /d/t/x) $(cat /d/t/l) $(cat /d/t/h)"));
        var quiet = (await Docker.Run("cp", "-q", $"{name}:/d/f", Folder())).Ok();
        Assert.Equal("", quiet.Output + quiet.Error);
        (await Programs.Run("sh", ["-c", "\"$0\" cp \"$1:/d\" - | \"$0\" cp - \"$1:/tmp\"", Docker.Path, name], environment: Docker.Variables)).Ok();
        Assert.Equal("inside", await Docker.Ok("exec", name, "cat", "/tmp/d/sub/g"));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("xz")]
    [InlineData("zstd")]
    public async Task Compressed_tars_are_unpacked(string program)
    {
        var name = await Sleeper();
        var file = Path.Combine(Folder(), "tar");
        await File.WriteAllBytesAsync(file, Archive.Of(Archive.Text("x", program)), Cancellation);
        (await Programs.Run("sh", ["-c", $"{program} -c {file} | \"$0\" cp - \"$1:/tmp\"", Docker.Path, name], environment: Docker.Variables)).Ok();
        Assert.Equal(program, await Docker.Ok("exec", name, "cat", "/tmp/x"));
    }

    [Fact]
    public async Task Containers_in_every_state_have_files()
    {
        var file = Path.Combine(Folder(), "in");
        await File.WriteAllTextAsync(file, "in", Cancellation);
        var created = Container("created");
        await Docker.Ok("create", "--name", created, "alpine", "cat", "/in");
        var stopped = Container("stopped");
        await Docker.Ok("run", "--name", stopped, "alpine", "sh", "-c", "echo wrote > /out");
        var paused = await Sleeper();
        await Docker.Ok("exec", paused, "sh", "-c", "echo wrote > /out");
        await Docker.Ok("pause", paused);
        foreach (var name in (string[])[created, stopped, paused])
        {
            await Docker.Ok("cp", file, $"{name}:/in");
            Assert.Equal(["-rw-r--r--"], (await Listing($"{name}:/in")).Select(line => line[..10]));
        }

        Assert.Single(await Listing($"{stopped}:/out"));
        Assert.Single(await Listing($"{paused}:/out"));
        await Docker.Ok("unpause", paused);
        Assert.Equal("in", await Docker.Ok("exec", paused, "cat", "/in"));
        Assert.Equal("in", await Docker.Ok("start", "-a", created));
        Assert.Equal("A /in", await Docker.Ok("diff", created));
    }

    [Fact]
    public async Task A_copy_between_paths_of_a_container_that_does_not_run_goes_on_at_both_ends()
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "alpine", "sh", "-c", "mkdir /a /b; head -c 20000000 /dev/zero > /a/large");
        (await Programs.Run("sh", ["-c", "\"$0\" cp \"$1:/a\" - | \"$0\" cp - \"$1:/b\"", Docker.Path, name], environment: Docker.Variables)).Ok();
        Assert.Contains(await Listing($"{name}:/b/a/large"), line => line.Contains(" 20000000 ", StringComparison.Ordinal));
        await Docker.Ok("start", name);
    }

    [Fact]
    public async Task Volumes_binds_and_tmpfs_are_part_of_the_tree()
    {
        var bind = Folder();
        var volume = "v" + Guid.NewGuid().ToString("N")[..8];
        var file = Path.Combine(Folder(), "in");
        await File.WriteAllTextAsync(file, "in", Cancellation);
        var name = await Sleeper("-v", $"{volume}:/vol", "-v", $"{bind}:/mnt/bind", "--tmpfs", "/scratch");
        Cleanup(() => Docker.Run("volume", "rm", volume));
        await Docker.Ok("exec", name, "sh", "-c", "echo volume > /vol/v; echo scratch > /scratch/s");
        foreach (var target in (string[])["/vol", "/mnt/bind", "/scratch"])
        {
            await Docker.Ok("cp", file, $"{name}:{target}");
        }

        Assert.Equal("in", await File.ReadAllTextAsync($"{bind}/in", Cancellation));
        Assert.Equal("in in", await Docker.Ok("exec", name, "sh", "-c", "echo $(cat /vol/in) $(cat /scratch/in)"));
        Assert.Equal(["mnt/", "mnt/bind/", "mnt/bind/in"], Names(await Listing($"{name}:/mnt")));
        var whole = Names(await Listing($"{name}:/"));
        Assert.Contains("/vol/v", whole);
        Assert.Contains("/scratch/s", whole);
        Assert.Contains("/proc/", whole);
        Assert.DoesNotContain(whole, entry => entry.StartsWith("/proc/", StringComparison.Ordinal) && entry.Length > 6);
        Assert.DoesNotContain(whole, entry => entry.StartsWith("/sys/", StringComparison.Ordinal) && entry.Length > 5);
        Assert.DoesNotContain(whole, entry => entry.StartsWith("/dev/", StringComparison.Ordinal) && entry.Length > 5);

        await Docker.Ok("stop", "-t", "0", name);
        await File.WriteAllTextAsync(file, "again", Cancellation);
        await Docker.Ok("cp", file, $"{name}:/mnt/bind");
        await Docker.Ok("cp", file, $"{name}:/vol");
        Assert.Equal("again", await File.ReadAllTextAsync($"{bind}/in", Cancellation));
        Assert.Contains("vol/v", Names(await Listing($"{name}:/vol")));
        (await Docker.Run("cp", $"{name}:/scratch/s", Folder())).Exited(1).Says("Could not find the file /scratch/s");
        await Docker.Ok("start", name);
        Assert.Equal("again", await Docker.Ok("exec", name, "cat", "/vol/in"));
    }

    [Fact]
    public async Task Parts_of_volumes_and_images_are_mounted_for_who_copies_too()
    {
        var volume = "v" + Guid.NewGuid().ToString("N")[..8];
        Cleanup(() => Docker.Run("volume", "rm", volume));
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/v", "alpine", "sh", "-c", "mkdir /v/part; echo part > /v/part/p");
        var name = Container();
        await Docker.Ok(
            "create", "--name", name, "--mount", $"type=volume,src={volume},dst=/part,volume-subpath=part", "--mount", "type=image,src=alpine,dst=/image", "alpine", "cat", "/part/in");
        Assert.Equal(["part/", "part/p"], Names(await Listing($"{name}:/part")));
        Assert.Equal("passwd", Names(await Listing($"{name}:/image/etc/passwd")).Single());
        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Text("in", "into the part"))), "cp", "-", $"{name}:/part")).Ok();
        Assert.Equal("into the part", await Docker.Ok("run", "--rm", "-v", $"{volume}:/v", "alpine", "cat", "/v/part/in"));
        Assert.Equal("into the part", await Docker.Ok("start", "-a", name));
    }

    [Fact]
    public async Task Copies_are_events()
    {
        var name = await Tree();
        var start = DateTimeOffset.UtcNow.AddSeconds(-1).ToUnixTimeSeconds();
        await Docker.Ok("cp", $"{name}:/d/f", Folder());
        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Text("x", "x"))), "cp", "-", $"{name}:/tmp")).Ok();
        await Docker.Until(
            text => text.Contains("archive-path", StringComparison.Ordinal) && text.Contains("extract-to-dir", StringComparison.Ordinal),
            ["events", "--since", $"{start}", "--until", $"{DateTimeOffset.UtcNow.AddSeconds(1).ToUnixTimeSeconds()}", "--filter", $"container={name}", "--format", "{{.Action}}"]);
    }

    [Fact]
    public async Task What_is_read_only_is_not_written_to()
    {
        var file = Path.Combine(Folder(), "in");
        await File.WriteAllTextAsync(file, "in", Cancellation);
        var bind = Folder();
        var name = await Sleeper("--read-only", "--tmpfs", "/scratch", "-v", $"{bind}:/ro:ro", "-v", $"{Folder()}:/rw");
        foreach (var running in (bool[])[true, false])
        {
            (await Docker.Run("cp", file, $"{name}:/etc")).Exited(1).Says("container rootfs is marked read-only");
            (await Docker.Run("cp", file, $"{name}:/ro")).Exited(1).Says("mounted volume is marked read-only");
            await Docker.Ok("cp", file, $"{name}:/rw");
            await Docker.Ok("cp", $"{name}:/etc/passwd", Folder());
            if (running)
            {
                await Docker.Ok("cp", file, $"{name}:/scratch");
                Assert.Equal("in", await Docker.Ok("exec", name, "cat", "/scratch/in"));
                await Docker.Ok("stop", "-t", "0", name);
            }
        }

        Assert.Empty(Directory.GetFileSystemEntries(bind));
    }

    [Fact]
    public async Task Errors_are_dockers()
    {
        var name = await Tree();
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/in", "in", Cancellation);
        Directory.CreateDirectory($"{folder}/dir");
        (await Docker.Run("cp", $"{name}:/nosuch", folder)).Exited(1).Says($"Error response from daemon: Could not find the file /nosuch in container {name}");
        (await Docker.Run("cp", $"{name}:/d/f/", folder)).Exited(1).Says("Error response from daemon: lstat /d/f/: not a directory");
        (await Docker.Run("cp", "nosuch:/x", folder)).Exited(1).Says("No such container: nosuch");
        (await Docker.Run("cp", $"{folder}/in", $"{name}:/no/such")).Exited(1).Says($"Could not find the file /no in container {name}");
        (await Docker.Run("cp", $"{folder}/in", $"{name}:/nosuch/")).Exited(1).Says("no such directory");
        (await Docker.Run("cp", $"{folder}/dir", $"{name}:/d/f")).Exited(1).Says("cannot copy directory");
        await Docker.Ok("cp", $"{folder}/in", $"{name}:/d/sub-file");
        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Text("sub", "x"))), "cp", "-", $"{name}:/d")).Exited(1).Says("cannot overwrite directory \"/d/sub\" with non-directory");
        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Folder("f/"))), "cp", "-", $"{name}:/d")).Exited(1).Says("cannot overwrite non-directory \"/d/f\" with directory");
        (await Docker.RunWith("no tar at all, but longer than nothing", "cp", "-", $"{name}:/d")).Exited(1).Says("unexpected EOF");
    }

    [Fact]
    public async Task A_mounted_file_is_written_to_where_it_is()
    {
        var name = await Sleeper();
        var file = Path.Combine(Folder(), "hosts");
        await File.WriteAllTextAsync(file, "127.0.0.1 written\n", Cancellation);
        await Docker.Ok("cp", file, $"{name}:/etc/hosts");
        Assert.Equal("127.0.0.1 written", await Docker.Ok("exec", name, "cat", "/etc/hosts"));
        Assert.Contains(" /etc/hosts ", await Docker.Ok("exec", name, "cat", "/proc/mounts"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_status_of_a_path_is_dockers()
    {
        var name = await Tree();
        await Docker.Ok("exec", name, "chmod", "4755", "/d/f");
        using var http = new EngineHttp(Docker.Socket);
        Assert.Equal("""{"name":"d","size":4096,"mode":2147484141}""", await Stat(http, name, "/d"));
        Assert.Equal("""{"name":"f","size":8,"mode":8389101}""", await Stat(http, name, "/d/f"));
        Assert.Equal("""{"name":".","size":4096,"mode":2147484141}""", await Stat(http, name, "/d/."));
        Assert.Equal("""{"name":"l","size":1,"mode":134218239,"linkTarget":"/d/f"}""", await Stat(http, name, "/d/l"));
        Assert.Equal("""{"name":"dang","size":11,"mode":134218239,"linkTarget":"/x"}""", await Stat(http, name, "/dang"));
        Assert.Equal("""{"name":"fifo","size":0,"mode":33554852}""", await Stat(http, name, "/d/fifo"));
        Assert.Equal("""{"name":"null","size":0,"mode":69206454}""", await Stat(http, name, "/dev/null"));
        foreach (var (path, status) in ((string, int)[])[("", 400), ("/nosuch", 404), ("/d/f/", 400), ("/proc/1", 404), ("/d/f%00", 400)])
        {
            Assert.Equal(status, (await http.Get($"/containers/{name}/archive?path={path}")).Status);
        }
    }

    private static async Task<string> Stat(EngineHttp http, string name, string path)
    {
        var head = await http.Raw(Encoding.ASCII.GetBytes($"HEAD /containers/{name}/archive?path={path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"));
        var header = head.Split("\r\n").Single(line => line.StartsWith("X-Docker-Container-Path-Stat: ", StringComparison.OrdinalIgnoreCase));
        var json = System.Text.Json.Nodes.JsonNode.Parse(Convert.FromBase64String(header[(header.IndexOf(' ', StringComparison.Ordinal) + 1)..]))!.AsObject();
        Assert.True(DateTimeOffset.TryParse(json["mtime"]!.ToString(), out _));
        json.Remove("mtime");
        if (json["linkTarget"]!.ToString().Length == 0)
        {
            json.Remove("linkTarget");
        }

        return json.ToJsonString();
    }
}
