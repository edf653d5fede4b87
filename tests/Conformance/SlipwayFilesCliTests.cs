using System.Net.Sockets;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`slipway cp`, `stats`, `port` and `checkpoint`: what docker says and does.</summary>
public sealed class SlipwayFilesCliTests(SharedEngine engine) : EngineTest(engine)
{
    private const string Tree = "mkdir -p /tree/sub /there; echo a > /tree/a; echo b > /tree/sub/b; ln /tree/a /tree/hard; ln -s a /tree/link; chown -R 7:8 /tree; ln -s /etc/hostname /out";

    private Task<CliResult> Slipway(params string[] arguments) => SlipwayWith(null, arguments);

    private Task<CliResult> SlipwayWith(byte[]? input, params string[] arguments)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        return Programs.Run(Repository.Executable!, arguments, input is null ? null : new MemoryStream(input), environment: new Dictionary<string, string> { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" });
    }

    /// <summary>Both tools copy the same thing to the same place of two folders (and two containers), which then hold the same.</summary>
    [Theory]
    [InlineData("NAME:/tree", "FOLDER")]
    [InlineData("NAME:/tree/.", "FOLDER/present")]
    [InlineData("NAME:/tree", "FOLDER/renamed")]
    [InlineData("NAME:/tree/", "FOLDER/present/")]
    [InlineData("NAME:/tree/a", "FOLDER/present")]
    [InlineData("NAME:/tree/a", "FOLDER/b")]
    [InlineData("NAME:tree/link", "FOLDER/link")]
    [InlineData("-L", "NAME:/tree/link", "FOLDER/")]
    [InlineData("-L", "NAME:/tree/link", "FOLDER/followed")]
    public async Task What_comes_out_lies_where_docker_lays_it(params string[] arguments)
    {
        var name = await Sleeper();
        await Docker.Ok("exec", name, "sh", "-c", Tree);
        var (ours, dockers) = (Folder(), Folder());
        foreach (var folder in (string[])[ours, dockers])
        {
            Directory.CreateDirectory(Path.Combine(folder, "present"));
        }

        (await Slipway(["cp", .. Filled(arguments, name, ours)])).Ok();
        await Docker.Ok(["cp", .. Filled(arguments, name, dockers)]);
        var listed = await Listed(dockers);
        Assert.NotEmpty(listed);
        Assert.Equal(listed, await Listed(ours));
    }

    /// <summary>As Docker documents <c>-a</c>; its own client leaves the caller's ids when it copies out.</summary>
    [Theory]
    [InlineData("7 8", "-a")]
    [InlineData("0 0")]
    public async Task Owners_are_kept_where_that_is_asked_for(string owner, params string[] options)
    {
        var (name, folder) = (await Sleeper(), Folder());
        await Docker.Ok("exec", name, "sh", "-c", "echo x > /owned && chown 7:8 /owned");
        (await Slipway(["cp", .. options, $"{name}:/owned", folder])).Ok();
        Assert.Equal(owner, (await Programs.Run("stat", ["-c", "%u %g", $"{folder}/owned"])).Ok().Line);
    }

    [Theory]
    [InlineData("FOLDER/tree", "NAME:/")]
    [InlineData("FOLDER/tree", "NAME:/there")]
    [InlineData("FOLDER/tree", "NAME:/there/renamed")]
    [InlineData("FOLDER/tree/.", "NAME:/there")]
    [InlineData("FOLDER/tree/a", "NAME:/there/b")]
    [InlineData("FOLDER/tree/link", "NAME:/there/")]
    [InlineData("-L", "FOLDER/tree/link", "NAME:/there/")]
    [InlineData("-a", "FOLDER/tree", "NAME:there/owned")]
    public async Task What_goes_in_lies_where_docker_lays_it(params string[] arguments)
    {
        var folder = Folder();
        (await Programs.Run("sh", ["-c", $"mkdir -p {folder}/tree/sub; cd {folder}/tree; echo a > a; echo b > sub/b; ln a hard; ln -s a link; chown -R 7:8 {folder}/tree"])).Ok();
        string[] listings = ["", ""];
        for (var i = 0; i < 2; i++)
        {
            var name = Container($"c{i}");
            await Docker.Ok("run", "-d", "--name", name, "--tmpfs", "/there", "alpine", "sleep", "1000");
            string[] command = ["cp", .. Filled(arguments, name, folder)];
            (i == 0 ? await Docker.Run(command) : await Slipway(command)).Ok();
            listings[i] = await Docker.Ok("exec", name, "sh", "-c", "find /there /tree 2>/dev/null | sort | xargs ls -ldn | awk '{ print $1, $3, $4, $5, $9, $11 }' | grep -v '^d.* /there $'");
        }

        Assert.NotEmpty(listings[0]);
        Assert.Equal(listings[0], listings[1]);
    }

    [Fact]
    public async Task Archives_go_through_the_standard_streams()
    {
        var name = await Sleeper();
        await Docker.Ok("exec", name, "sh", "-c", Tree);
        var file = Path.Combine(Folder(), "tree.tar");
        (await Programs.Run("sh", ["-c", $"SLIPWAY_HOST=unix://{Docker.Socket} {Repository.Executable} cp {name}:/tree - > {file}"])).Ok();
        Assert.Equal("a\nb\n", (await Programs.Run("tar", ["-xOf", file, "tree/a", "tree/sub/b"])).Ok().Output);
        (await SlipwayWith(await File.ReadAllBytesAsync(file, Cancellation), "cp", "-", $"{name}:/there")).Ok();
        Assert.Equal("b", await Docker.Ok("exec", name, "cat", "/there/tree/sub/b"));
        (await SlipwayWith([], "cp", "-", $"{name}:/tree/a")).Exited(1).Says("must be a directory");
    }

    [Fact]
    public async Task What_cannot_be_copied_is_told()
    {
        var name = await Sleeper();
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/file", "kept", Cancellation);
        (await Slipway("cp", $"{name}:/nosuch", folder)).Exited(1).Says("Could not find the file /nosuch in container");
        (await Slipway("cp", "nosuch:/etc", folder)).Exited(1).Says("No such container: nosuch");
        (await Slipway("cp", $"{name}:/etc", $"{folder}/file")).Exited(1).Says("cannot copy directory");
        (await Slipway("cp", $"{name}:/etc/hosts", $"{folder}/missing/")).Exited(1).Says("no such directory");
        (await Slipway("cp", $"{name}:/etc/hosts", $"{folder}/missing/there")).Exited(1).Says($"invalid output path: directory \"{folder}/missing\" does not exist");
        (await Slipway("cp", $"{folder}/missing", $"{name}:/")).Exited(1).Says("no such file or directory");
        (await Slipway("cp", folder, folder)).Exited(1).Says("must specify at least one container source");
        (await Slipway("cp", $"{name}:/etc", $"{name}:/tmp")).Exited(1).Says("copying between containers is not supported");
        Assert.Equal("kept", await File.ReadAllTextAsync($"{folder}/file", Cancellation));
        Assert.Equal([$"{folder}/file"], Directory.GetFileSystemEntries(folder));
    }

    /// <summary>A link that a container leaves in the way of its own files leads nowhere on the host that it was not copied to.</summary>
    [Fact]
    public async Task CVE_2018_15664_an_archive_writes_through_no_link()
    {
        var (folder, victim, scratch) = (Folder(), Folder(), Folder());
        var tar = (await Programs.Run("sh", ["-c",
            $"cd {scratch}; mkdir -p tree; ln -s {victim} tree/out; tar -cf a.tar tree; rm tree/out; mkdir tree/out; echo bad > tree/out/file; tar -rf a.tar tree/out/file; tar -rPf a.tar --transform 's,^tree/out/,tree/../../../../../../../..{victim}/,' tree/out/file; base64 -w0 a.tar"])).Ok().Output;
        using HostileEngine hostile = new(Path.Combine(scratch, "s"), Convert.FromBase64String(tar));
        await Programs.Run(Repository.Executable!, ["-H", $"unix://{hostile.Socket}", "cp", "evil:/tree", folder]);
        Assert.True(hostile.Asked);
        Assert.Empty(Directory.GetFileSystemEntries(victim));
        Assert.Equal(victim, new FileInfo($"{folder}/tree/out").LinkTarget);
    }

    [Fact]
    public async Task Port_and_stats_show_what_docker_shows()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-m", "64m", "-p", "127.0.0.1::80", "-p", "127.0.0.1::9/udp", "alpine", "sleep", "1000");
        Assert.Equal(await Docker.Ok("port", name), (await Slipway("port", name)).Ok().Output.Trim());
        Assert.Equal(await Docker.Ok("port", name, "80"), (await Slipway("port", name, "80")).Ok().Line);
        Assert.Equal(await Docker.Ok("port", name, "9/udp"), (await Slipway("container", "port", name, "9/udp")).Ok().Line);
        (await Slipway("port", name, "81")).Exited(1).Says($"No public port '81/tcp' published for {name}");

        const string steady = "{{.Container}} {{.Name}} {{.ID}} {{.PIDs}} {{.BlockIO}}";
        Assert.Equal(await Docker.Ok("stats", "--no-stream", "--format", steady, name), (await Slipway("stats", "--no-stream", "--format", steady, name)).Ok().Line);
        var table = (await Slipway("stats", "--no-stream", name)).Ok().Output.Split('\n');
        Assert.Matches("^CONTAINER ID +NAME +CPU % +MEM USAGE / LIMIT +MEM % +NET I/O +BLOCK I/O +PIDS$", table[0]);
        Assert.Matches($"^[0-9a-f]{{12}} +{name} +[0-9.]+% +[0-9.]+[KM]iB / 64MiB +[0-9.]+% +[0-9.]+k?B / [0-9.]+k?B +[0-9.]+.?B / [0-9.]+.?B +1$", table[1]);
        (await Slipway("stats", "--no-stream", "--format", "{{.Name}}")).Ok().Says(name);
        (await Slipway("stats", "--no-stream", "nosuch")).Exited(1).Says("No such container: nosuch");
    }

    [Fact]
    public async Task Checkpoints_are_experimental()
    {
        var name = await Sleeper();
        (await Slipway("checkpoint", "create", name, "one")).Exited(1).Says("This experimental feature is disabled by default");
        (await Slipway("checkpoint", "ls", name)).Exited(1).Says("This experimental feature is disabled by default");
        (await Slipway("checkpoint", "rm", name, "one")).Exited(1).Says("This experimental feature is disabled by default");
        (await Slipway("start", "--checkpoint", "one", name)).Exited(1);
    }

    private static string[] Filled(string[] arguments, string name, string folder) =>
        [.. arguments.Select(argument => argument.Replace("NAME", name, StringComparison.Ordinal).Replace("FOLDER", folder, StringComparison.Ordinal))];

    private static async Task<string> Listed(string folder) =>
        (await Programs.Run("sh", ["-c", $"cd {folder}; find . -mindepth 1 | sort | xargs ls -ldn | awk '{{ print $1, $2, $3, $4, $5, $9, $11 }}'; find . -type f | sort | xargs cat"])).Ok().Output;

    /// <summary>Answers every request with an archive.</summary>
    private sealed class HostileEngine : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        public HostileEngine(string socket, byte[] archive)
        {
            Socket = socket;
            _listener.Bind(new UnixDomainSocketEndPoint(socket));
            _listener.Listen();
            _ = ServeAsync(archive);
        }

        public string Socket { get; }

        public bool Asked { get; private set; }

        public void Dispose() => _listener.Dispose();

        private async Task ServeAsync(byte[] archive)
        {
            // Go's os.ModeDir.
            var stat = Convert.ToBase64String("""{"name":"tree","size":0,"mode":2147484141,"mtime":"2026-01-01T00:00:00Z","linkTarget":""}"""u8);
            using var client = await _listener.AcceptAsync(Cancellation);
            await client.ReceiveAsync(new byte[65536], Cancellation);
            Asked = true;
            await client.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {stat}\r\nContent-Length: {archive.Length}\r\n\r\n"), Cancellation);
            await client.SendAsync(archive, Cancellation);
            client.Shutdown(SocketShutdown.Send);
            await client.ReceiveAsync(new byte[1], Cancellation);
        }
    }
}
