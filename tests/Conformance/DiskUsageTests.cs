using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>system df and the prunes; those only of what has the test's own label, because others use the engine too.</summary>
public sealed class DiskUsageTests(SharedEngine engine) : EngineTest(engine)
{
    private readonly string _label = "slipway-test-" + Guid.NewGuid().ToString("N")[..8];

    private async Task<string> Labelled(string name, string layer)
    {
        var image = Image(name);
        var archive = Archive.Image(image, [Archive.Of(Archive.Text("f", layer))], config =>
        {
            config["created"] = "2020-01-01T00:00:00Z";
            config["config"]!["Labels"] = new JsonObject { [_label] = name };
        });
        (await Docker.RunWith(new MemoryStream(archive), "load")).Ok();
        return image;
    }

    [Fact]
    public async Task System_df_has_its_four_lines()
    {
        var lines = (await Docker.Run("system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}")).Ok().Lines.Select(line => line.Split('|')).ToList();
        Assert.Equal(["Images", "Containers", "Local Volumes", "Build Cache"], lines.Select(line => line[0]));
        Assert.All(lines, line => Assert.Matches("^[0-9.]+[kMG]?B$", line[3]));
    }

    [Fact]
    public async Task Verbose_system_df_says_what_is_shared_and_used()
    {
        var image = await Labelled("alone", new string('x', 5000));
        var container = Container();
        await Docker.Ok("create", "--name", container, "-v", "/anonymous", image, "/f");
        var format = "{{range .Images}}{{.Repository}}:{{.Tag}}|{{.Size}}|{{.SharedSize}}|{{.UniqueSize}}|{{.Containers}}\n{{end}}";
        var images = (await Docker.Run("system", "df", "-v", "--format", format)).Ok().Lines;
        Assert.Contains($"{image}|5kB|0B|5kB|1", images);
        var containers = (await Docker.Run("system", "df", "-v", "--format", "{{range .Containers}}{{.Names}}|{{.Image}}|{{.LocalVolumes}}\n{{end}}")).Ok().Lines;
        Assert.Contains($"{container}|{image}|1", containers);
    }

    [Fact]
    public async Task Ps_and_inspect_tell_what_a_container_wrote()
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "alpine", "sh", "-c", "head -c 100000 /dev/zero > /f; ln /f /g");
        Assert.Matches(@"^100kB \(virtual [0-9.]+MB\)$", await Docker.Ok("ps", "-as", "--filter", $"name={name}", "--format", "{{.Size}}"));
        var sizes = (await Docker.Ok("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", name)).Split(' ').Select(long.Parse).ToList();
        Assert.Equal(100_000, sizes[0]);
        Assert.Equal(100_000 + long.Parse(await Docker.Inspect("alpine", "{{.Size}}"), System.Globalization.CultureInfo.InvariantCulture), sizes[1]);
    }

    [Fact]
    public async Task Container_prune_takes_those_that_do_not_run()
    {
        var ended = Container("ended");
        var running = Container("running");
        var other = Container("other");
        await Docker.Ok("run", "--name", ended, "--label", _label, "alpine", "sh", "-c", "head -c 50000 /dev/zero > /f");
        await Docker.Ok("run", "-d", "--name", running, "--label", _label, "alpine", "sleep", "1000");
        await Docker.Ok("create", "--name", other, "--label", _label + "-not", "alpine", "true");
        var id = await Docker.Inspect(ended, "{{.Id}}");
        Assert.Equal("Total reclaimed space: 0B", await Docker.Ok("container", "prune", "-f", "--filter", $"label={_label}", "--filter", "until=1h"));
        Assert.Equal($"Deleted Containers:\n{id}\n\nTotal reclaimed space: 50kB", await Docker.Ok("container", "prune", "-f", "--filter", $"label={_label}"));
        (await Docker.Run("inspect", ended)).Exited(1);
        Assert.Equal("running created", $"{await Docker.Inspect(running, "{{.State.Status}}")} {await Docker.Inspect(other, "{{.State.Status}}")}");
        (await Docker.Run("container", "prune", "-f", "--filter", "nope=1")).Exited(1).Says("invalid filter 'nope'");
        (await Docker.Run("container", "prune", "-f", "--filter", "until=soon")).Exited(1);
    }

    [Fact]
    public async Task Image_prune_takes_dangling_ones_and_all_unused_ones_when_asked()
    {
        var unused = await Labelled("unused", "unused");
        var used = await Labelled("used", "used");
        var replaced = await Labelled("replaced", "before");
        var dangling = await Docker.Inspect(replaced, "{{.Id}}");
        await Docker.Ok("create", "--name", Container(), used, "/f");
        await Docker.Ok("tag", unused, replaced);
        var first = (await Docker.Run("image", "prune", "-f", "--filter", $"label={_label}")).Ok();
        Assert.Contains($"deleted: {dangling}\n", first.Output, StringComparison.Ordinal);
        (await Docker.Run("image", "inspect", dangling)).Exited(1);
        await Docker.Ok("image", "inspect", unused);
        Assert.Equal("Total reclaimed space: 0B", await Docker.Ok("image", "prune", "-af", "--filter", $"label={_label}", "--filter", "until=2019-01-01T00:00:00Z"));
        var second = (await Docker.Run("image", "prune", "-af", "--filter", $"label={_label}")).Ok();
        Assert.Contains($"untagged: {unused}\n", second.Output, StringComparison.Ordinal);
        Assert.Contains($"untagged: {replaced}\n", second.Output, StringComparison.Ordinal);
        (await Docker.Run("image", "inspect", unused)).Exited(1);
        await Docker.Ok("image", "inspect", used);
        (await Docker.Run("image", "prune", "-f", "--filter", "nope=1")).Exited(1).Says("invalid filter 'nope'");
    }

    [Fact]
    public async Task A_label_may_also_keep_from_a_prune()
    {
        var image = await Labelled("kept", "kept");
        await Docker.Ok("image", "prune", "-af", "--filter", $"label={_label}", "--filter", $"label!={_label}=kept");
        await Docker.Ok("image", "inspect", image);
    }

    [Fact]
    public async Task System_prune_goes_through_all_kinds()
    {
        var image = await Labelled("gone", "gone");
        var container = Container();
        await Docker.Ok("create", "--name", container, "--label", _label, image, "/f");
        var id = await Docker.Inspect(container, "{{.Id}}");
        var output = (await Docker.Run("system", "prune", "-af", "--filter", $"label={_label}")).Ok().Output;
        Assert.Contains($"Deleted Containers:\n{id}\n", output, StringComparison.Ordinal);
        Assert.Contains($"untagged: {image}\n", output, StringComparison.Ordinal);
        Assert.Contains("Total reclaimed space: ", output, StringComparison.Ordinal);
        (await Docker.Run("image", "inspect", image)).Exited(1);
    }

    [Fact]
    public async Task Images_are_listed_by_Dockers_filters()
    {
        var old = await Labelled("old", "old");
        var image = await Labelled("filtered", "x");
        async Task<string[]> List(params string[] filters) =>
            (await Docker.Run(["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", $"label={_label}", .. filters.SelectMany(filter => new[] { "--filter", filter })])).Ok().Lines;

        Assert.Equal(2, (await List()).Length);
        Assert.Equal([image], await List($"label={_label}=filtered"));
        Assert.Equal([old], await List($"reference={old}"));
        Assert.Empty(await List("dangling=true"));
        Assert.Empty(await List("since=alpine"));
        Assert.Equal(2, (await List("before=alpine")).Length);
        Assert.Equal(2, (await List("until=1h")).Length);
        (await Docker.Run("images", "--filter", "nope=1")).Exited(1).Says("invalid filter 'nope'");
    }
}
