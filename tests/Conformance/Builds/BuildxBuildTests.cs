using System.Diagnostics;
using System.Formats.Tar;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary><c>docker buildx build</c>, unmodified, and what <c>docker build</c> becomes where the plugin is.</summary>
public sealed class BuildxBuildTests(SharedEngine engine) : BuildxTest(engine)
{
    [Fact]
    public async Task Progress_names_what_is_done_as_BuildKit_does()
    {
        Put("a.txt", Guid.NewGuid().ToString());
        const string Dockerfile = """
            FROM alpine AS base
            ARG A=1
            COPY a.txt /a
            RUN <<EOF
            echo one $A
            EOF
            FROM base
            RUN echo $A '$A' ${A}
            """;
        var built = (await Build(Dockerfile, "--build-arg", "A=3")).Ok();
        Assert.Equal(
            [
                "[internal] load build definition from Dockerfile", "[internal] load .dockerignore", "[internal] load metadata for docker.io/library/alpine:latest",
                "[base 1/3] FROM docker.io/library/alpine:latest", "[internal] load build context", "[base 2/3] COPY a.txt /a", "[base 3/3] RUN <<EOF (echo one $A)", "[stage-1 1/1] RUN echo 3 '$A' 3",
            ],
            Vertices(built));
        built.Says("one 3").Says("exporting layers").Says("writing image sha256:");
        Assert.False(IsCached(built, "COPY a.txt /a"));
        Assert.True(IsCached(await Build(Dockerfile, "--build-arg", "A=3"), "COPY a.txt /a"));
    }

    [Fact]
    public async Task Names_ids_and_metadata_are_told()
    {
        var (one, two) = (Image("one"), Image("two"));
        var (iid, metadata) = ($"{Folder()}/iid", $"{Folder()}/metadata");
        (await Build("FROM alpine AS t\nLABEL a=b\nFROM scratch\nCOPY nosuch /", "-t", one, "-t", two, "--iidfile", iid, "--metadata-file", metadata, "--target", "t", "--label", "c=d")).Ok();
        var id = await Docker.Inspect(one, "{{.Id}}");
        Assert.Equal(id, await Docker.Inspect(two, "{{.Id}}"));
        Assert.Equal(id, await File.ReadAllTextAsync(iid, Cancellation));
        var told = JsonNode.Parse(await File.ReadAllTextAsync(metadata, Cancellation))!;
        Assert.Equal((id, id, $"docker.io/{one},docker.io/{two}"), ((string?)told["containerimage.digest"], (string?)told["containerimage.config.digest"], (string?)told["image.name"]));
        Assert.Equal("""{"a":"b","c":"d"}""", await Docker.Inspect(one, "{{json .Config.Labels}}"));
        Assert.Equal("LABEL a=b|buildkit.dockerfile.v0", (await Docker.Ok("history", "--format", "{{.CreatedBy}}|{{.Comment}}", one)).Split('\n')[0]);
    }

    [Fact]
    public async Task Secrets_agents_caches_and_tmpfs_are_mounted_for_a_step()
    {
        var secret = Guid.NewGuid().ToString("N");
        var path = $"{Folder()}/agent";
        using Socket agent = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        agent.Bind(new UnixDomainSocketEndPoint(path));
        agent.Listen();
        var cache = Guid.NewGuid().ToString("N");
        var image = Image();
        var file = Put("../secret-" + secret, secret);
        Cleanup(() =>
        {
            File.Delete(file);
            return Task.CompletedTask;
        });
        (await Build(
            $"""
            FROM alpine
            RUN --mount=type=secret,id=s --mount=type=secret,id=s,target=/own,mode=0444,uid=7 --mount=type=ssh --mount=type=cache,id={cache},target=/c --mount=type=tmpfs,target=/t \
                sha256sum < /run/secrets/s > /sum; stat -c '%u %a' /own >> /sum; test -S $SSH_AUTH_SOCK && touch /c/x /t/y
            RUN --mount=type=cache,id={cache},target=/c ls /c >> /sum; ls /t /own 2>/dev/null >> /sum; true
            """,
            "-t", image, "--secret", $"id=s,src={file}", "--ssh", $"default={path}")).Ok();
        var sum = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(secret)));
        Assert.Equal($"{sum}  -\n7 444\nx\n", await Shown(image, "cat /sum"));
        Assert.DoesNotContain(secret, (await Docker.Run("history", "--no-trunc", image)).Output + await Docker.Ok("inspect", image), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tar")]
    [InlineData("oci")]
    [InlineData("docker")]
    [InlineData("local")]
    public async Task A_result_goes_where_it_is_wanted(string type)
    {
        Put("Dockerfile", "FROM scratch\nCOPY f /d/f\n");
        Put("f", "content");
        var output = $"{Folder()}/out";
        (await Buildx("buildx", "build", "-o", $"type={type},dest={output}" + (type is "oci" or "docker" ? ",name=n.example/a:b" : ""), Context)).Ok();
        switch (type)
        {
            case "local":
                Assert.Equal("content", await File.ReadAllTextAsync($"{output}/d/f", Cancellation));
                break;
            case "tar":
                Assert.Equal(["d/", "d/f"], Entries(output));
                break;
            case "oci":
                Assert.Superset(new HashSet<string> { "oci-layout", "index.json" }, Entries(output).ToHashSet());
                (await Programs.Run("skopeo", ["inspect", "--raw", $"oci-archive:{output}"])).Ok().Says("application/vnd.oci.image.manifest.v1");
                break;
            default:
                Cleanup(() => Docker.Run("rmi", "-f", "n.example/a:b"));
                (await Docker.Run("load", "-i", output)).Ok().Says("n.example/a:b");
                break;
        }

        static string[] Entries(string path)
        {
            using TarReader reader = new(File.OpenRead(path));
            List<string> names = [];
            while (reader.GetNextEntry() is { } entry)
            {
                names.Add(entry.Name);
            }

            return [.. names];
        }
    }

    [Fact]
    public async Task Named_contexts_stand_for_images_and_stages()
    {
        var (other, image) = (Folder(), Image());
        await File.WriteAllTextAsync($"{other}/f", "other", Cancellation);
        await File.WriteAllTextAsync($"{other}/left", "out", Cancellation);
        await File.WriteAllTextAsync($"{other}/.dockerignore", "left", Cancellation);
        (await Build(
            "FROM nosuch.example/base\nCOPY --from=other . /o/\nRUN --mount=from=other,target=/m cp /m/f /n\nCOPY --from=picture /etc/os-release /r", "-t", image,
            "--build-context", $"other={other}", "--build-context", "nosuch.example/base=docker-image://alpine", "--build-context", "picture=docker-image://alpine")).Ok().Says("[context other] load from client");
        Assert.Equal("other\nother\n.dockerignore\nf\n", await Shown(image, "cat /o/f; echo; cat /n; echo; ls -A /o"));
    }

    [Fact]
    public async Task An_image_of_a_layout_is_a_context()
    {
        Put("f", "laid out");
        var (layout, image) = ($"{Folder()}/layout", Image());
        Put("Dockerfile", "FROM scratch\nCOPY f /f\nENV LAID=out\n");
        (await Buildx("buildx", "build", "-o", $"type=oci,dest={layout}.tar,name=n.example/laid:1", Context)).Ok();
        Directory.CreateDirectory(layout);
        (await Programs.Run("tar", ["-C", layout, "-xf", $"{layout}.tar"])).Ok();
        (await Build("FROM alpine\nCOPY --from=laid /f /g\nRUN --mount=from=laid,target=/m cp /m/f /h\nFROM laid AS own\nFROM alpine\nCOPY --from=0 /g /h /", "-t", image, "--build-context", $"laid=oci-layout://{layout}:1")).Ok();
        Assert.Equal("laid outlaid out", await Shown(image, "cat /g /h"));
        (await Build("FROM laid", "-t", image, "--build-context", $"laid=oci-layout://{layout}:1")).Ok();
        Assert.Equal("LAID=out", (await Docker.Inspect(image, "{{range .Config.Env}}{{println .}}{{end}}")).Split('\n').Last(line => line.StartsWith("LAID", StringComparison.Ordinal)));
        (await Build("FROM laid", "--build-context", $"laid=oci-layout://{layout}@sha256:{new string('0', 64)}")).Exited(1);
    }

    [Fact]
    public async Task A_layout_goes_into_a_folder()
    {
        Requirement.Program("skopeo", "skopeo");
        Put("f", "laid out");
        var (layout, image) = ($"{Folder()}/layout", Image());
        (await Build("FROM alpine\nCOPY f /f\n", "-o", $"type=oci,tar=false,dest={layout}")).Ok();
        var inspected = JsonNode.Parse((await Programs.Run("skopeo", ["inspect", $"oci:{layout}:latest"])).Ok().Output)!;
        Assert.Equal(2, inspected["Layers"]!.AsArray().Count);
        (await Build("FROM laid", "-t", image, "--build-context", $"laid=oci-layout://{layout}:latest")).Ok();
        Assert.Equal("laid out", await Shown(image, "cat /f"));

        // Another image in the same folder, for two platforms and with a name, which the client writes.
        (await Build("FROM scratch\nCOPY f /f\n", "--platform", "linux/amd64,linux/arm64", "-o", $"type=oci,tar=false,dest={layout},name=n.example/laid:1")).Ok();
        var index = JsonNode.Parse(await File.ReadAllTextAsync($"{layout}/index.json", Cancellation))!["manifests"]!.AsArray();
        Assert.Equal(2, index.Count);
        var named = index.Single(entry => entry!["annotations"]!.AsObject().Any(annotation => (string?)annotation.Value == "n.example/laid:1"))!;
        var platforms = JsonNode.Parse(await File.ReadAllTextAsync($"{layout}/blobs/{((string)named["digest"]!).Replace(':', '/')}", Cancellation))!["manifests"]!.AsArray();
        Assert.Equal(["amd64", "arm64"], platforms.Select(entry => (string?)entry!["platform"]!["architecture"]));
        (await Build("FROM alpine\n", "-o", $"type=docker,tar=false,dest={layout}")).Exited(1);
    }

    [Fact]
    public async Task Ignored_files_are_those_that_the_context_names_wherever_the_Dockerfile_is()
    {
        Put(".dockerignore", "no*");
        Put("no", "");
        Put("yes", "");
        var (elsewhere, image) = (Folder(), Image());
        await File.WriteAllTextAsync($"{elsewhere}/Own", "FROM alpine\nCOPY . /c/", Cancellation);
        (await Buildx("buildx", "build", "-t", image, "-f", $"{elsewhere}/Own", Context)).Ok();
        Assert.Equal("yes\n", await Shown(image, "ls /c"));
        await File.WriteAllTextAsync($"{elsewhere}/Own.dockerignore", "yes", Cancellation);
        (await Buildx("buildx", "build", "-t", image, "-f", $"{elsewhere}/Own", Context)).Ok();
        Assert.Equal("no\n", await Shown(image, "ls /c"));
    }

    [Fact]
    public async Task Stages_named_are_built_anew()
    {
        var mark = Guid.NewGuid();
        var dockerfile = $"FROM alpine AS a\nRUN echo a {mark}\nFROM alpine AS b\nRUN echo b {mark}\nFROM a\nCOPY --from=b /etc/passwd /x";
        (await Build(dockerfile)).Ok();
        var again = await Build(dockerfile, "--no-cache-filter", "b");
        Assert.True(IsCached(again, $"RUN echo a {mark}"));
        Assert.False(IsCached(again, $"RUN echo b {mark}"));
        Assert.True(IsCached(again, "COPY --from=b /etc/passwd /x"));
    }

    [Theory]
    [InlineData("none", "1")]
    [InlineData("default", "2")]
    public async Task Steps_have_the_network_that_is_asked_for(string network, string interfaces) =>
        Assert.Contains($"links {interfaces}", (await Build("FROM alpine\nRUN echo links $(ls /sys/class/net | grep -c -e ^lo -e ^eth)", "--no-cache", "--network", network)).Ok().Error, StringComparison.Ordinal);

    [Theory]
    [InlineData("FROM alpine\nRUN echo begun; echo wrong >&2; exit 3\n# end", "process \"/bin/sh -c echo begun; echo wrong >&2; exit 3\" did not complete successfully: exit code: 3", 2)]
    [InlineData("FROM alpine\nRNU true", "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)", 2)]
    [InlineData("FROM alpine\n\nCOPY nosuch /", "failed to compute cache key: failed to calculate checksum", 3)]
    [InlineData("FROM alpine\nRUN --mount=type=secret,id=q,required=true true", "secret q: not found", 2)]
    [InlineData("FROM alpine\nRUN --mount=type=ssh,required=true true", "unset ssh forward key", 2)]
    [InlineData("FROM alpine\nRUN --network=host true", "network.host is not allowed", 2)]
    [InlineData("FROM alpine AS a\nFROM b\nCOPY --from=a /etc/nosuch /", "lookup", 2)]
    public async Task What_fails_is_shown_with_its_lines(string dockerfile, string message, int line)
    {
        var failed = (await Build(dockerfile.Replace("FROM b", "FROM registry.invalid/b", StringComparison.Ordinal))).Exited(1);
        failed.Says("ERROR: failed to solve: ").Says(message).Says($"Dockerfile:{line}\n--------------------\n").Says($"   {line} | >>> ");
    }

    [Theory]
    [InlineData(new[] { "--target", "nosuch" }, "target stage \"nosuch\" could not be found")]
    [InlineData(new[] { "--allow", "device" }, "unknown entitlement device")]
    [InlineData(new[] { "-o", "type=nosuch,dest=x" }, "nosuch")]
    public async Task What_is_not_there_is_refused(string[] options, string message) => (await Build("FROM alpine", options)).Exited(1).Says(message);

    [Theory]
    [InlineData("plain", "line of the step")]
    [InlineData("rawjson", "bGluZSBvZiB0aGUgc3RlcA")]
    public async Task Progress_comes_while_a_step_runs(string progress, string awaited)
    {
        var mark = "sleep 753" + Random.Shared.Next(1000, 9999);
        Put("Dockerfile", $"FROM alpine\nRUN echo line of the step && {mark}");
        using Process client = await Begin("buildx", "build", "--progress", progress, Context);
        var seen = "";
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(Programs.Limit(60));
        while (!seen.Contains(awaited, StringComparison.Ordinal))
        {
            seen += await client.StandardError.ReadLineAsync(limit.Token) ?? throw new InvalidOperationException($"the build ended: {seen}");
        }

        Assert.False(client.HasExited);
        (await Programs.Run("kill", ["-INT", $"{client.Id}"])).Ok();
        await client.StandardError.ReadToEndAsync(limit.Token);
        await client.WaitForExitAsync(limit.Token);
        await StepProcess.Until(mark, runs: false);
    }

    [Fact]
    public async Task An_interrupted_client_ends_its_steps()
    {
        var mark = "sleep 654" + Random.Shared.Next(1000, 9999);
        Put("Dockerfile", $"FROM alpine\nRUN echo begun && {mark}");
        using Process client = await Begin("buildx", "build", "--progress", "plain", Context);
        await StepProcess.Until(mark, runs: true);
        (await Programs.Run("kill", ["-INT", $"{client.Id}"])).Ok();
        await StepProcess.Until(mark, runs: false);
        await client.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, client.ExitCode);
    }

    [Fact]
    public async Task A_Dockerfile_or_a_context_comes_from_standard_input()
    {
        Put("f", "f");
        Put("Dockerfile", "FROM alpine\nCOPY f /f");
        var (path, image) = ($"{Folder()}/context.tar", Image());
        (await Programs.Run("tar", ["-C", Context, "-cf", path, "."])).Ok();
        await using (var archive = File.OpenRead(path))
        {
            (await Programs.Run(Docker.Path, ["buildx", "build", "-t", image, "-"], archive, environment: await Variables(Docker))).Ok();
        }

        Assert.Equal("f", await Shown(image, "cat /f"));
        using MemoryStream text = new("FROM alpine\nCOPY f /g"u8.ToArray());
        (await Programs.Run(Docker.Path, ["buildx", "build", "-t", image, "-f", "-", Context], text, environment: await Variables(Docker))).Ok();
        Assert.Equal("f", await Shown(image, "cat /g"));
    }

    [Fact]
    public async Task Docker_build_uses_the_plugin()
    {
        Put("Dockerfile", "FROM alpine\nRUN --mount=type=secret,id=s test -s /run/secrets/s");
        Put("s", "secret");
        (await Buildx("build", "--progress", "plain", "--secret", $"id=s,src={Context}/s", Context)).Ok().Says("building with \"default\" instance using docker driver");
    }

    [Fact]
    public async Task The_cache_is_listed_and_pruned_by_what_it_is()
    {
        var mark = Guid.NewGuid().ToString("N");
        (await Build($"FROM alpine\nRUN echo {mark} > /x")).Ok();
        var verbose = (await Buildx("buildx", "du", "--verbose")).Ok().Output;
        Assert.Contains(mark, verbose, StringComparison.Ordinal);
        Assert.Contains("source.local", verbose, StringComparison.Ordinal);
        (await Buildx("buildx", "prune", "-f", "--filter", "until=24h", "--filter", "type=regular")).Ok();
        Assert.Contains(mark, (await Buildx("buildx", "du", "--verbose")).Ok().Output, StringComparison.Ordinal);
        var id = verbose.Split("\n\n").Single(record => record.Contains(mark, StringComparison.Ordinal)).Split('\n')[0].Split('\t')[^1];
        (await Buildx("buildx", "prune", "-af", "--filter", $"id={id}")).Ok().Says(id);
        Assert.DoesNotContain(mark, (await Buildx("buildx", "du", "--verbose")).Ok().Output, StringComparison.Ordinal);
        (await Buildx("buildx", "prune", "-f", "--filter", "nosuch=1")).Exited(1);
    }
}
