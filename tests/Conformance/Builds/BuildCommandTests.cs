using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>What the command says, what it takes, and what it finds again.</summary>
public sealed class BuildCommandTests(SharedEngine engine) : BuildTest(engine)
{
    private static string[] Steps(CliResult built) => [.. built.Ok().Lines.Where(line => line.StartsWith("Step ", StringComparison.Ordinal) || line == " ---> Using cache")];

    [Fact]
    public async Task Steps_are_told_in_order_and_found_again()
    {
        Put("f", Guid.NewGuid().ToString());
        const string Dockerfile = "FROM alpine\nCOPY f /f\nRUN cat /f";
        var image = Image();
        var first = await Build(Dockerfile, "-t", image);
        Assert.Equal(["Step 1/3 : FROM alpine", "Step 2/3 : COPY f /f", "Step 3/3 : RUN cat /f"], Steps(first));
        Assert.Matches("Successfully built [0-9a-f]{12}\nSuccessfully tagged " + image, first.Output);
        var id = await Docker.Inspect(image, "{{.Id}}");
        var second = await Build(Dockerfile, "-t", image);
        Assert.Equal(["Step 1/3 : FROM alpine", "Step 2/3 : COPY f /f", " ---> Using cache", "Step 3/3 : RUN cat /f", " ---> Using cache"], Steps(second));
        Assert.Equal(id, await Docker.Inspect(image, "{{.Id}}"));
        Put("f", "other");
        Assert.DoesNotContain(" ---> Using cache", Steps(await Build(Dockerfile)));
    }

    [Fact]
    public async Task Times_of_files_are_no_change_and_modes_are()
    {
        Put("f", Guid.NewGuid().ToString());
        const string Dockerfile = "FROM alpine\nCOPY f /f";
        (await Build(Dockerfile)).Ok();
        File.SetLastWriteTimeUtc($"{Context}/f", new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        Assert.Contains(" ---> Using cache", Steps(await Build(Dockerfile)));
        File.SetUnixFileMode($"{Context}/f", (UnixFileMode)0x180);
        Assert.DoesNotContain(" ---> Using cache", Steps(await Build(Dockerfile)));
    }

    [Fact]
    public async Task Options_reach_the_build()
    {
        var image = Image();
        var file = $"{Folder()}/iid";
        (await Build(
            "ARG BASE\nFROM $BASE AS first\nARG A=default\nRUN echo $A > /a; ulimit -n >> /a; grep extra /etc/hosts >> /a; df -k /dev/shm | tail -n1 | tr -s ' ' | cut -d' ' -f2 >> /a\nFROM first\nRUN false",
            "-t", image, "--build-arg", "BASE=alpine", "--build-arg", "A=given", "--target", "first", "--ulimit", "nofile=123", "--add-host", "extra:10.1.2.3", "--shm-size", "8m", "--iidfile", file, "--network", "none")).Ok();
        Assert.Equal("given\n123\n10.1.2.3\textra\n8192\n", (await Docker.Run("run", "--rm", "--network", "none", image, "cat", "/a")).Ok().Output);
        Assert.Equal(await Docker.Inspect(image, "{{.Id}}"), File.ReadAllText(file));
    }

    [Fact]
    public async Task Quiet_prints_the_id_alone() => Assert.Matches("^sha256:[0-9a-f]{64}\n$", (await Build("FROM alpine\nRUN echo loud", "-q")).Ok().Output);

    [Fact]
    public async Task A_Dockerfile_comes_from_standard_input()
    {
        using MemoryStream input = new(System.Text.Encoding.UTF8.GetBytes("FROM alpine\nRUN echo from input"));
        var built = await Programs.Run(Docker.Path, ["build", "-"], input, environment: Variables);
        Assert.Contains("from input", built.Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ignored_files_are_not_in_the_context()
    {
        Put(".dockerignore", "*.secret\n!keep.secret\nDockerfile");
        Put("a.secret", "");
        Put("keep.secret", "");
        Assert.Equal("keep.secret\n", await Shown("FROM alpine\nCOPY . /c/", "ls /c"));
    }

    [Fact]
    public async Task A_failing_command_ends_the_build_with_its_code()
    {
        var failed = await Build("FROM alpine\nRUN exit 42\nRUN echo never");
        failed.Exited(42).Says("The command '/bin/sh -c exit 42' returned a non-zero code: 42");
        Assert.DoesNotContain("never", failed.Output.Replace("echo never", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FROM alpine\nRNU true", "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)")]
    [InlineData("FROM alpine\nCOPY nosuch /", "COPY failed: file not found in build context or excluded by .dockerignore: stat nosuch: file does not exist")]
    [InlineData("FROM alpine\nCOPY no* /", "COPY failed: no source files were specified")]
    [InlineData("FROM alpine\nCOPY Dockerfile Dockerfile /etc/passwd", "When using COPY with more than one source file, the destination must be a directory and end with a /")]
    [InlineData("FROM alpine\nCOPY --chown=nosuch Dockerfile /", "can't find uid for user nosuch: no such user: nosuch")]
    [InlineData("FROM alpine\nCOPY Dockerfile /etc/passwd/", "cannot copy to non-directory")]
    [InlineData("FROM alpine\nWORKDIR /etc/passwd", "Cannot mkdir: /etc/passwd is not a directory")]
    [InlineData("FROM alpine\nUSER nosuch\nRUN true", "unable to find user nosuch")]
    [InlineData("FROM alpine\nRUN --security=insecure true", "security.insecure is not allowed")]
    public async Task What_cannot_be_built_is_said(string dockerfile, string message) => (await Build(dockerfile)).Exited(1).Says(message);

    [Fact]
    public async Task Stages_overlap_in_time()
    {
        // Each waits for the other by a cache that both have.
        var id = Guid.NewGuid().ToString("N");
        string Stage(string name, string other) =>
            $"FROM alpine AS {name}\nRUN --mount=type=cache,id={id},target=/c touch /c/{name} && n=0; until [ -e /c/{other} ]; do sleep 0.1; n=$((n+1)); [ $n -lt 600 ] || exit 1; done; touch /{name}\n";
        (await Build(Stage("a", "b") + Stage("b", "a") + "FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /", "--network", "none")).Ok();
    }

    [Fact]
    public async Task A_client_that_leaves_ends_its_steps()
    {
        var mark = "sleep 987" + Random.Shared.Next(1000, 9999);
        Put("Dockerfile", $"FROM alpine\nRUN echo begun && {mark}");
        using (Process client = Programs.Start(Docker.Path, ["build", Context], Variables))
        {
            await StepProcess.Until(mark, runs: true);
            client.Kill();
            await client.WaitForExitAsync(Cancellation);
        }

        await StepProcess.Until(mark, runs: false);
    }

    [Fact]
    public async Task The_cache_is_listed_and_emptied_by_filter()
    {
        var mark = Guid.NewGuid().ToString("N");
        var dockerfile = $"FROM alpine\nRUN echo {mark} > /x";
        (await Build(dockerfile)).Ok();
        Assert.Contains(mark, await Docker.Ok("system", "df", "-v", "--format", "{{range .BuildCache}}{{.Description}}\n{{end}}{{json .BuildCache}}"), StringComparison.Ordinal);
        using EngineHttp http = new(Docker.Socket);
        var filters = Uri.EscapeDataString("{\"description\":{\"" + mark + "\":true}}");
        Assert.Contains("\"CachesDeleted\":[\"", (await http.Post($"v1.45/build/prune?all=1&filters={filters}")).Body, StringComparison.Ordinal);
        Assert.DoesNotContain(mark, await Docker.Ok("system", "df", "-v", "--format", "{{json .BuildCache}}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"bogus\":{\"1\":true}}", "failed to prune build cache: invalid filter 'bogus'")]
    [InlineData("{\"until\":{\"soon\":true}}", "failed to prune build cache: \\\"until\\\" filter expects a duration (e.g., '24h')")]
    public async Task A_prune_of_the_cache_by_what_it_does_not_know_is_refused(string filters, string message)
    {
        using EngineHttp http = new(Docker.Socket);
        Assert.Contains(message, (await http.Post($"v1.45/build/prune?filters={Uri.EscapeDataString(filters)}")).Body, StringComparison.Ordinal);
    }
}
