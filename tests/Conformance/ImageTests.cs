using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>import, load, save, tag, rmi, images, inspect, history, with images made by the tests.</summary>
public sealed class ImageTests(SharedEngine engine) : EngineTest(engine)
{
    private async Task<string> Load(byte[] archive) => (await Docker.RunWith(new MemoryStream(archive), "load")).Ok().Output;

    [Theory]
    [InlineData("cat")]
    [InlineData("gzip -c")]
    [InlineData("xz -c")]
    [InlineData("zstd -c")]
    public async Task Import_of_a_root_file_system_plain_and_compressed(string compressor)
    {
        Requirement.Program(compressor.Split(' ')[0], compressor.Split(' ')[0]);
        var image = Image();
        var file = Path.Combine(Folder(), "rootfs.tar");
        await File.WriteAllBytesAsync(file, Archive.Of(Archive.Folder("etc/"), Archive.Text("etc/mark", "imported\n")), Cancellation);
        (await Programs.Run("sh", ["-c", $"{compressor} {file} > {file}.packed"])).Ok();
        var id = await Docker.Ok("import", "-c", "CMD [\"/bin/x\"]", "-c", "ENV A=b", "-m", "made by a test", file + ".packed", image);
        Assert.Matches("^sha256:[0-9a-f]{64}$", id);
        Assert.Equal($"{id} [/bin/x] [A=b] made by a test", await Docker.Inspect(image, "{{.Id}} {{.Config.Cmd}} {{.Config.Env}} {{.Comment}}"));
        Assert.Equal("1", await Docker.Inspect(image, "{{len .RootFS.Layers}}"));
    }

    [Fact]
    public async Task Import_from_an_address()
    {
        var image = Image();
        var address = Serve(path => path switch
        {
            "/rootfs.tar" => (200, Archive.Of(Archive.Folder("etc/"), Archive.Text("etc/mark", "imported\n"))),
            "/text" => (200, Encoding.ASCII.GetBytes(new string('x', 2000))),
            _ => (404, "nothing here\n"u8.ToArray()),
        });
        var lines = (await Docker.Run("import", "-c", "ENV A=b", $"{address}/rootfs.tar", image)).Ok().Lines;
        Assert.Equal(2, lines.Length);
        Assert.Equal($"Downloading from {address}/rootfs.tar", lines[0]);
        Assert.Equal($"{lines[1]} [A=b] Imported from {address}/rootfs.tar", await Docker.Inspect(image, "{{.Id}} {{.Config.Env}} {{.Comment}}"));
        Assert.Equal("1", await Docker.Inspect(image, "{{len .RootFS.Layers}}"));

        var before = await Docker.Ok("images", "-aq");
        (await Docker.Run("import", $"{address}/nothing")).Exited(1).Says($"failed to GET {address}/nothing with status 404 Not Found: nothing here");
        (await Docker.Run("import", $"{address}/text")).Exited(1).Says("archive/tar: invalid tar header");
        (await Docker.Run("import", "http://127.0.0.1:1/x")).Exited(1).Says("Get \"http://127.0.0.1:1/x\": ");
        (await Docker.Run("import", "ftp://127.0.0.1/x")).Exited(1);
        Assert.Equal(before, await Docker.Ok("images", "-aq"));
    }

    /// <summary>A web server of this host that ends with the test; its address.</summary>
    private string Serve(Func<string, (int Status, byte[] Body)> answer)
    {
        HttpListener listener = new();
        for (var port = 20000 + Random.Shared.Next(10000); ; port++)
        {
            listener.Prefixes.Clear();
            listener.Prefixes.Add($"http://127.0.0.1:{port}/");
            try
            {
                listener.Start();
                Cleanup(() =>
                {
                    listener.Close();
                    return Task.CompletedTask;
                });
                _ = AnswerAsync();
                return $"http://127.0.0.1:{port}";
            }
            catch (HttpListenerException)
            {
                // Somebody has the port.
                listener = new HttpListener();
            }
        }

        async Task AnswerAsync()
        {
            while (listener.IsListening)
            {
                var context = await listener.GetContextAsync();
                (context.Response.StatusCode, var body) = answer(context.Request.Url!.AbsolutePath);
                await context.Response.OutputStream.WriteAsync(body);
                context.Response.Close();
            }
        }
    }

    [Fact]
    public async Task Load_prints_the_names_and_runs()
    {
        var image = Image();
        var output = await Load(Archive.Image(image, [await BusyboxLayer(), Archive.Of(Archive.Text("mark", "second layer\n"))]));
        Assert.Contains($"Loaded image: {image}\n", output, StringComparison.Ordinal);
        Assert.Equal("second layer", await Docker.Ok("run", "--rm", image, "/bin/busybox", "cat", "/mark"));
        Assert.Equal("2", await Docker.Inspect(image, "{{len .RootFS.Layers}}"));
        Assert.Equal("linux/amd64", await Docker.Inspect(image, "{{.Os}}/{{.Architecture}}"));
    }

    [Fact]
    public async Task Save_and_load_give_the_same_image()
    {
        var image = Image();
        await Load(Archive.Image(image, [Archive.Of(Archive.Text("a", "1")), Archive.Of(Archive.Text("b", "2"))]));
        var id = await Docker.Inspect(image, "{{.Id}}");
        var file = Path.Combine(Folder(), "saved.tar");
        await Docker.Ok("save", "-o", file, image);
        await Docker.Ok("rmi", image);
        (await Docker.Run("image", "inspect", image)).Exited(1);
        Assert.Contains($"Loaded image: {image}", await Docker.Ok("load", "-i", file), StringComparison.Ordinal);
        Assert.Equal(id, await Docker.Inspect(image, "{{.Id}}"));
    }

    [Fact]
    public async Task Saved_archive_is_read_by_skopeo()
    {
        Requirement.Program("skopeo", "skopeo");
        var file = Path.Combine(Folder(), "saved.tar");
        await Docker.Ok("save", "-o", file, "alpine");
        var config = JsonNode.Parse((await Programs.Run("skopeo", ["inspect", "--config", $"docker-archive:{file}"])).Ok().Output)!;
        Assert.Equal(await Docker.Inspect("alpine", "{{index .RootFS.Layers 0}}"), (string?)config["rootfs"]!["diff_ids"]![0]);
    }

    [Fact]
    public async Task Tags_are_names_of_one_image_and_the_last_removes_it()
    {
        var (one, two) = (Image("one"), Image("two"));
        await Load(Archive.Image(one, [Archive.Of(Archive.Text("unique", one))]));
        await Docker.Ok("tag", one, two);
        Assert.Equal(await Docker.Inspect(one, "{{.Id}}"), await Docker.Inspect(two, "{{.Id}}"));
        Assert.Equal($"Untagged: {one}", await Docker.Ok("rmi", one));
        var removed = await Docker.Ok("rmi", two);
        Assert.StartsWith($"Untagged: {two}\nDeleted: sha256:", removed, StringComparison.Ordinal);
        (await Docker.Run("rmi", two)).Exited(1).Says($"No such image: {two}");
    }

    [Fact]
    public async Task Image_in_use_is_not_removed()
    {
        var image = Image();
        await Load(Archive.Image(image, [await BusyboxLayer()]));
        var name = Container();
        await Docker.Ok("create", "--name", name, image);
        (await Docker.Run("rmi", image)).Exited(1).Says("conflict: unable to remove repository reference");
        await Docker.Ok("rm", name);
        await Docker.Ok("rmi", image);
    }

    [Fact]
    public async Task Layers_shared_with_another_image_stay()
    {
        var (one, two) = (Image("one"), Image("two"));
        var shared = await BusyboxLayer();
        await Load(Archive.Image(one, [shared, Archive.Of(Archive.Text("one", "1"))]));
        await Load(Archive.Image(two, [shared, Archive.Of(Archive.Text("two", "2"))]));
        await Docker.Ok("rmi", one);
        Assert.Equal("2", await Docker.Ok("run", "--rm", two, "/bin/busybox", "cat", "/two"));
    }

    [Fact]
    [RunOption("--entrypoint")]
    public async Task Configuration_of_the_image_is_the_containers_default()
    {
        var image = Image();
        await Load(Archive.Image(image, [await BusyboxLayer()], config => config["config"] = new JsonObject
        {
            ["Entrypoint"] = new JsonArray("/bin/busybox", "echo"),
            ["Cmd"] = new JsonArray("from", "image"),
            ["Env"] = new JsonArray("E=image"),
            ["WorkingDir"] = "/made",
            ["User"] = "7",
            ["StopSignal"] = "SIGQUIT",
            ["Labels"] = new JsonObject { ["l"] = "image" },
            ["ExposedPorts"] = new JsonObject { ["80/tcp"] = new JsonObject() },
        }));
        Assert.Equal("from image", await Docker.Ok("run", "--rm", image));
        Assert.Equal("other", await Docker.Ok("run", "--rm", image, "other"));
        Assert.Equal("image /made 7", await Docker.Ok("run", "--rm", "--entrypoint", "/bin/busybox", image, "sh", "-c", "echo $E $PWD $(busybox id -u)"));
        var name = Container();
        await Docker.Ok("create", "--name", name, "-e", "F=run", "-l", "m=run", image);
        Assert.Equal("[F=run E=image] map[l:image m:run] SIGQUIT map[80/tcp:{}]", await Docker.Inspect(name, "{{.Config.Env}} {{.Config.Labels}} {{.Config.StopSignal}} {{.Config.ExposedPorts}}"));
    }

    [Fact]
    public async Task Whiteouts_and_replacements_across_layers()
    {
        var image = Image();
        await Load(Archive.Image(image, [
            await BusyboxLayer(),
            Archive.Of(Archive.Folder("d/"), Archive.Text("d/a", "a"), Archive.Text("d/b", "b"), Archive.Folder("o/"), Archive.Text("o/old", "old"), Archive.Link("link", "d/a"), Archive.Text("file", "f")),
            Archive.Of(Archive.Text("d/.wh.a", ""), Archive.Folder("o/"), Archive.Text("o/.wh..wh..opq", ""), Archive.Text("o/new", "new"), Archive.Text("link", "a file now"), Archive.Folder("file/"), Archive.Text("file/in", "in")),
        ]));
        var tree = await Docker.Ok("run", "--rm", image, "/bin/busybox", "sh", "-c", "cd /; busybox find d o link file | busybox sort; busybox cat link d/b");
        Assert.Equal("d\nd/b\nfile\nfile/in\nlink\no\no/new\na file nowb", tree);
    }

    [Fact]
    public async Task History_and_listing()
    {
        var image = Image();
        await Load(Archive.Image(image, [Archive.Of(Archive.Text("a", "12345"))], config => config["history"] = new JsonArray(
            new JsonObject { ["created_by"] = "RUN one", ["comment"] = "c" },
            new JsonObject { ["created_by"] = "ENV x", ["empty_layer"] = true })));
        Assert.Equal("ENV x 0B\nRUN one 5B", await Docker.Ok("history", "--no-trunc", "--format", "{{.CreatedBy}} {{.Size}}", image));
        var id = await Docker.Inspect(image, "{{.Id}}");
        Assert.Equal($"{image} {id[7..19]}", await Docker.Ok("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", image));
        Assert.Equal(id, await Docker.Ok("images", "-q", "--no-trunc", "--filter", $"reference={image}"));
    }

    [Fact]
    public async Task Two_containers_share_the_layers_and_write_apart()
    {
        const string digest = "cd /; find bin etc -type f ! -name hostname ! -name hosts ! -name resolv.conf | sort | xargs cat | sha256sum";
        var before = await Docker.Ok("run", "--rm", "alpine", "sh", "-c", digest);
        var (one, two) = (await Sleeper(), await Sleeper());
        await Docker.Ok("exec", one, "sh", "-c", "echo one > /etc/passwd; rm /etc/group; echo one > /new");
        Assert.Equal("root", await Docker.Ok("exec", two, "id", "-un"));
        await Docker.Ok("exec", two, "test", "-e", "/etc/group");
        (await Docker.Run("exec", two, "test", "-e", "/new")).Exited(1);
        Assert.Equal(before, await Docker.Ok("run", "--rm", "alpine", "sh", "-c", digest));
    }

    /// <summary>A layer with Debian's static busybox as its only program.</summary>
    private static async Task<byte[]> BusyboxLayer()
    {
        Requirement.Check(File.Exists("/bin/busybox"), "needs busybox-static: apt-get install busybox-static");
        var program = Archive.Bytes("bin/busybox", await File.ReadAllBytesAsync("/bin/busybox", Cancellation));
        program.Mode = (UnixFileMode)0x1ED;
        return Archive.Of(Archive.Folder("bin/"), program, Archive.Link("bin/true", "busybox"), Archive.Link("bin/sh", "busybox"));
    }
}
