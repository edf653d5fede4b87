using System.Diagnostics;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary><c>slipway build ls|log|inspect|rm</c>: builds of all clients, as the engine remembers them.</summary>
public sealed class BuildHistoryTests(SharedEngine engine) : BuildxTest(engine)
{
    private Dictionary<string, string> SlipwayVariables => new() { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" };

    [Theory]
    [InlineData("classic")]
    [InlineData("buildx")]
    [InlineData("slipway")]
    public async Task A_build_of_any_client_is_remembered_with_its_log(string client)
    {
        var (image, mark) = (Image(), Guid.NewGuid().ToString("N"));
        Put("Dockerfile", $"FROM alpine AS t\nARG A\nRUN echo said $A {mark}\nFROM scratch AS unused\n");
        string[] options = ["-t", image, "--target", "t", "--build-arg", "A=arg", Context];
        (await (client switch
        {
            "classic" => Programs.Run(Docker.Path, ["build", .. options], environment: new Dictionary<string, string>(Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" }),
            "buildx" => Buildx(["buildx", "build", .. options]),
            _ => Slipway(["build", .. options]),
        })).Ok();

        var reference = await ReferenceOf(image);
        var record = await Inspect(reference);
        Assert.Equal(
            (image, "Dockerfile", "t", "completed", "", 3, 3, await Docker.Inspect(image, "{{.Id}}")),
            ((string?)record["Name"], (string?)record["Dockerfile"], (string?)record["Target"], (string?)record["Status"], (string?)record["Error"], (int)record["TotalSteps"]!, (int)record["CompletedSteps"]!,
                (string?)record["Image"]));
        Assert.Equal("arg", (string?)record["Attributes"]!["build-arg:A"]);
        Assert.True(DateTimeOffset.Parse((string)record["StartedAt"]!, null) <= DateTimeOffset.Parse((string)record["CompletedAt"]!, null));
        var log = (await Slipway("build", "log", reference[..8])).Ok().Output;
        Assert.Contains($"said arg {mark}\n", log, StringComparison.Ordinal);
        Assert.Contains("RUN echo said", log, StringComparison.Ordinal);
        var json = (await Slipway("build", "log", "--progress", "rawjson", reference)).Ok().Lines.Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Contains(json, line => line["logs"] is JsonArray { Count: > 0 });

        (await Slipway("build", "rm", reference)).Ok();
        (await Slipway("build", "inspect", reference)).Exited(1).Says($"no record found for ref \"{reference}\"");
        (await Slipway("build", "log", reference)).Exited(1).Says($"no record found for ref \"{reference}\"");
        (await Slipway("build", "rm", reference)).Exited(1).Says($"no record found for ref \"{reference}\"");
    }

    [Fact]
    public async Task What_failed_and_what_was_cancelled_is_told()
    {
        var (failed, cancelled) = (Image("failed"), Image("cancelled"));
        (await Build("FROM alpine\nRUN echo before; exit 7\n", "-t", failed)).Exited(1);
        var mark = "sleep 852" + Random.Shared.Next(1000, 9999);
        Put("Dockerfile", $"FROM alpine\nRUN echo begun; {mark}\n");
        using (var client = await Begin("buildx", "build", "-t", cancelled, Context))
        {
            await StepProcess.Until(mark, runs: true);
            var running = await ReferenceOf(cancelled);
            Assert.Equal("running", (string?)(await Inspect(running))["Status"]);
            (await Slipway("build", "rm", running)).Exited(1).Says("is running");
            Assert.Contains(running[..12], (await Slipway("build", "ls", "-q", "--filter", "status=running")).Ok().Lines);

            // The log of a build that runs is followed to its end.
            using var following = Programs.Start(Repository.Executable!, ["build", "log", running], SlipwayVariables);
            var seen = "";
            while (!seen.Contains("begun\n", StringComparison.Ordinal))
            {
                seen += (await following.StandardOutput.ReadLineAsync(Cancellation) ?? throw new InvalidOperationException($"the log ended: {seen}")) + "\n";
            }

            Assert.False(following.HasExited);
            (await Programs.Run("kill", ["-INT", $"{client.Id}"])).Ok();
            await client.WaitForExitAsync(Cancellation);
            await following.WaitForExitAsync(Cancellation);
            Assert.Equal(0, following.ExitCode);
        }

        var error = await Inspect(await ReferenceOf(failed));
        Assert.Equal(("error", 2, 1), ((string?)error["Status"], (int)error["TotalSteps"]!, (int)error["CompletedSteps"]!));
        Assert.Contains("exit code: 7", (string?)error["Error"], StringComparison.Ordinal);
        Assert.Contains("before", (await Slipway("build", "log", await ReferenceOf(failed))).Ok().Output, StringComparison.Ordinal);
        Assert.Equal("canceled", (string?)(await Inspect(await ReferenceOf(cancelled)))["Status"]);
        Assert.Equal([failed], (await Slipway("build", "ls", "--format", "{{.Name}}", "--filter", $"name={failed}", "--filter", "status=error")).Ok().Lines);
        Assert.Empty((await Slipway("build", "ls", "-q", "--filter", $"name={failed}", "--filter", "status=completed")).Ok().Lines);
    }

    [Fact]
    public async Task A_request_that_no_build_comes_of_is_remembered()
    {
        var mark = "t" + Guid.NewGuid().ToString("N");
        Put("Dockerfile", $"FROM alpine AS {mark}\n");
        (await Slipway("build", "--target", mark, "-o", "type=nosuch", Context)).Exited(1).Says("exporter \"nosuch\" could not be found");
        var record = await Inspect((await Slipway("build", "ls", "-q", "--no-trunc", "--filter", $"target={mark}")).Ok().Line);
        Assert.Equal(("error", mark, 0), ((string?)record["Status"], (string?)record["Target"], (int)record["TotalSteps"]!));
        Assert.Contains("exporter \"nosuch\" could not be found", (string?)record["Error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_list_has_a_table_and_the_latest_comes_first()
    {
        var (one, two) = (Image("one"), Image("two"));
        (await Build($"FROM scratch\nLABEL a={Guid.NewGuid():N}\n", "-t", one)).Ok();
        (await Build($"FROM scratch\nLABEL a={Guid.NewGuid():N}\n", "-t", two)).Ok();
        var lines = (await Slipway("build", "ls")).Ok().Lines;
        Assert.Matches(@"^BUILD ID\s+NAME\s+STATUS\s+STEPS\s+CREATED\s+DURATION$", lines[0].TrimEnd());
        var names = (await Slipway("build", "ls", "--no-trunc", "--format", "{{.Name}}")).Ok().Lines.ToList();
        Assert.True(names.IndexOf(two) >= 0 && names.IndexOf(two) < names.IndexOf(one), string.Join(' ', names));

        (await Slipway("build", "ls", "--filter", "color=red")).Exited(1).Says("invalid filter 'color'");
        (await Slipway("build", "rm")).Exited(1).Says("requires at least 1 argument");
        (await Slipway("build", "rm", "--all", "x")).Exited(1).Says("cannot specify both");
    }

    [Fact]
    public async Task A_folder_with_the_name_of_a_command_is_a_context_all_the_same()
    {
        var folder = Folder();
        Directory.CreateDirectory($"{folder}/ls");
        await File.WriteAllTextAsync($"{folder}/ls/Dockerfile", "FROM scratch\nLABEL a=b\n", Cancellation);
        var built = await Programs.Run("sh", ["-c", $"cd {folder} && exec {Repository.Executable} build -q ./ls"], environment: SlipwayVariables);
        Assert.StartsWith("sha256:", built.Ok().Line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logs_are_files_that_only_root_reads()
    {
        Requirement.Check(DataRoot is not null, "looks at the data root of the engine");
        (await Build("FROM alpine\nRUN head -c 1000000 /dev/urandom | od | head -c 1000000\n", "--no-cache")).Ok();
        var logs = new DirectoryInfo($"{DataRoot}/builds/history");
        Assert.Contains(logs.GetFiles(), file => file.Length is > 1_000_000 and < 5_000_000);
        Assert.All(logs.GetFiles(), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, file.UnixFileMode));
    }

    private async Task<string> ReferenceOf(string image) =>
        Assert.Single((await Slipway("build", "ls", "--no-trunc", "-q", "--filter", $"name={image}")).Ok().Lines);

    private async Task<JsonNode> Inspect(string reference) => JsonNode.Parse((await Slipway("build", "inspect", reference)).Ok().Output)![0]!;

    private Task<CliResult> Slipway(params string[] arguments)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        return Programs.Run(Repository.Executable!, arguments, environment: SlipwayVariables);
    }
}
