using System.Text.Json.Nodes;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

public sealed class PullFromDebianRegistryTests(SharedEngine engine, DebianRegistry registry) : RegistryPullTests(engine, registry), IClassFixture<DebianRegistry>;

public sealed class PullFromSlipwayRegistryTests(SharedEngine engine, SlipwayRegistry registry) : RegistryPullTests(engine, registry), IClassFixture<SlipwayRegistry>;

/// <summary>docker pull of images that were put into the registry by hand.</summary>
public abstract class RegistryPullTests(SharedEngine engine, RegistryServer registry) : RegistryTest(engine, registry)
{
    private static RegistryLayer Text(string name, string content) => RegistryLayer.Gzip(Archive.Of(Archive.Text(name, content)));

    [Fact]
    public async Task A_pull_prints_what_dockers_does()
    {
        var (repository, layer) = (Repository(), Text("a", "1"));
        await Http.PutImage(repository, "1", [layer]);
        var (image, digest) = (Remote(repository), await Http.Digest(repository, "1"));

        Assert.Equal(
            [
                $"1: Pulling from {repository}", $"{layer.ShortId}: Pulling fs layer", $"{layer.ShortId}: Verifying Checksum", $"{layer.ShortId}: Download complete",
                $"{layer.ShortId}: Pull complete", $"Digest: {digest}", $"Status: Downloaded newer image for {image}", image,
            ],
            (await Docker.Run("pull", image)).Ok().Lines);
        Assert.Equal(
            [$"1: Pulling from {repository}", $"Digest: {digest}", $"Status: Image is up to date for {image}", image],
            (await Docker.Run("pull", image)).Ok().Lines);
        Assert.Equal(image, await Docker.Ok("pull", "-q", image));
        Assert.Equal(digest, await RepoDigest(image));
    }

    [Fact]
    public async Task The_stream_has_amounts_and_bars()
    {
        var (repository, layer) = (Repository(), RegistryLayer.Random(7, 3 << 20));
        await Http.PutImage(repository, "1", [layer]);
        var lines = await Stream($"v1.45/images/create?fromImage={Registry.Host}/{repository}&tag=1");

        Assert.Equal($$"""{"status":"Pulling from {{repository}}","id":"1"}""", lines[0].ToJsonString());
        Assert.Equal($$"""{"status":"Pulling fs layer","progressDetail":{},"id":"{{layer.ShortId}}"}""", lines[1].ToJsonString());
        var downloading = lines.Where(line => (string?)line["status"] == "Downloading").ToList();
        Assert.NotEmpty(downloading);
        Assert.All(downloading, line =>
        {
            Assert.Equal(layer.Blob.Length, (long)line["progressDetail"]!["total"]!);
            Assert.Matches(@"^\[=*> *\] +[0-9.]+[kM]?B/", (string)line["progress"]!);
            Assert.EndsWith(FormattableString.Invariant($"/{layer.Blob.Length / 1e6:0.###}MB"), (string)line["progress"]!, StringComparison.Ordinal);
        });
        var statuses = lines.Where(line => (string?)line["id"] == layer.ShortId).Select(line => (string)line["status"]!).Distinct();
        Assert.Equal(["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"], statuses);
        Assert.Equal($"Status: Downloaded newer image for {Remote(repository)}", (string)lines[^1]["status"]!);
    }

    [Fact]
    public async Task A_second_pull_fetches_only_what_is_missing()
    {
        await using var relay = new Relay(Registry.Port);
        var repository = Repository();
        RegistryLayer[] shared = [Text("a", "shared 1"), Text("b", "shared 2")];
        var (one, two) = (Text("c", "one"), Text("c", "two"));
        await Http.PutImage(repository, "1", [.. shared, one]);
        await Http.PutImage(repository, "2", [.. shared, two]);
        await Docker.Ok("pull", $"{relay.Host}/{repository}:1");
        Assert.Equal(4, relay.Blobs.Count);

        relay.Forget();
        var output = await Docker.Run("pull", $"{relay.Host}/{repository}:2");
        output.Ok().Says($"{shared[0].ShortId}: Already exists").Says($"{shared[1].ShortId}: Already exists").Says($"{two.ShortId}: Pull complete");
        Assert.Equal(2, relay.Blobs.Count);
        Assert.Contains(two.BlobDigest, relay.Blobs);
        Assert.DoesNotContain(shared[0].BlobDigest, relay.Blobs);

        relay.Forget();
        await Docker.Ok("pull", $"{relay.Host}/{repository}:2");
        Assert.Empty(relay.Blobs);
    }

    [Fact]
    public async Task Pulls_at_the_same_time_share_their_layers()
    {
        await using var relay = new Relay(Registry.Port);
        var (repository, layer) = (Repository(), RegistryLayer.Random(11, 8 << 20));
        await Http.PutImage(repository, "1", [layer]);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Docker.Ok("pull", $"{relay.Host}/{repository}:1")));

        Assert.Single(relay.Blobs, layer.BlobDigest);
    }

    [Fact]
    public async Task An_index_gives_the_image_of_the_platform()
    {
        var repository = Repository();
        var digest = await Http.PutIndex(
            repository,
            "1",
            await Http.PutImage(repository, null, [Text("a", "armv6")], "arm", "v6"),
            await Http.PutImage(repository, null, [Text("a", "armv7")], "arm", "v7"),
            await Http.PutImage(repository, null, [Text("a", "arm64")], "arm64", "v8"),
            await Http.PutImage(repository, null, [Text("a", "amd64")]));
        var image = Remote(repository);

        await Docker.Ok("pull", image);
        Assert.Equal("amd64", await Docker.Inspect(image, "{{.Architecture}}"));
        Assert.Equal(digest, await RepoDigest(image));
        foreach (var (platform, expected) in new[] { ("linux/arm64", "arm64v8"), ("linux/arm/v6", "armv6"), ("linux/arm", "armv7"), ("linux/arm/v8", "armv7") })
        {
            await Forget(repository);
            (await Docker.Run("pull", "--platform", platform, image)).Ok().Says($"Digest: {digest}");
            Assert.Equal(expected, await Docker.Inspect(image, "{{.Architecture}}{{.Variant}}"));
        }
        (await Docker.Run("pull", "--platform", "linux/s390x", image)).Exited(1).Says("no matching manifest for linux/s390x in the manifest list entries: not found");
        (await Docker.Run("pull", "--platform", "lin ux", image)).Exited(1);
    }

    [Fact]
    [RunOption("--platform", "--pull")]
    public async Task A_container_is_made_of_the_platform_that_is_asked_for()
    {
        var repository = Repository();
        await Http.PutIndex(
            repository, "1", await Http.PutImage(repository, null, [Text("a", "amd64")]), await Http.PutImage(repository, null, [Text("a", "arm64")], "arm64", "v8"));
        await Docker.Ok("pull", Remote(repository));
        (await Docker.Run("create", "--pull", "never", "--platform", "linux/arm64", Remote(repository))).Exited(1).Says("does not match the specified platform (linux/arm64)");
        foreach (var (platform, architecture) in new[] { ("linux/arm64", "arm64"), ("linux/amd64", "amd64") })
        {
            var container = (await Docker.Run("create", "--platform", platform, Remote(repository))).Ok().Line;
            Cleanup(() => Docker.Run("rm", "-f", container));
            Assert.Equal(architecture, await Docker.Ok("image", "inspect", "-f", "{{.Architecture}}", await Docker.Inspect(container, "{{.Image}}")));
        }
    }

    [Fact]
    public async Task An_image_of_another_platform_than_asked_for_is_said_to_be_one()
    {
        var repository = Repository();
        await Http.PutImage(repository, "1", [Text("a", "1")]);

        (await Docker.Run("pull", "--platform", "linux/arm64", Remote(repository))).Exited(1)
            .Says($"image with reference {Remote(repository)} was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)");
    }

    [Fact]
    public async Task All_tags_and_digests()
    {
        var repository = Repository();
        await Http.PutImage(repository, "one", [Text("a", "1")]);
        await Http.PutImage(repository, "two", [Text("a", "2")]);
        var name = $"{Registry.Host}/{repository}";
        (await Docker.Run("pull", "-a", name)).Ok().Says("one: Pulling from").Says("two: Pulling from").Says($"Status: Downloaded newer image for {name}\n");
        Assert.Equal(["one", "two"], (await Docker.Run("images", "--format", "{{.Tag}}", name)).Lines.Order());

        await Forget(repository);
        var digest = await Http.Digest(repository, "two");
        (await Docker.Run("pull", $"{name}@{digest}")).Ok().Says($"Status: Downloaded newer image for {name}@{digest}");
        Assert.Equal(["<none>"], (await Docker.Run("images", "--digests", "--format", "{{.Tag}}", name)).Lines);
        Assert.Equal($"[{name}@{digest}]", await Docker.Inspect($"{name}@{digest}", "{{.RepoDigests}}"));
    }

    [Fact]
    public async Task Layers_of_all_compressions_give_the_same_files()
    {
        var repository = Repository();
        var tar = Archive.Of(Archive.Text("file", "content\n"), Archive.Folder("folder"));
        var other = Archive.Of(Archive.Text("other", "more\n"));
        await Http.PutImage(repository, "gzip", [RegistryLayer.Gzip(tar), RegistryLayer.Gzip(other)]);
        await Http.PutImage(repository, "zstd", [await RegistryLayer.Zstd(tar), await RegistryLayer.Zstd(other)]);
        await Http.PutImage(repository, "plain", [RegistryLayer.Plain(tar), RegistryLayer.Plain(other)]);
        foreach (var tag in new[] { "gzip", "zstd", "plain" })
        {
            await Docker.Ok("pull", Remote(repository, tag));
            Assert.Equal(await Http.Digest(repository, tag), await RepoDigest(Remote(repository, tag)));
            Assert.Equal(
                "content\nmore",
                await Docker.Ok("run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", Remote(repository, tag), "/busybox", "cat", "/file", "/other"));
            await Forget(repository);
        }
    }

    [Fact]
    public async Task An_image_of_127_layers_is_pulled_run_and_pushed()
    {
        var repository = Repository();
        var layers = Enumerable.Range(0, 127).Select(i => Text($"file{i}", $"{i}")).ToArray();
        await Http.PutImage(repository, "1", layers);
        (await Docker.RunFor(Programs.Limit(180), "pull", Remote(repository))).Ok();
        var count = await Docker.Ok("run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", Remote(repository), "/busybox", "sh", "-c", "/busybox ls / | /busybox grep -c ^file");
        Assert.Equal("127", count);

        var copy = Remote(Repository("copy"));
        await Docker.Ok("tag", Remote(repository), copy);
        (await Docker.RunFor(Programs.Limit(180), "push", copy)).Ok().Says(await Http.Digest(repository, "1"));
    }

    [Fact]
    public async Task What_is_no_image_is_refused()
    {
        var repository = Repository();
        await Http.PutManifest(repository, "artifact", new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = "application/vnd.oci.image.manifest.v1+json",
            ["config"] = await Http.PutBlob(repository, "{}"u8.ToArray(), "application/vnd.cncf.helm.config.v1+json"),
            ["layers"] = new JsonArray(await Http.PutBlob(repository, "chart"u8.ToArray(), "application/vnd.cncf.helm.chart.content.v1.tar+gzip")),
        });
        (await Docker.Run("pull", Remote(repository, "artifact"))).Exited(1).Says("Encountered remote \"application/vnd.cncf.helm.config.v1+json\"(unknown) when fetching");

        var wrong = Text("a", "1");
        await Http.PutImage(repository, "wrong", [wrong with { DiffId = Text("a", "2").DiffId }]);
        (await Docker.Run("pull", Remote(repository, "wrong"))).Exited(1).Says("sha256:");

        await Http.PutImage(repository, "windows", [wrong], change: config => config["os"] = "windows");
        (await Docker.Run("pull", Remote(repository, "windows"))).Exited(1).Says("operating system \"windows\" is not supported");
        Assert.Empty((await Docker.Run("images", "-q", $"{Registry.Host}/{repository}")).Lines);
    }

    [Fact]
    public async Task What_is_not_there_is_not_found()
    {
        var repository = Repository();
        (await Docker.Run("pull", Remote(repository))).Exited(1).Says($"Error response from daemon: manifest for {Remote(repository)} not found: manifest unknown");
        (await Docker.Run("pull", "localhost:1/x")).Exited(1).Says("connection refused");
        (await Docker.Run("run", "--rm", "--pull", "never", Remote(repository), "true")).Exited(125).Says($"No such image: {Remote(repository)}");
        (await Docker.Run("run", "--rm", Remote(repository), "true")).Exited(125).Says($"Unable to find image '{Remote(repository)}' locally").Says("not found");
        using var http = new EngineHttp(Docker.Socket);
        (await http.Post($"v1.45/images/create?fromImage={Registry.Host}/{repository}&tag=1")).Refused(404, "manifest unknown");
        (await http.Post("v1.45/images/create?fromImage=UPPER")).Refused(400, "must be lowercase");
        (await http.Post("v1.45/images/create?fromImage=x&tag=a/b")).Refused(400, "invalid tag format");
    }

    [Fact]
    public async Task A_missing_image_is_pulled_and_run()
    {
        var image = Remote(Repository());
        await Docker.Ok("tag", "alpine", image);
        await Docker.Ok("push", image);
        await Docker.Ok("rmi", image);

        var first = (await Docker.Run("run", "--rm", image, "echo", "hi")).Ok();
        Assert.Equal("hi\n", first.Output);
        Assert.Contains($"Unable to find image '{image}' locally", first.Error, StringComparison.Ordinal);
        Assert.Contains($"Status: Downloaded newer image for {image}", first.Error, StringComparison.Ordinal);
        Assert.Equal(("hi\n", ""), (await Docker.Run("run", "--rm", image, "echo", "hi")) is var second ? (second.Output, second.Error) : default);
        (await Docker.Run("run", "--rm", "--pull", "always", image, "echo", "hi")).Ok().Says($"Status: Image is up to date for {image}");
        (await Docker.Run("create", "--platform", "linux/arm64", image)).Exited(1).Says("does not match the specified platform (linux/arm64)");
    }

    [Fact]
    public async Task A_container_of_a_foreign_image_is_warned_of()
    {
        var repository = Repository();
        await Http.PutImage(repository, "1", [Text("a", "1")], "s390x");
        await Docker.Ok("pull", Remote(repository));
        var created = (await Docker.Run("create", Remote(repository))).Ok();
        Cleanup(() => Docker.Run("rm", "-f", created.Line));
        Assert.StartsWith("WARNING: The requested image's platform (linux/s390x) does not match the detected host platform (linux/", created.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_name_the_image()
    {
        var repository = Repository();
        await Http.PutImage(repository, "1", [Text("a", "1")], change: config => config["config"]!["Labels"] = new JsonObject { ["l"] = "v" });
        using var events = Docker.Start("events", "--filter", "type=image", "--filter", "event=pull", "--filter", "event=push", "--format", "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Actor.Attributes.l}}");
        await Task.Delay(500, Cancellation);
        await Docker.Ok("pull", Remote(repository));
        await Docker.Ok("push", Remote(repository));
        var name = $"{Registry.Host}/{repository}";
        Assert.Equal(($"pull {name}:1 {name} v", $"push {name}:1 {name} v"), (await Mine(), await Mine()));
        events.Kill();

        async Task<string?> Mine()
        {
            while (await events.StandardOutput.ReadLineAsync(Cancellation) is { } line)
            {
                if (line.Contains(repository, StringComparison.Ordinal))
                {
                    return line;
                }
            }
            return null;
        }
    }

    [Fact]
    public async Task What_a_name_stands_for_can_be_asked_without_pulling()
    {
        var repository = Repository();
        var digest = await Http.PutIndex(
            repository, "1", await Http.PutImage(repository, null, [Text("a", "1")]), await Http.PutImage(repository, null, [Text("a", "2")], "arm64", "v8"));
        using var http = new EngineHttp(Docker.Socket);
        var found = (await http.Get($"v1.45/distribution/{Registry.Host}/{repository}:1/json")).Is(200).Json;
        Assert.Equal(digest, (string)found["Descriptor"]!["digest"]!);
        Assert.Equal("""[{"architecture":"amd64","os":"linux"},{"architecture":"arm64","os":"linux","variant":"v8"}]""", found["Platforms"]!.ToJsonString());
        (await http.Get($"v1.45/distribution/{Registry.Host}/{repository}:2/json")).Refused(404, "manifest unknown");

        var manifest = JsonNode.Parse((await Docker.Run("manifest", "inspect", "--insecure", Remote(repository))).Ok().Output)!;
        Assert.Equal(2, manifest["manifests"]!.AsArray().Count);
    }
}
