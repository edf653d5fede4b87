using System.Text.Json.Nodes;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

public sealed class PushToDebianRegistryTests(SharedEngine engine, DebianRegistry registry) : RegistryPushTests(engine, registry), IClassFixture<DebianRegistry>;

public sealed class PushToSlipwayRegistryTests(SharedEngine engine, SlipwayRegistry registry) : RegistryPushTests(engine, registry), IClassFixture<SlipwayRegistry>;

/// <summary>docker push of images that were loaded, made here, or pulled.</summary>
public abstract class RegistryPushTests(SharedEngine engine, RegistryServer registry) : RegistryTest(engine, registry)
{
    /// <summary>Loads an image of two layers under a name in the registry.</summary>
    private async Task<string> Load(string repository, string seed, string tag = "1")
    {
        byte[][] layers = [Archive.Of(Archive.Text("base", "base of " + seed)), Archive.Of(Archive.Text("top", "top of " + seed))];
        var image = Remote(repository, tag);
        (await Docker.RunWith(new MemoryStream(Archive.Image(image, layers)), "load")).Ok();
        return image;
    }

    [Fact]
    public async Task A_push_prints_what_dockers_does()
    {
        var repository = Repository();
        var image = await Load(repository, "print");
        var layers = (await Docker.Inspect(image, "{{range .RootFS.Layers}}{{println .}}{{end}}")).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(layer => layer["sha256:".Length..][..12]).Reverse().ToArray();
        var lines = (await Docker.Run("push", image)).Ok().Lines;
        var (digest, size) = (await Http.Digest(repository, "1"), (await Http.Manifest(repository, "1")).Length);

        Assert.Equal($"The push refers to repository [{Registry.Host}/{repository}]", lines[0]);
        Assert.Equal(layers.Select(layer => $"{layer}: Preparing"), lines[1..3]);
        Assert.Equal(layers.Select(layer => $"{layer}: Pushed").Order(), lines[3..5].Order());
        Assert.Equal([$"1: digest: {digest} size: {size}"], lines[5..]);
        Assert.Equal(digest, await RepoDigest(image));

        lines = (await Docker.Run("push", image)).Ok().Lines;
        Assert.Equal(layers.Select(layer => $"{layer}: Layer already exists").Order(), lines[3..5].Order());
        Assert.Equal($"1: digest: {digest} size: {size}", lines[^1]);

        var other = Repository("other");
        await Docker.Ok("tag", image, Remote(other));
        lines = (await Docker.Run("push", Remote(other))).Ok().Lines;
        Assert.Equal(layers.Select(layer => $"{layer}: Mounted from {repository}").Order(), lines[3..5].Order());
        Assert.Equal(digest, await Http.Digest(other, "1"));
    }

    [Fact]
    public async Task The_stream_ends_with_what_programs_want_to_know()
    {
        var repository = Repository();
        await Load(repository, "stream");
        var lines = await Stream($"v1.45/images/{Registry.Host}/{repository}/push?tag=1");

        Assert.All(lines.Where(line => (string?)line["status"] == "Preparing"), line => Assert.Equal("{}", line["progressDetail"]!.ToJsonString()));
        var manifest = await Http.Manifest(repository, "1");
        Assert.Equal(
            $$$"""{"progressDetail":{},"aux":{"Tag":"1","Digest":"{{{RegistryHttp.DigestOf(manifest)}}}","Size":{{{manifest.Length}}}}}""", lines[^1].ToJsonString());
    }

    [Fact]
    public async Task What_was_pushed_is_what_is_pulled()
    {
        var repository = Repository();
        var image = await Load(repository, "back");
        var id = await Docker.Inspect(image, "{{.Id}}");
        await Docker.Ok("push", image);
        await Forget(repository);
        await Docker.Ok("pull", image);

        Assert.Equal(id, await Docker.Inspect(image, "{{.Id}}"));
        Assert.Equal("top of back", await Docker.Ok("run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", image, "/busybox", "cat", "/top"));
    }

    [Fact]
    public async Task Only_missing_layers_are_sent()
    {
        await using var relay = new Relay(Registry.Port);
        var repository = Repository();
        byte[] shared = Archive.Of(Archive.Text("base", "shared by two"));
        foreach (var tag in new[] { "1", "2" })
        {
            byte[][] layers = [shared, Archive.Of(Archive.Text("top", "only of " + tag))];
            (await Docker.RunWith(new MemoryStream(Archive.Image($"{relay.Host}/{repository}:{tag}", layers)), "load")).Ok();
        }
        await Docker.Ok("push", $"{relay.Host}/{repository}:1");
        var first = relay.Requests.Count(request => request.StartsWith("POST ", StringComparison.Ordinal));
        relay.Forget();
        (await Docker.Run("push", $"{relay.Host}/{repository}:2")).Ok().Says("Layer already exists").Says("Pushed");

        // Two layers and the configuration, then one layer and the configuration.
        Assert.Equal((3, 2), (first, relay.Requests.Count(request => request.StartsWith("POST ", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task All_tags()
    {
        var repository = Repository();
        await Load(repository, "a", "one");
        await Load(repository, "b", "two");
        (await Docker.Run("push", "-a", $"{Registry.Host}/{repository}")).Ok().Says("one: digest: sha256:").Says("two: digest: sha256:");
        Assert.NotEqual(await Http.Digest(repository, "one"), await Http.Digest(repository, "two"));
    }

    [Fact]
    public async Task Layers_that_are_not_here_are_brought_from_where_the_image_is_from()
    {
        var (repository, target) = (Repository(), new DebianRegistry());
        await using (target)
        {
            await target.InitializeAsync();
            await Http.PutImage(repository, "1", [RegistryLayer.Random(21, 2 << 20), await RegistryLayer.Zstd(Archive.Of(Archive.Text("z", "zstd")))]);
            await Docker.Ok("pull", Remote(repository));
            await Docker.Ok("tag", Remote(repository), $"{target.Host}/{repository}:1");
            (await Docker.Run("push", $"{target.Host}/{repository}:1")).Ok();

            Assert.Equal(await Http.Digest(repository, "1"), await target.Http.Digest(repository, "1"));
        }
    }

    [Fact]
    public async Task An_index_that_is_here_as_a_whole_is_pushed_as_a_whole()
    {
        var (repository, copy) = (Repository(), Repository("copy"));
        var digest = await Http.PutIndex(
            repository,
            "1",
            await Http.PutImage(repository, null, [RegistryLayer.Gzip(Archive.Of(Archive.Text("a", "1")))]),
            await Http.PutImage(repository, null, [RegistryLayer.Gzip(Archive.Of(Archive.Text("a", "2")))], "arm64", "v8"));
        await Docker.Ok("pull", Remote(repository));
        await Docker.Ok("pull", "--platform", "linux/arm64", Remote(repository));
        await Docker.Ok("tag", Remote(repository), Remote(copy));
        (await Docker.Run("push", Remote(copy))).Ok();
        Assert.Equal(digest, await Http.Digest(copy, "1"));

        (await Docker.Run("push", "--platform", "linux/arm64", Remote(copy))).Ok();
        var manifest = JsonNode.Parse(await Http.Manifest(copy, "1"))!;
        Assert.NotNull(manifest["config"]);
    }

    [Fact]
    public async Task What_cannot_be_pushed_says_why()
    {
        var repository = Repository();
        (await Docker.Run("push", Remote(repository))).Exited(1).Says($"An image does not exist locally with the tag: {Registry.Host}/{repository}");
        await Load(repository, "x");
        (await Docker.Run("push", Remote(repository, "2"))).Exited(1).Says($"tag does not exist: {Remote(repository, "2")}");
        await Docker.Ok("tag", Remote(repository), "localhost:1/" + repository);
        (await Docker.Run("push", "localhost:1/" + repository)).Exited(1).Says("connection refused");
        using var http = new EngineHttp(Docker.Socket);
        (await http.Post("v1.45/images/UPPER/push?tag=1")).Refused(400, "must be lowercase");
    }

    [Fact]
    public async Task A_container_s_changes_are_pushed()
    {
        var (repository, container) = (Repository(), Container());
        await Docker.Ok("run", "--name", container, "--network", "none", "alpine", "sh", "-c", "echo changed > /changed");
        await Docker.Ok("commit", container, Remote(repository));
        await Docker.Ok("push", Remote(repository));
        await Docker.Ok("rm", container);
        await Forget(repository);
        Assert.Equal("changed", await Docker.Ok("run", "-q", "--rm", "--network", "none", Remote(repository), "cat", "/changed"));
    }
}
