using System.Formats.Tar;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary><c>slipway build</c>.</summary>
public sealed class SlipwayBuildTests(SharedEngine engine) : BuildTest(engine)
{
    [Fact]
    public async Task A_folder_is_built_and_only_what_changed_is_sent_again()
    {
        var image = Image();
        Put("Dockerfile", "FROM alpine AS first\nARG A\nCOPY . /c/\nRUN echo $A > /arg\nFROM first\nRUN exit 9\n");
        Put("small.txt", Guid.NewGuid().ToString());
        Put("large.txt", new string('x', 50_000) + Guid.NewGuid());
        Put("left.txt", "out");
        Put(".dockerignore", "left.txt\n");
        string[] options = ["-t", image, "--target", "first", "--build-arg", "A=3", "--label", "l=m", "--no-cache"];
        (await SlipwayBuild(options)).Ok().Says("RUN echo 3 > /arg").Says("largest: large.txt (50");
        Assert.Equal("3 large.txt small.txt", (await Docker.Ok("run", "--rm", "--network", "none", image, "sh", "-c", "echo $(cat /arg) $(cd /c; ls *.txt)")));
        Assert.Equal("m", await Docker.Inspect(image, "{{.Config.Labels.l}}"));

        (await SlipwayBuild(options)).Ok().Says("context: sent nothing");
        Put("small.txt", "changed");
        (await SlipwayBuild(options)).Ok().Says("context: sent 1 file, 7B; largest: small.txt (7B)");
        Assert.Equal("changed", await Docker.Ok("run", "--rm", "--network", "none", image, "cat", "/c/small.txt"));
    }

    [Fact]
    public async Task A_Dockerfile_or_an_archive_comes_on_standard_input()
    {
        var (alone, beside, archived) = (Image("alone"), Image("beside"), Image("archived"));
        Put("a.txt", "a");
        (await Slipway("FROM alpine\nRUN echo alone > /x\n", "build", "-t", alone, "-")).Ok();
        (await Slipway("FROM alpine\nCOPY a.txt /x\n", "build", "-t", beside, "-f", "-", Context)).Ok();
        using MemoryStream archive = new();
        Put("Dockerfile", "FROM alpine\nCOPY a.txt /x\nRUN echo rchived >> /x\n");
        await TarFile.CreateFromDirectoryAsync(Context, archive, includeBaseDirectory: false, Cancellation);
        archive.Position = 0;
        (await Programs.Run(Repository.Executable!, ["build", "-t", archived, "-"], archive, environment: SlipwayVariables)).Ok();
        foreach (var (image, content) in new[] { (alone, "alone"), (beside, "a"), (archived, "archived") })
        {
            Assert.Equal(content, await Docker.Ok("run", "--rm", "--network", "none", image, "cat", "/x"));
        }
    }

    [Fact]
    public async Task Secrets_agents_and_further_contexts_are_given()
    {
        var (image, secret, other) = (Image(), Guid.NewGuid().ToString("N"), Folder());
        var path = $"{Folder()}/agent";
        using Socket agent = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        agent.Bind(new UnixDomainSocketEndPoint(path));
        agent.Listen();
        await File.WriteAllTextAsync($"{other}/o.txt", "other", Cancellation);
        await File.WriteAllTextAsync($"{other}/secret", secret, Cancellation);
        Put("Dockerfile", """
            FROM alpine
            COPY --from=more o.txt /o
            RUN --mount=type=secret,id=s --mount=type=ssh sha256sum < /run/secrets/s > /sum && test -S $SSH_AUTH_SOCK
            """);
        (await SlipwayBuild("-t", image, "--secret", $"id=s,src={other}/secret", "--ssh", $"default={path}", "--build-context", $"more={other}")).Ok();
        var sum = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
        Assert.Equal($"{sum}  -\nother", await Docker.Ok("run", "--rm", "--network", "none", image, "cat", "/sum", "/o"));
        Assert.DoesNotContain(secret, (await Docker.Run("history", "--no-trunc", image)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Results_go_to_folders_and_archives()
    {
        var folder = Folder();
        Put("a.txt", "content");
        Put("Dockerfile", "FROM scratch\nCOPY a.txt /d/a.txt\n");
        (await SlipwayBuild("-o", $"{folder}/out")).Ok();
        Assert.Equal("content", await File.ReadAllTextAsync($"{folder}/out/d/a.txt", Cancellation));

        (await SlipwayBuild("-o", $"type=tar,dest={folder}/out.tar")).Ok();
        Assert.Equal(["d/", "d/a.txt"], (await Programs.Run("tar", ["-tf", $"{folder}/out.tar"])).Ok().Lines.Order(StringComparer.Ordinal));

        var name = Image();
        (await SlipwayBuild("-t", name, "-o", $"type=docker,dest={folder}/image.tar")).Ok();
        (await Docker.Run("image", "inspect", name)).Exited(1);
        (await Docker.Run("load", "-i", $"{folder}/image.tar")).Ok().Says(name);

        (await SlipwayBuild("-o", $"type=oci,dest={folder}/oci.tar")).Ok();
        Assert.Contains("oci-layout", (await Programs.Run("tar", ["-tf", $"{folder}/oci.tar"])).Ok().Lines);

        (await SlipwayBuild("-o", $"type=oci,tar=false,dest={folder}/layout")).Ok();
        Assert.Equal(["blobs", "index.json", "oci-layout"], Directory.EnumerateFileSystemEntries($"{folder}/layout").Select(Path.GetFileName).Intersect(["blobs", "index.json", "oci-layout"]).Order(StringComparer.Ordinal));

        // Told before the first step.
        var refused = (await SlipwayBuild("--cache-to", "type=nosuch")).Exited(1).Says("unknown cache exporter: \"nosuch\"");
        Assert.DoesNotContain("COPY a.txt", refused.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Context).Select(Path.GetFileName).Except(["a.txt", "Dockerfile"]));
    }

    [Fact]
    public async Task The_id_is_told_where_it_is_asked_for()
    {
        var (image, file) = (Image(), $"{Folder()}/id");
        Put("Dockerfile", $"FROM alpine\nLABEL once={Guid.NewGuid():N}\n");
        var quiet = (await SlipwayBuild("-q", "-t", image, "--iidfile", file)).Ok();
        var id = await Docker.Inspect(image, "{{.Id}}");
        Assert.Equal((id, "", id), (quiet.Line, quiet.Error, await File.ReadAllTextAsync(file, Cancellation)));

        var json = (await SlipwayBuild("--progress", "rawjson")).Ok();
        Assert.Contains(json.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => JsonNode.Parse(line)!["vertexes"] is JsonArray { Count: > 0 });
    }

    [Fact]
    public async Task What_cannot_be_built_is_told_with_its_lines()
    {
        Put("Dockerfile", "FROM alpine\nRUN echo before && exit 7\n");
        (await SlipwayBuild()).Exited(1).Says("before").Says("exit code: 7").Says("ERROR: failed to build");

        Put("Dockerfile", "FROM alpine\nRNU true\n");
        (await SlipwayBuild()).Exited(1).Says("unknown instruction: RNU").Says("RUN").Says(">>> RNU true");

        (await Slipway(null, "build", "/no/such")).Exited(1).Says("unable to prepare context: path \"/no/such\" not found");
        (await SlipwayBuild("-f", $"{Context}/nosuch")).Exited(1).Says("failed to read dockerfile: open").Says("no such file or directory");
        (await SlipwayBuild("--progress", "loud")).Exited(1).Says("invalid progress type \"loud\"");
        (await SlipwayBuild("--secret", "id=s,src=/no/such")).Exited(1).Says("/no/such");
        (await SlipwayBuild("--build-context", "more")).Exited(1).Says("expected key=value");
        (await SlipwayBuild("-o", "type=nosuch,dest=x")).Exited(1).Says("nosuch");
    }

    [Fact]
    public async Task A_check_builds_nothing()
    {
        Put("Dockerfile", "FROM alpine\nRUN true\n");
        (await SlipwayBuild("--check")).Ok().Says("Check complete, no warnings found.");

        var mark = Guid.NewGuid().ToString("N");
        Put(".dockerignore", "secret.txt\n");
        Put("Dockerfile", $"# check=experimental=CopyIgnoredFile\nfrom alpine\nCOPY secret.txt /\nRUN echo {mark}\nCMD true\n");
        var found = (await SlipwayBuild("--check")).Exited(1);
        found.Says("warnings have been found!").Says("CopyIgnoredFile").Says("JSONArgsRecommended").Says("ConsistentInstructionCasing");
        Assert.DoesNotContain(mark, await Docker.Ok("system", "df", "-v"), StringComparison.Ordinal);
    }

    private Dictionary<string, string> SlipwayVariables => new() { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" };

    private Task<CliResult> SlipwayBuild(params string[] options) => Slipway(null, ["build", .. options, Context]);

    private Task<CliResult> Slipway(string? input, params string[] arguments)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        return Programs.Run(Repository.Executable!, arguments, input is null ? null : new MemoryStream(Encoding.UTF8.GetBytes(input)), environment: SlipwayVariables);
    }
}
