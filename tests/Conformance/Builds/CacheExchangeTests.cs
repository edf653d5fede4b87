using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>An engine whose cache is empty: what it finds it has imported.</summary>
public sealed class OtherEngine : IAsyncLifetime
{
    private readonly Engine _engine = new("cache") { Gateway = $"10.215.{Environment.ProcessId % 250}.1" };

    public Docker Docker => _engine.Docker;

    public async ValueTask InitializeAsync()
    {
        await _engine.Start();
        await AlpineImage.Import(Docker);
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();
}

/// <summary><c>--cache-to</c> and <c>--cache-from</c>: what one engine built another finds.</summary>
public sealed class CacheExchangeTests(SharedEngine engine, OtherEngine other) : BuildxTest(engine), IClassFixture<OtherEngine>
{
    private const string Configuration = "application/vnd.buildkit.cacheconfig.v0";

    private readonly string _mark = Guid.NewGuid().ToString("N");

    private string Dockerfile => $"""
        FROM alpine AS build
        RUN echo built {_mark} > /out
        FROM alpine
        ENV MARK={_mark}
        COPY f /f
        RUN cat /f > /g
        COPY --from=build /out /out
        WORKDIR /work
        """;

    private string[] Steps => [$"RUN echo built {_mark} > /out", "COPY f /f", "RUN cat /f > /g", "COPY --from=build /out /out", "WORKDIR /work"];

    [Fact]
    public async Task A_directory_takes_a_cache_to_another_engine()
    {
        Put("f", _mark);
        var folder = $"{Folder()}/cache";
        (await Build(Dockerfile, "--cache-to", $"type=local,dest={folder},mode=max")).Ok().Says("exporting cache to client directory");
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(Blob((string)JsonNode.Parse(await File.ReadAllTextAsync($"{folder}/index.json", Cancellation))!["manifests"]![0]!["digest"]!), Cancellation))!;
        Assert.Equal(Configuration, (string?)manifest["config"]!["mediaType"]);
        var config = JsonNode.Parse(await File.ReadAllTextAsync(Blob((string)manifest["config"]!["digest"]!), Cancellation))!;
        Assert.All(config["layers"]!.AsArray(), layer => Assert.True(File.Exists(Blob((string)layer!["blob"]!))));
        Assert.All(config["records"]!.AsArray(), record => Assert.StartsWith("sha256:", (string?)record!["digest"], StringComparison.Ordinal));

        await Found(Steps, "--cache-from", $"type=local,src={folder}");

        // A second export adds nothing to it.
        var files = Directory.GetFiles($"{folder}/blobs/sha256").Order(StringComparer.Ordinal);
        (await Build(Dockerfile, "--cache-to", $"type=local,dest={folder},mode=max")).Ok();
        Assert.Equal(files, Directory.GetFiles($"{folder}/blobs/sha256").Order(StringComparer.Ordinal));

        string Blob(string digest) => $"{folder}/blobs/{digest.Replace(':', '/')}";
    }

    /// <summary>Either client reads what either has written.</summary>
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task A_directory_of_slipway_build_is_one_of_buildx(bool writes, bool reads)
    {
        Put("f", _mark);
        Put("Dockerfile", Dockerfile);
        var folder = $"{Folder()}/cache";
        string[] exported = ["--cache-to", $"type=local,dest={folder},mode=max"];
        (await (writes ? Slipway(Docker, exported) : Build(Dockerfile, exported))).Ok().Says("exporting cache to client directory");
        string[] imported = ["--progress", "plain", "-t", $"found:{_mark}", "--cache-from", $"type=local,src={folder}"];
        var built = reads ? (await Slipway(other.Docker, imported)).Ok() : await On(other.Docker, imported);
        Assert.All(Steps, step => Assert.True(IsCached(built, step), $"{step} was done\n{built}"));
        Assert.Equal($"{_mark}built {_mark}\n", await Show("/g", "/out"));
        Assert.Empty(Directory.Exists($"{folder}/ingest") ? Directory.GetFileSystemEntries($"{folder}/ingest") : []);
    }

    [Fact]
    public async Task Caches_of_one_directory_have_names()
    {
        Put("f", _mark);
        var folder = $"{Folder()}/cache";
        foreach (var tag in new[] { "one", "two", "one" })
        {
            Put("Dockerfile", $"{Dockerfile}\nRUN echo {tag}");
            (await Slipway(Docker, "--cache-to", $"type=local,dest={folder},tag={tag}")).Ok();
        }

        var entries = JsonNode.Parse(await File.ReadAllTextAsync($"{folder}/index.json", Cancellation))!["manifests"]!.AsArray();
        Assert.Equal(["one", "two"], entries.Select(entry => (string?)entry!["annotations"]!["org.opencontainers.image.ref.name"]).Order(StringComparer.Ordinal));
        var built = (await Slipway(other.Docker, "--progress", "plain", "--cache-from", $"type=local,src={folder},tag=one")).Ok();
        Assert.True(IsCached(built, "RUN echo one"), built.ToString());
    }

    [Fact]
    public async Task A_directory_without_a_cache_does_no_harm_and_one_that_cannot_be_written_ends_the_build()
    {
        Put("f", _mark);
        Put("Dockerfile", Dockerfile);
        var folder = Folder();
        (await Slipway(Docker, "--cache-from", $"type=local,src={folder}/nosuch")).Ok().Says($"WARNING: local cache import at {folder}/nosuch skipped: no cache has the name latest");
        await File.WriteAllTextAsync($"{folder}/index.json", "{", Cancellation);
        (await Slipway(Docker, "--cache-from", $"type=local,src={folder}")).Ok().Says($"{folder}/index.json is no index of an image layout");
        (await Slipway(Docker, "--cache-to", $"type=local,dest={folder},mode=max")).Exited(1).Says($"failed to export cache: {folder}/index.json is no index of an image layout");
        (await Slipway(Docker, "--cache-from", $"type=local,src={folder},digest=sha256:{new string('0', 64)}")).Ok().Says("importing cache manifest from").Says("not found");
        (await Slipway(Docker, "--cache-to", "type=local")).Exited(1).Says("local cache exporter requires dest");
        (await Slipway(Docker, "--cache-from", "type=local")).Exited(1).Says("local cache importer requires src");
    }

    [Theory]
    [InlineData("max")]
    [InlineData("min")]
    public async Task A_registry_takes_a_cache_to_another_engine(string mode)
    {
        Put("f", _mark);
        await using var registry = await RegistryProcess.Start();
        var reference = $"{registry.Host}/cache/{mode}:1";
        (await Build(Dockerfile, "--cache-to", $"type=registry,ref={reference},mode={mode}")).Ok();
        (await Programs.Run("skopeo", ["inspect", "--raw", "--tls-verify=false", $"docker://{reference}"])).Ok().Says(Configuration);
        await Found(mode == "max" ? Steps : Steps[1..], "--cache-from", $"type=registry,ref={reference}");
    }

    [Fact]
    public async Task An_image_takes_its_cache_with_it()
    {
        Put("f", _mark);
        await using var registry = await RegistryProcess.Start();
        var reference = $"{registry.Host}/image:1";
        Cleanup(() => Docker.Run("rmi", "-f", reference));
        (await Build(Dockerfile, "-t", reference, "--cache-to", "type=inline")).Ok();
        (await Docker.Run("push", reference)).Ok();
        await Found(Steps[1..], "--cache-from", reference);
    }

    [Fact]
    public async Task A_cache_that_is_not_there_or_is_none_does_no_harm()
    {
        Put("f", _mark);
        await using var registry = await RegistryProcess.Start();
        (await Build(Dockerfile, "--cache-from", $"type=registry,ref={registry.Host}/nosuch")).Ok().Says("importing cache manifest from").Says("ERROR");
        (await Docker.Run("tag", "alpine", $"{registry.Host}/plain")).Ok();
        Cleanup(() => Docker.Run("rmi", $"{registry.Host}/plain"));
        (await Docker.Run("push", $"{registry.Host}/plain")).Ok();
        (await Build(Dockerfile, "--no-cache", "--cache-from", $"{registry.Host}/plain")).Ok().Says("the image has no build cache");
    }

    [Fact]
    public async Task A_layer_that_is_not_what_the_cache_says_is_not_taken()
    {
        Put("f", _mark);
        var folder = $"{Folder()}/cache";
        (await Build(Dockerfile, "--cache-to", $"type=local,dest={folder},mode=max")).Ok();
        var documents = new[] { "index.json" }.Concat(Directory.GetFiles($"{folder}/blobs/sha256").Where(path => File.ReadAllBytes(path)[0] == '{')).ToHashSet();
        foreach (var blob in Directory.GetFiles($"{folder}/blobs/sha256").Where(path => !documents.Contains(path)))
        {
            // Nor is one that is another's.
            File.SetAttributes(blob, FileAttributes.Normal);
            await File.WriteAllBytesAsync(blob, [0x1f, 0x8b, 0, 0], Cancellation);
        }

        var built = await On(other.Docker, "--cache-from", $"type=local,src={folder}");
        Assert.All(Steps[..1], step => Assert.False(IsCached(built, step), built.ToString()));
        Assert.Equal($"built {_mark}\n", await Show("/out"));
    }

    [Fact]
    public async Task What_cannot_be_exported_fails_the_build_unless_that_is_allowed()
    {
        Put("f", _mark);
        await using var registry = await RegistryProcess.Start(null, "--read-only");
        var reference = $"{registry.Host}/cache:1";
        (await Build(Dockerfile, "--cache-to", $"type=registry,ref={reference}")).Exited(1).Says("ERROR: failed to solve");
        (await Build(Dockerfile, "--cache-to", $"type=registry,ref={reference},ignore-error=true")).Ok();
        (await Build(Dockerfile, "--cache-to", "type=nosuch")).Exited(1).Says("ERROR: failed to solve");
    }

    /// <summary>Builds on the other engine, which has done none of it before.</summary>
    private async Task Found(string[] cached, params string[] options)
    {
        var built = await On(other.Docker, options);
        Assert.All(cached, step => Assert.True(IsCached(built, step), $"{step} was done\n{built}"));
        Assert.Equal($"{_mark}built {_mark}\n", await Show("/g", "/out"));
    }

    private async Task<CliResult> On(Docker docker, params string[] options) =>
        (await Programs.Run(Docker.Path, ["buildx", "build", "--progress", "plain", "-t", $"found:{_mark}", .. options, Context], environment: await Variables(docker))).Ok();

    private Task<CliResult> Slipway(Docker docker, params string[] options)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        return Programs.Run(Repository.Executable!, ["build", .. options, Context], environment: new Dictionary<string, string> { ["SLIPWAY_HOST"] = $"unix://{docker.Socket}" });
    }

    private async Task<string> Show(params string[] paths) => (await other.Docker.Run(["run", "--rm", "--network", "none", $"found:{_mark}", "cat", .. paths])).Ok().Output;
}
