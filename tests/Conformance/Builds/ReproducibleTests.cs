using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>SOURCE_DATE_EPOCH: the same inputs make the same image, wherever and whenever.</summary>
public sealed class ReproducibleTests(SharedEngine engine) : BuildTest(engine)
{
    private const string Epoch = "1700000000";

    private const string Text = """
        FROM alpine AS made
        RUN mkdir -p /made/sub && date > /dev/null && echo x > /made/sub/f && ln -s f /made/sub/l && mkfifo /made/p && rm -r /home
        FROM made
        COPY d /d/
        COPY --from=made /made /again/
        COPY <<EOF /text
        from the Dockerfile
        EOF
        WORKDIR /w/x
        RUN touch /made/sub/f && chmod 700 /made/sub
        ENV A=1
        LABEL l=1
        """;

    /// <summary>The files of a context in some order, with some times: newer than the epoch, but for one.</summary>
    private void Files(bool reverse, int year)
    {
        string[] names = ["d/a", "d/b/c", "d/old"];
        foreach (var name in reverse ? names.Reverse() : names)
        {
            Put(name, name);
            File.SetLastWriteTimeUtc($"{Context}/{name}", name == "d/old" ? new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc) : new DateTime(year, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        }

        Directory.SetLastWriteTimeUtc($"{Context}/d/b", new DateTime(year, 5, 6, 7, 8, 9, DateTimeKind.Utc));
    }

    [Fact]
    public async Task Another_engine_makes_the_same_image_at_another_time()
    {
        var image = Image();
        Files(reverse: false, 2024);
        (await Build(Text, "-t", image, "--build-arg", $"SOURCE_DATE_EPOCH={Epoch}")).Ok();
        var id = await Docker.Inspect(image, "{{.Id}}");
        Assert.Equal("2023-11-14T22:13:20Z", await Docker.Inspect(image, "{{.Created}}"));
        Assert.Equal(
            $"{Epoch}\n{Epoch}\n981173106\n",
            (await Docker.Run("run", "--rm", "--network", "none", image, "stat", "-c", "%Y", "/made/sub/f", "/d/a", "/d/old")).Ok().Output);

        var archive = $"{Folder()}/alpine.tar";
        await Docker.Ok("save", "-o", archive, "alpine");
        await using Engine other = new("repro") { Gateway = $"10.214.{Environment.ProcessId % 250}.1" };
        await other.Start();
        await other.Docker.Ok("load", "-i", archive);
        Directory.Delete($"{Context}/d", recursive: true);
        Files(reverse: true, 2025);
        Dictionary<string, string> variables = new(other.Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" };
        (await Programs.Run(Docker.Path, ["build", "-t", image, "--build-arg", $"SOURCE_DATE_EPOCH={Epoch}", Context], environment: variables)).Ok();
        Assert.Equal(id, await other.Docker.Inspect(image, "{{.Id}}"));
    }

    [Fact]
    public async Task Steps_with_other_times_are_other_steps()
    {
        var word = Guid.NewGuid().ToString();
        var text = $"FROM alpine\nRUN echo {word} > /f";
        (await Build(text)).Ok();
        Assert.Equal($"{Epoch}\n", await Shown(text, "stat -c %Y /f", "--build-arg", $"SOURCE_DATE_EPOCH={Epoch}"));
        Assert.NotEqual($"{Epoch}\n", await Shown(text, "stat -c %Y /f"));
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("-1")]
    [InlineData("999999999999999")]
    public async Task A_time_that_is_none_is_refused(string epoch) =>
        (await Build("FROM alpine", "--build-arg", $"SOURCE_DATE_EPOCH={epoch}")).Exited(1).Says($"invalid value \"{epoch}\" of SOURCE_DATE_EPOCH");
}
