using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker events`: order, attributes, filters, past and future.</summary>
public sealed class EventTests(SharedEngine engine) : EngineTest(engine)
{
    private static string Now() => TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture);

    private async Task<JsonNode[]> Events(string since, params string[] filters)
    {
        string[] arguments = ["events", "--since", since, "--until", Now(), "--format", "{{json .}}", .. filters.SelectMany(filter => new[] { "-f", filter })];
        return [.. (await Docker.Run(arguments)).Ok().Lines.Select(line => JsonNode.Parse(line)!)];
    }

    [Fact]
    [RunOption("--label")]
    public async Task Life_of_a_container_in_order_with_attributes()
    {
        var name = Container();
        var since = Now();
        (await Docker.Run("run", "--rm", "--name", name, "-l", "color=blue", "alpine", "sh", "-c", "exit 3")).Exited(3);
        await Docker.Until(output => output.Contains("destroy", StringComparison.Ordinal), ["events", "--since", since, "--until", Now(), "-f", $"container={name}"]);
        var events = await Events(since, $"container={name}");
        Assert.Equal(["create", "attach", "start", "die", "destroy"], events.Select(one => (string?)one["Action"]));
        Assert.All(events, one => Assert.Equal("container", (string?)one["Type"]));
        Assert.All(events, one => Assert.Equal(name, (string?)one["Actor"]!["Attributes"]!["name"]));
        Assert.All(events, one => Assert.Equal("alpine", (string?)one["Actor"]!["Attributes"]!["image"]));
        Assert.All(events, one => Assert.Equal("blue", (string?)one["Actor"]!["Attributes"]!["color"]));
        Assert.Equal("3", (string?)events[3]["Actor"]!["Attributes"]!["exitCode"]);
        Assert.Equal(events.Select(one => (long)one["timeNano"]!).Order(), events.Select(one => (long)one["timeNano"]!));
    }

    [Fact]
    public async Task Every_verb_is_reported()
    {
        var (name, renamed) = (Container("a"), Container("b"));
        var since = Now();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sleep", "1000");
        await Docker.Ok("exec", name, "true");
        await Docker.Ok("pause", name);
        await Docker.Ok("unpause", name);
        await Docker.Ok("rename", name, renamed);
        await Docker.Ok("stop", "-t", "0", renamed);
        await Docker.Ok("start", renamed);
        await Docker.Ok("restart", "-t", "0", renamed);
        await Docker.Ok("rm", "-f", renamed);
        var id = (string?)(await Events(since, $"container={renamed}"))[0]["Actor"]!["ID"];
        var actions = (await Events(since, $"container={id}")).Select(one => ((string)one["Action"]!).Split(':')[0]).ToHashSet();
        Assert.Superset(new HashSet<string> { "create", "start", "exec_create", "exec_start", "exec_die", "pause", "unpause", "rename", "kill", "die", "stop", "restart", "destroy" }, actions);
    }

    /// <summary>The expected lines are those of dockerd 26.1.5 for the same commands.</summary>
    [Fact]
    public async Task Attributes_are_Dockers()
    {
        var (name, renamed, volume) = (Container("a"), Container("b"), "v" + Guid.NewGuid().ToString("N")[..8]);
        Cleanup(() => Docker.Run("volume", "rm", "-f", volume));
        var since = Now();
        await Docker.Ok("create", "--name", name, "-l", "k=v", "-v", $"{volume}:/data:ro", "alpine", "sleep", "1000");
        await Docker.Ok("start", name);
        await Docker.Ok("exec", name, "true");
        (await Docker.Run("exec", name, "sh", "-c", "exit 3")).Exited(3);
        await Docker.Ok("top", name);
        await Docker.Ok("export", "-o", Path.Combine(Folder(), "tar"), name);
        await Docker.Ok("pause", name);
        await Docker.Ok("unpause", name);
        await Docker.Ok("update", "--cpu-shares", "100", name);
        await Docker.Ok("rename", name, renamed);
        await Docker.Ok("kill", "-s", "HUP", renamed);
        await Docker.Ok("kill", renamed);
        await Docker.Until(output => output.Trim() == "exited", ["inspect", "-f", "{{.State.Status}}", renamed]);
        await Docker.Ok("rm", renamed);
        var events = await Events(since);
        var id = (string)events.First(one => (string?)one["Actor"]!["Attributes"]!["name"] == name)["Actor"]!["ID"]!;
        var lines = events.Where(Concerns).Select(Line).ToArray();
        string[] expected =
        [
            "container create image=alpine k=v name=NAME", "container destroy image=alpine k=v name=RENAMED",
            "container die execDuration=N exitCode=137 image=alpine k=v name=RENAMED", "container exec_create: sh -c exit 3 execID=ID image=alpine k=v name=NAME",
            "container exec_create: true  execID=ID image=alpine k=v name=NAME", "container exec_die execID=ID exitCode=0 image=alpine k=v name=NAME",
            "container exec_die execID=ID exitCode=3 image=alpine k=v name=NAME", "container exec_start: sh -c exit 3 execID=ID image=alpine k=v name=NAME",
            "container exec_start: true  execID=ID image=alpine k=v name=NAME", "container export image=alpine k=v name=NAME",
            "container kill image=alpine k=v name=RENAMED signal=1", "container kill image=alpine k=v name=RENAMED signal=9", "container pause image=alpine k=v name=NAME",
            "container rename image=alpine k=v name=RENAMED oldName=/NAME", "container start image=alpine k=v name=NAME", "container top image=alpine k=v name=NAME",
            "container unpause image=alpine k=v name=NAME", "container update image=alpine k=v name=NAME",
            "network connect container=CONTAINER name=bridge type=bridge", "network disconnect container=CONTAINER name=bridge type=bridge",
            "volume create driver=local", "volume mount container=CONTAINER destination=/data driver=local propagation= read/write=false",
            "volume unmount container=CONTAINER driver=local",
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), lines.Order(StringComparer.Ordinal));
        Assert.All(events.Where(Concerns), one => Assert.Equal((string?)one["Type"] == "container" ? (string?)one["Action"] : null, (string?)one["status"]));

        bool Concerns(JsonNode one) =>
            (string)one["Actor"]!["ID"]! == id || (string)one["Actor"]!["ID"]! == volume || (string?)one["Actor"]!["Attributes"]!["container"] == id;

        string Line(JsonNode one)
        {
            var attributes = one["Actor"]!["Attributes"]!.AsObject().OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $" {pair.Key}={pair.Key switch
            {
                "execID" => "ID",
                "execDuration" => "N",
                "container" => "CONTAINER",
                _ => ((string)pair.Value!).Replace(renamed, "RENAMED", StringComparison.Ordinal).Replace(name, "NAME", StringComparison.Ordinal),
            }}");
            return $"{one["Type"]} {one["Action"]}{string.Concat(attributes)}";
        }
    }

    [Theory]
    [InlineData("none", "null")]
    [InlineData("host", "host")]
    public async Task Networks_that_always_exist_are_connected_too(string network, string driver)
    {
        var name = Container();
        var since = Now();
        var id = await Docker.Ok("run", "-d", "--name", name, "--network", network, "alpine", "sleep", "1000");
        await Docker.Ok("rm", "-f", name);
        var events = await Events(since, "type=network");
        Assert.Equal(
            [("connect", network, driver), ("disconnect", network, driver)],
            events.Where(one => (string?)one["Actor"]!["Attributes"]!["container"] == id)
                .Select(one => ((string)one["Action"]!, (string)one["Actor"]!["Attributes"]!["name"]!, (string)one["Actor"]!["Attributes"]!["type"]!)));
    }

    [Fact]
    public async Task Filters()
    {
        var name = Container();
        var since = Now();
        await Docker.Ok("run", "-d", "--name", name, "-l", $"only={name}", "alpine", "true");
        await Docker.Ok("wait", name);
        Assert.Equal(["die"], (await Events(since, $"container={name}", "event=die")).Select(one => (string?)one["Action"]));
        Assert.Equal(["create", "start", "die"], (await Events(since, $"label=only={name}")).Select(one => (string?)one["Action"]));
        Assert.Equal(["create", "die"], (await Events(since, $"container={name}", "event=create", "event=die", "type=container")).Select(one => (string?)one["Action"]));
        Assert.Empty(await Events(since, $"container={name}", "type=image"));
        Assert.Contains((await Events(since, "type=network")).Select(one => (string?)one["Action"]), action => action == "connect");
    }

    [Fact]
    public async Task Follows_what_happens()
    {
        var name = Container();
        using var follower = Docker.Start("events", "--since", Now(), "-f", $"container={name}", "--format", "{{.Action}}");
        await Docker.Ok("create", "--name", name, "alpine", "true");
        Assert.Equal("create", await follower.StandardOutput.ReadLineAsync(Cancellation));
        await Docker.Ok("rm", name);
        Assert.Equal("destroy", await follower.StandardOutput.ReadLineAsync(Cancellation));
        follower.Kill();
        await follower.WaitForExitAsync(Cancellation);
    }

    [Fact]
    public async Task Out_of_memory_is_reported()
    {
        var name = Container();
        var since = Now();
        await Docker.Run("run", "--name", name, "-m", "16m", "--memory-swap", "16m", "alpine", "sh", "-c", "head -c 200m /dev/zero | tail");
        Assert.Contains((await Events(since, $"container={name}")).Select(one => (string?)one["Action"]), action => action == "oom");
    }
}
