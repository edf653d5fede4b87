using System.Formats.Tar;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>`--squash`: of `slipway build`, and of the classic builder where experimental features are on, as dockerd has it.</summary>
public sealed class SquashTests(SharedEngine engine) : BuildTest(engine)
{
    /// <summary>What two steps leave at one size and one time is told apart by its content alone.</summary>
    private const string Base = """
        FROM alpine
        RUN mkdir -p /b/kept /b/emptied /b/replaced /b/file && echo x | tee /b/kept/x /b/emptied/x /b/replaced/x /b/file/x /b/gone /b/directory /b/same > /b/mode
        RUN printf 1 > /b/same && touch -d @1000000000 /b/same && ln /b/kept/x /b/kept/hard
        """;

    private const string Dockerfile = """
        FROM {base}
        RUN echo hidden > /secret && mkdir /made && echo a > /made/a && ln /made/a /made/hard && ln -s a /made/link && mkfifo /made/fifo
        RUN printf 2 > /b/same && touch -d @1000000000 /b/same && chmod 600 /b/mode
        RUN rm /secret /b/gone /b/directory /b/emptied/x && rm -r /b/replaced /b/file && mkdir /b/directory /b/replaced && echo y > /b/directory/y && echo y > /b/replaced/y && echo y > /b/file
        ENV squashed=yes
        """;

    private const string Look =
        "cd / && find b made secret -exec sh -c 'for f; do if [ -d $f ]; then stat -c \"%n %F %a %u:%g\" $f; else stat -c \"%n %F %a %u:%g %h %s %Y\" $f; [ ! -f $f ] || md5sum $f; fi; done' sh {} + 2>/dev/null | sort";

    [Fact]
    public async Task The_layers_of_a_build_become_one()
    {
        var (below, plain, squashed) = (Image("below"), Image("plain"), Image("squashed"));
        await Slipway(Base, "-t", below);
        await Slipway(Dockerfile.Replace("{base}", below, StringComparison.Ordinal), "-t", plain);
        await Slipway(Dockerfile.Replace("{base}", below, StringComparison.Ordinal), "-t", squashed, "--squash");
        await Compare(Docker, below, plain, squashed);

        // The same again, from the cache.
        var id = await Docker.Inspect(squashed, "{{.Id}} {{.RootFS.Layers}}");
        await Slipway(Dockerfile.Replace("{base}", below, StringComparison.Ordinal), "-t", squashed, "--squash");
        Assert.Equal(id.Split(' ', 2)[1], (await Docker.Inspect(squashed, "{{.Id}} {{.RootFS.Layers}}")).Split(' ', 2)[1]);
    }

    [Fact]
    public async Task A_build_upon_nothing_has_one_layer()
    {
        var image = Image("scratch");
        Put("a", "a");
        Put("b", "b");
        await Slipway("FROM scratch\nCOPY a /\nCOPY b /\n", "-t", image, "--squash");
        Assert.Equal("1", await Docker.Inspect(image, "{{len .RootFS.Layers}}"));
        Assert.StartsWith("create new from sha256:", (await Docker.Ok("history", "--format", "{{.Comment}}", image)).Split('\n')[0], StringComparison.Ordinal);

        // No step: no layer, and the same files.
        var same = Image("same");
        await Slipway("FROM alpine\nENV a=b\n", "-t", same, "--squash");
        Assert.Equal(await Docker.Inspect("alpine", "{{.RootFS.Layers}}"), await Docker.Inspect(same, "{{.RootFS.Layers}}"));
    }

    [Fact]
    public async Task A_stage_that_the_target_starts_from_is_below()
    {
        var (image, stage) = (Image("stages"), Image("stage"));
        const string Text = "FROM alpine AS b\nRUN echo 1 > /1\nRUN echo 2 > /2\nFROM b\nRUN echo 3 > /3 && rm /1\nRUN echo 4 > /4\n";
        await Slipway(Text, "-t", stage, "--target", "b");
        await Slipway(Text, "-t", image, "--squash");
        var layers = (await Docker.Inspect(stage, "{{join .RootFS.Layers \" \"}}")).Split(' ');
        Assert.Equal(layers, (await Docker.Inspect(image, "{{join .RootFS.Layers \" \"}}")).Split(' ')[..^1]);
        Assert.EndsWith($" to {await Docker.Inspect(stage, "{{.Id}}")}", (await Docker.Ok("history", "--no-trunc", "--format", "{{.Comment}}", image)).Split('\n')[0], StringComparison.Ordinal);
        Assert.Equal([".wh.1", "3", "4"], await Entries(Docker, image));
    }

    [Fact]
    public async Task A_cache_inside_of_the_image_is_refused_with_it()
    {
        Put("Dockerfile", "FROM alpine\nRUN true\n");
        (await Run("--squash", "--cache-to", "type=inline")).Exited(1).Says("a squashed image cannot carry a build cache");
    }

    [Fact]
    public async Task Docker_s_client_squashes_where_experimental_features_are_on()
    {
        await using var daemon = new Engine("sqsh") { Flags = ["--experimental"] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        Dictionary<string, string> variables = new(daemon.Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" };
        foreach (var (name, dockerfile, options) in new (string, string, string[])[] { ("below", Base, []), ("plain", Dockerfile, []), ("squashed", Dockerfile, ["--squash"]) })
        {
            Put("Dockerfile", dockerfile.Replace("{base}", "below", StringComparison.Ordinal));
            (await Programs.Run(Docker.Path, ["build", "-t", name, .. options, Context], environment: variables)).Ok();
        }

        await Compare(daemon.Docker, "below", "plain", "squashed");
    }

    /// <summary>A squashed image shows what the image of the same steps shows, with one layer more than the image below it, in which is only what differs.</summary>
    private async Task Compare(Docker docker, string below, string plain, string squashed)
    {
        var tree = await docker.Ok("run", "--rm", plain, "sh", "-c", Look);
        Assert.Contains("b/file regular file", tree, StringComparison.Ordinal);
        Assert.Equal(tree, await docker.Ok("run", "--rm", squashed, "sh", "-c", Look));
        Assert.Equal(await docker.Inspect(plain, "{{.Config.Env}}"), await docker.Inspect(squashed, "{{.Config.Env}}"));

        var layers = (await docker.Inspect(below, "{{join .RootFS.Layers \" \"}}")).Split(' ');
        var merged = (await docker.Inspect(squashed, "{{join .RootFS.Layers \" \"}}")).Split(' ');
        Assert.Equal(layers, merged[..^1]);

        var steps = (await docker.Ok("history", "--no-trunc", "--format", "{{.Comment}}|{{.Size}}", squashed)).Split('\n');
        Assert.Equal($"merge {await docker.Inspect(plain, "{{.Id}}")} to {await docker.Inspect(below, "{{.Id}}")}", steps[0].Split('|')[0]);
        Assert.All(steps[1..5], step => Assert.EndsWith("|0B", step, StringComparison.Ordinal));

        // "a" comes once, its further name as a link; what a step made and another removed is not there, and nothing that the image below has the same.
        Assert.Equal(
            [
                "b/", "b/.wh.gone", "b/directory/", "b/directory/y", "b/emptied/", "b/emptied/.wh.x", "b/file", "b/mode", "b/replaced/", "b/replaced/.wh.x", "b/replaced/y", "b/same",
                "made/", "made/a", "made/fifo", "made/hard", "made/link",
            ],
            await Entries(docker, squashed));
    }

    private async Task<string[]> Entries(Docker docker, string image)
    {
        var archive = $"{Folder()}/image.tar";
        await docker.Ok("save", "-o", archive, image);
        List<string> names = [];
        using TarReader reader = new(new MemoryStream((await Archive.Layers(archive, Cancellation))[^1]));
        while (await reader.GetNextEntryAsync(copyData: false, Cancellation) is { } entry)
        {
            names.Add(entry.Name);
        }

        return [.. names.Order(StringComparer.Ordinal)];
    }

    private async Task Slipway(string dockerfile, params string[] options)
    {
        Put("Dockerfile", dockerfile);
        (await Run(options)).Ok();
    }

    private Task<CliResult> Run(params string[] options) =>
        Programs.Run(Repository.Executable!, ["build", .. options, Context], environment: new Dictionary<string, string> { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" });
}
