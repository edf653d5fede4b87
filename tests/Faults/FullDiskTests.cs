using System.Formats.Tar;
using System.IO.Compression;
using System.Text.RegularExpressions;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Faults;

/// <summary>A disk that fills up in the middle: a clear error, no half image, and the space is given back.</summary>
public sealed class FullDiskTests : IAsyncLifetime
{
    private const int Megabytes = 64;
    private const int TooLarge = 80 << 20;

    private readonly Engine _engine = new("full");
    private SmallDisk _disk = null!;
    private string[] _images = [];
    private long _free;

    private Docker Docker => _engine.Docker;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _disk = await SmallDisk.Mount(_engine.DataRoot, Megabytes);
        await _engine.Start();
        await AlpineImage.Import(Docker);
        await Docker.Ok("run", "--rm", "alpine", "true");
        await Remember();
    }

    public async ValueTask DisposeAsync()
    {
        _disk.Relieve();
        await _engine.DisposeAsync();
        await _disk.DisposeAsync();
    }

    [Fact]
    public async Task Load()
    {
        Fails(await Docker.RunWith(new MemoryStream(Archive.Image("large:1", [Random(1 << 20), Random(TooLarge)])), "load"));
        await NothingIsLeft();
    }

    [Fact]
    public async Task Copy()
    {
        await Docker.Ok("create", "--name", "copy", "alpine", "true");
        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Bytes("small", Random(1000)), Archive.Bytes("large", Random(TooLarge)))), "cp", "-", "copy:/tmp"))
            .Exited(1).Says("no space left on device");

        // What was unpacked before stays, as after any copy that is cut; the container goes with all of it.
        await Docker.Ok("cp", "copy:/tmp/small", "-");
        await Docker.Ok("rm", "copy");
        await NothingIsLeft();
    }

    [Fact]
    public async Task Import()
    {
        var file = Path.Combine(Path.GetTempPath(), $"slipway-large-{Environment.ProcessId}.tar");
        await File.WriteAllBytesAsync(file, Random(TooLarge), Cancellation);
        try
        {
            Fails(await Docker.Run("import", file, "large:1"));
        }
        finally
        {
            File.Delete(file);
        }
        await NothingIsLeft();
    }

    [Fact]
    public async Task Pull()
    {
        Requirement.Program("skopeo", "skopeo");
        await using var registry = new DebianRegistry();
        await registry.InitializeAsync();
        var archive = Path.Combine(Path.GetTempPath(), $"slipway-large-{Environment.ProcessId}.tar");
        await File.WriteAllBytesAsync(archive, Archive.Image("large:1", [Random(1 << 20), Random(TooLarge)]), Cancellation);
        try
        {
            (await Programs.Run("skopeo", ["copy", "--insecure-policy", "--dest-tls-verify=false", $"docker-archive:{archive}", $"docker://{registry.Host}/large:1"])).Ok();
        }
        finally
        {
            File.Delete(archive);
        }
        Fails(await Docker.Run("pull", $"{registry.Host}/large:1"));
        await Docker.Ok("system", "prune", "-f");
        await NothingIsLeft();
    }

    [Fact]
    public async Task Commit()
    {
        await Docker.Ok("run", "-d", "--name", "writer", "alpine", "sh", "-c", "head -c 30000000 /dev/urandom > /large; touch /done; sleep 1000");
        await Docker.Until(text => text.Contains("/done", StringComparison.Ordinal), ["diff", "writer"]);
        await Remember();
        Fails(await Docker.Run("commit", "writer", "large:1"));
        await NothingIsLeft();
        Assert.Equal("running", await Docker.Inspect("writer", "{{.State.Status}}"));

        // With room again the same commit succeeds.
        await Docker.Ok("exec", "writer", "sh", "-c", "head -c 1000000 /large > /small && mv /small /large");
        await Docker.Ok("commit", "writer", "small:1");
        Assert.Equal("1000000", await Docker.Ok("run", "--rm", "small:1", "stat", "-c", "%s", "/large"));
    }

    [Fact]
    public async Task Push()
    {
        await using var registry = new SlipwayRegistry();
        await registry.InitializeAsync();
        var name = $"{registry.Host}/app:1";
        (await Docker.RunWith(new MemoryStream(Archive.Image(name, [Random(1 << 20), Random(4 << 20)])), "load")).Ok();
        await Remember();
        _disk.Fill();

        // The layers are compressed on their way and need no room; what does says so, and then there is no half image.
        var result = await Docker.Run("push", name);
        if (result.ExitCode != 0)
        {
            result.Says("no space left on device");
            using var http = new HttpClient();
            Assert.Equal(System.Net.HttpStatusCode.NotFound, (await http.GetAsync(new Uri($"http://{registry.Host}/v2/app/manifests/1"), Cancellation)).StatusCode);
        }
        _disk.Relieve();
        (await Docker.Run("push", name)).Ok().Says(await registry.Http.Digest("app", "1"));
        await NothingIsLeft();
    }

    /// <summary>A few hundred kilobytes that are 300 MB: as a file of ADD, as the context that a client sends, and as one that the engine fetches.</summary>
    [Theory]
    [InlineData("added")]
    [InlineData("sent")]
    [InlineData("fetched")]
    public async Task Build_of_an_archive_that_expands(string how)
    {
        var context = Directory.CreateTempSubdirectory("slipway-test-").FullName;
        System.Diagnostics.Process? server = null;
        try
        {
            var bomb = $"{context}/bomb.tar.gz";
            await Expanding(bomb, 300 << 20);
            var memory = Memory();
            await File.WriteAllTextAsync($"{context}/Dockerfile", "FROM alpine\nADD bomb.tar.gz /x/\n", Cancellation);
            var variables = new Dictionary<string, string>(Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" };
            await using var archive = File.OpenRead(bomb);
            if (how == "fetched")
            {
                Requirement.Program("python3", "python3");
                server = Programs.Start("python3", ["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", context, "0"]);
                var serving = await server.StandardOutput.ReadLineAsync(Cancellation) ?? "";
                var port = Regex.Match(serving, "port ([0-9]+)").Groups[1].Value;
                Fails(await Programs.Run(Docker.Path, ["build", $"http://127.0.0.1:{port}/bomb.tar.gz"], environment: variables));
            }
            else
            {
                Fails(await Programs.Run(Docker.Path, ["build", how == "sent" ? "-" : context], how == "sent" ? archive : null, environment: variables));
            }

            Assert.InRange(Memory(), 0, memory + (100 << 20));
            await Docker.Ok("builder", "prune", "-af");
            await NothingIsLeft();
        }
        finally
        {
            server?.Kill();
            server?.Dispose();
            Directory.Delete(context, recursive: true);
        }
    }

    [Fact]
    public async Task What_gives_room_needs_none()
    {
        await Docker.Ok("create", "--name", "idle", "alpine", "true");
        await Docker.Ok("run", "-d", "--name", "busy", "alpine", "sleep", "1000");
        (await Docker.RunWith(new MemoryStream(Archive.Image("large:1", [Random(8 << 20)])), "load")).Ok();
        _disk.Fill();
        await Docker.Ok("rm", "idle");
        await Docker.Ok("rm", "-f", "busy");
        await Docker.Ok("rmi", "large:1");
        Assert.InRange(_disk.Free, 8 << 20, long.MaxValue);
        await Docker.Ok("system", "prune", "-af");
        Assert.Empty(await Images());
    }

    [Fact]
    public async Task A_disk_filled_to_the_last_byte_by_others()
    {
        await Docker.Ok("create", "--name", "idle", "alpine", "true");
        await Docker.Ok("tag", "alpine", "second:1");
        await Remember();
        _disk.Fill();
        Fails(await Docker.RunWith(new MemoryStream(Archive.Image("x:1", [Random(1 << 20)])), "load"));
        Assert.Equal(_images, await Images());
        (await Docker.Run("system", "df")).Ok();
        (await Docker.Run("diff", "idle")).Ok();

        // Whatever else needs room says so, and in the same words.
        foreach (var command in (string[][])[["run", "--rm", "alpine", "true"], ["create", "--name", "more", "alpine", "true"], ["tag", "alpine", "third:1"], ["commit", "idle", "fourth:1"]])
        {
            var result = await Docker.Run(command);
            if (result.ExitCode != 0)
            {
                result.Says("no space left on device", ignoreCase: true);
            }
        }
        _disk.Relieve();
        await Docker.Ok("run", "--rm", "alpine", "true");
        await Docker.Ok("start", "idle");
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(_disk.Path, "layers")));
    }

    [Fact]
    public async Task The_engine_is_killed_on_a_full_disk_and_starts_again()
    {
        _disk.Fill();
        Fails(await Docker.RunWith(new MemoryStream(Archive.Image("x:1", [Random(1 << 20)])), "load"));
        await _engine.Kill();
        _disk.Relieve();
        await _engine.Start();
        await NothingIsLeft();
        await Docker.Ok("run", "--rm", "alpine", "true");
    }

    private async Task Remember()
    {
        _images = await Images();
        _free = _disk.Free;
    }

    private async Task<string[]> Images() => (await Docker.Run("images", "-a", "--format", "{{.Repository}}:{{.Tag}}")).Ok().Lines.Order().ToArray();

    private static void Fails(CliResult result)
    {
        Assert.NotEqual(0, result.ExitCode);
        result.Says("no space left on device");
    }

    private async Task NothingIsLeft()
    {
        Assert.Equal(_images, await Images());
        Assert.Empty(Engine.Unfinished(_disk.Path));

        // The database and the log may have grown by some pages.
        Assert.InRange(_disk.Free, _free - (2 << 20), long.MaxValue);
        Assert.Equal("alive", await Docker.Ok("run", "--rm", "alpine", "echo", "alive"));
    }

    /// <summary>The most memory that the engine has had.</summary>
    private long Memory() =>
        1024 * long.Parse(File.ReadLines($"/proc/{_engine.Pid}/status").Single(line => line.StartsWith("VmHWM", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);

    private static async Task Expanding(string path, long size)
    {
        await using var file = File.Create(path);
        await using GZipStream gzip = new(file, CompressionLevel.Fastest);
        await using TarWriter tar = new(gzip);
        await using var zeros = File.Create($"{path}.zeros", 1, FileOptions.DeleteOnClose);
        zeros.SetLength(size);
        await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "zeros") { DataStream = zeros }, Cancellation);
    }

    private static byte[] Random(int size)
    {
        var content = new byte[size];
        System.Random.Shared.NextBytes(content);
        return Archive.Of(Archive.Bytes("large", content));
    }
}
