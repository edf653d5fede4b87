using System.Formats.Tar;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>diff, commit and export of containers in every state.</summary>
public sealed class CommitTests(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>A container that has written, deleted and replaced; it ends at once.</summary>
    private async Task<string> Written(params string[] options)
    {
        var name = Container();
        await Docker.Ok(["run", "--name", name, .. options, "alpine", "sh", "-c", "echo new > /root/new; rm /etc/os-release; echo more >> /etc/passwd; mkdir /made; ln -s /x /made/link; chmod 700 /home"]);
        return name;
    }

    [Fact]
    public async Task Diff_lists_what_changed()
    {
        var name = await Written();
        var lines = (await Docker.Run("diff", name)).Ok().Lines;
        Assert.Equal(
            ["A /made", "A /made/link", "A /root/new", "C /etc", "C /etc/passwd", "C /home", "C /root", "D /etc/os-release"], lines.Order(StringComparer.Ordinal));
        Assert.True(Array.IndexOf(lines, "C /root") < Array.IndexOf(lines, "A /root/new"), "a directory comes before what is in it");
        Assert.True(Array.IndexOf(lines, "C /etc") < Array.IndexOf(lines, "D /etc/os-release"), "a directory comes before what was in it");
    }

    [Fact]
    public async Task Diff_of_a_container_that_was_not_started_is_empty()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        Assert.Equal("", (await Docker.Run("diff", name)).Ok().Output);
        (await Docker.Run("diff", "nosuch")).Exited(1).Says("No such container: nosuch");
    }

    [Fact]
    public async Task Mount_points_of_the_engine_are_no_change_and_those_of_the_user_are()
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "-v", Folder() + ":/mnt/of/mine", "--tmpfs", "/scratch", "alpine", "true");
        Assert.Equal(["A /mnt/of", "A /mnt/of/mine", "A /scratch", "C /mnt"], (await Docker.Run("diff", name)).Ok().Lines.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_commit_shows_what_the_container_showed()
    {
        var name = await Written();
        var image = Image();
        var id = await Docker.Ok("commit", "-a", "The Author", "-m", "the message", name, image);
        Assert.Matches("^sha256:[0-9a-f]{64}$", id);
        Assert.Equal(id, await Docker.Inspect(image, "{{.Id}}"));
        Assert.Equal("new\n", (await Docker.Run("run", "--rm", image, "cat", "/root/new")).Ok().Output);
        (await Docker.Run("run", "--rm", image, "cat", "/etc/os-release")).Exited(1);
        Assert.Equal("more", (await Docker.Run("run", "--rm", image, "tail", "-n1", "/etc/passwd")).Ok().Line);
        Assert.Equal("700 /x", await Docker.Ok("run", "--rm", image, "sh", "-c", "echo $(stat -c %a /home) $(readlink /made/link)"));
        Assert.Equal("2", await Docker.Inspect(image, "{{len .RootFS.Layers}}"));
        Assert.Equal("The Author the message", await Docker.Inspect(image, "{{.Author}} {{.Comment}}"));
        var history = (await Docker.Run("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", image)).Ok().Lines;
        Assert.StartsWith("sh -c echo new > /root/new;", history[0], StringComparison.Ordinal);
        Assert.EndsWith("|the message", history[0], StringComparison.Ordinal);
        Assert.Equal(2, history.Length);
    }

    [Fact]
    public async Task A_commit_takes_the_containers_configuration_and_the_changes_over_it()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "-e", "A=1", "-e", "B=2", "--label", "l=1", "-u", "nobody", "--expose", "80", "alpine", "echo", "hi");
        var image = Image();
        await Docker.Ok("commit", "-c", "ENV B=3 C=$A", "-c", "LABEL m=2", "-c", "EXPOSE 53/udp", "-c", "CMD [\"echo\", \"changed\"]", "-c", "WORKDIR /w/x/..", name, image);
        var config = JsonNode.Parse(await Docker.Inspect(image, "{{json .Config}}"))!;
        Assert.Equal(["A=1", "B=3", "C=1"], config["Env"]!.AsArray().Select(item => item!.ToString()).Where(item => !item.StartsWith("PATH=", StringComparison.Ordinal)).Order());
        Assert.Equal("{\"l\":\"1\",\"m\":\"2\"}", config["Labels"]!.ToJsonString());
        Assert.Equal("{\"53/udp\":{},\"80/tcp\":{}}", config["ExposedPorts"]!.ToJsonString());
        Assert.Equal("[\"echo\",\"changed\"]", config["Cmd"]!.ToJsonString());
        Assert.Equal(("/w", "nobody"), (config["WorkingDir"]!.ToString(), config["User"]!.ToString()));
        Assert.Equal("changed", await Docker.Ok("run", "--rm", image));

        // Nothing was written, so there is no layer more.
        Assert.Equal(await Docker.Inspect("alpine", "{{.RootFS.Layers}}"), await Docker.Inspect(image, "{{.RootFS.Layers}}"));
        Assert.Equal("0B", (await Docker.Run("history", "--format", "{{.Size}}", image)).Ok().Lines[0]);
    }

    [Fact]
    public async Task An_entry_point_given_to_a_commit_takes_the_command_away()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "echo", "hi");
        var image = Image();
        await Docker.Ok("commit", "-c", "ENTRYPOINT [\"ls\"]", name, image);
        Assert.Equal("[ls] []", await Docker.Inspect(image, "{{.Config.Entrypoint}} {{.Config.Cmd}}"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_running_container_is_paused_while_it_is_committed_unless_that_is_refused(bool pause)
    {
        var name = await Sleeper();
        await Docker.Ok("exec", name, "sh", "-c", "echo running > /root/state");
        var image = Image();
        var since = DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 1;
        await Docker.Ok("commit", pause ? "-p" : "--pause=false", name, image);
        var events = (await Docker.Run(
            "events", "--since", $"{since}", "--until", $"{DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1}", "--filter", $"container={name}", "--format", "{{.Action}}")).Ok().Lines;
        Assert.Equal(pause ? ["pause", "commit", "unpause"] : ["commit"], events.Where(action => action is "pause" or "unpause" or "commit"));
        Assert.Equal("running", await Docker.Inspect(name, "{{.State.Status}}"));
        Assert.Equal("alive", await Docker.Ok("exec", name, "echo", "alive"));
        Assert.Equal("running", await Docker.Ok("run", "--rm", image, "cat", "/root/state"));
    }

    [Fact]
    public async Task A_paused_container_stays_paused()
    {
        var name = await Sleeper();
        await Docker.Ok("exec", name, "sh", "-c", "echo x > /root/f");
        await Docker.Ok("pause", name);
        await Docker.Ok("commit", name, Image());
        Assert.Equal("paused", await Docker.Inspect(name, "{{.State.Status}}"));
        Assert.Contains("root/f", await Listing(name));
        Assert.Contains("A /root/f", (await Docker.Run("diff", name)).Ok().Lines);
        await Docker.Ok("unpause", name);
    }

    [Fact]
    public async Task A_commit_that_cannot_be_says_why()
    {
        var name = await Written();
        (await Docker.Run("commit", "nosuch", "x:1")).Exited(1).Says("No such container: nosuch");
        (await Docker.Run("commit", "-c", "RUN x", name, Image())).Exited(1).Says("run is not a valid change command", ignoreCase: true);
        (await Docker.Run("commit", "-c", "NONSENSE x", name, Image())).Exited(1).Says("NONSENSE is not a valid change command");
        (await Docker.Run("commit", name, "UPPER:1")).Exited(1).Says("must be lowercase");
    }

    [Fact]
    public async Task A_commit_without_a_name_is_found_by_its_id()
    {
        var name = await Written();
        var id = await Docker.Ok("commit", name);
        Cleanup(() => Docker.Run("rmi", "-f", id));
        Assert.Equal("[]", await Docker.Inspect(id, "{{.RepoTags}}"));
        Assert.Equal("new", await Docker.Ok("run", "--rm", id, "cat", "/root/new"));
    }

    [Fact]
    public async Task A_commit_of_a_commit_adds_a_layer()
    {
        var first = await Written();
        var one = Image("one");
        await Docker.Ok("commit", first, one);
        var second = Container("second");
        await Docker.Ok("run", "--name", second, one, "sh", "-c", "rm -r /made; echo two > /made");
        var two = Image("two");
        await Docker.Ok("commit", second, two);
        Assert.Equal("3 two", $"{await Docker.Inspect(two, "{{len .RootFS.Layers}}")} {await Docker.Ok("run", "--rm", two, "cat", "/made")}");
        var file = Path.Combine(Folder(), "two.tar");
        await Docker.Ok("save", "-o", file, two);
        await Docker.Ok("rmi", "-f", two);
        await Docker.Ok("load", "-i", file);
        Assert.Equal("two", await Docker.Ok("run", "--rm", two, "cat", "/made"));
    }

    [Theory]
    [InlineData("running")]
    [InlineData("exited")]
    [InlineData("created")]
    public async Task An_export_is_the_whole_root_file_system(string state)
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "-v", Folder() + ":/bound", "alpine", "sh", "-c", "echo secret > /bound/f; echo mine > /root/f; " + (state == "running" ? "sleep 1000" : "true"));
        if (state != "created")
        {
            await Docker.Ok("start", name);
            await Docker.Until(text => text.Contains("A /root/f", StringComparison.Ordinal), ["diff", name]);
            await Docker.Until(text => text.Trim() == state, ["inspect", "-f", "{{.State.Status}}", name]);
        }

        var entries = await Listing(name);
        Assert.Contains("bin/busybox", entries);
        Assert.Contains("etc/", entries);
        Assert.Equal(state != "created", entries.Contains("root/f"));
        Assert.DoesNotContain("bound/f", entries);
        Assert.DoesNotContain(entries, entry => entry.StartsWith("proc/", StringComparison.Ordinal) && entry != "proc/");
        Assert.Equal(entries.Count, entries.Distinct().Count());
    }

    [Fact]
    public async Task An_export_imported_again_runs()
    {
        var name = await Written();
        var file = Path.Combine(Folder(), "export.tar");
        await Docker.Ok("export", "-o", file, name);
        var image = Image();
        await Docker.Ok("import", "-c", "CMD [\"cat\", \"/root/new\"]", file, image);
        Assert.Equal("new", await Docker.Ok("run", "--rm", image));
        (await Docker.Run("export", "-o", file, "nosuch")).Exited(1).Says("No such container: nosuch");
    }

    /// <summary>Names in the export of a container.</summary>
    private async Task<List<string>> Listing(string container)
    {
        var file = Path.Combine(Folder(), "export.tar");
        await Docker.Ok("export", "-o", file, container);
        await using var stream = File.OpenRead(file);
        await using var reader = new TarReader(stream);
        var names = new List<string>();
        while (await reader.GetNextEntryAsync(cancellationToken: Cancellation) is { } entry)
        {
            names.Add(entry.Name);
        }
        return names;
    }
}
