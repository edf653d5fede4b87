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
