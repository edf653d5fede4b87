using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Our own commit, diff, export, system df and prune, beside what docker says of the same engine.</summary>
public sealed class SlipwayDiskCliTests(SharedEngine engine) : EngineTest(engine)
{
    private readonly string _label = "slipway-test-" + Guid.NewGuid().ToString("N")[..8];

    private Task<CliResult> Slipway(params string[] arguments) => Programs.Run(Repository.Executable!, ["-H", $"unix://{Docker.Socket}", .. arguments]);

    [Fact]
    public async Task Diff_export_and_commit_are_docker_s()
    {
        Assert.SkipUnless(IsSlipway, "our own command line speaks to our own engine");
        var name = Container();
        await Docker.Ok("run", "--name", name, "--label", _label, "alpine", "sh", "-c", "echo x > /root/f; rm /etc/os-release");
        Assert.Equal((await Docker.Run("diff", name)).Ok().Output, (await Slipway("diff", name)).Ok().Output);
        Assert.Equal("A /root/f", (await Slipway("container", "diff", "--format", "{{.Type}} {{.Path}}", name)).Ok().Lines.Single(line => line.StartsWith('A')));

        var folder = Folder();
        await Docker.Ok("export", "-o", folder + "/docker.tar", name);
        (await Slipway("export", "-o", folder + "/slipway.tar", name)).Ok();
        Assert.Equal(await File.ReadAllBytesAsync(folder + "/docker.tar", Cancellation), await File.ReadAllBytesAsync(folder + "/slipway.tar", Cancellation));

        var image = Image();
        var id = (await Slipway("commit", "-a", "me", "-m", "why", "-c", "CMD [\"cat\", \"/root/f\"]", name, image)).Ok().Line;
        Assert.Equal($"{id} me why", await Docker.Inspect(image, "{{.Id}} {{.Author}} {{.Comment}}"));
        Assert.Equal("x", (await Slipway("run", "--rm", image)).Ok().Line);
        (await Slipway("commit", "nosuch")).Exited(1).Says("Error response from daemon: No such container: nosuch");
        (await Slipway("diff", "nosuch")).Exited(1);
        (await Slipway("export", "-o", folder + "/none.tar", "nosuch")).Exited(1);
        Assert.False(File.Exists(folder + "/none.tar"));
    }

    [Fact]
    public async Task System_df_shows_docker_s_lines_and_the_ledger_every_object()
    {
        Assert.SkipUnless(IsSlipway, "our own command line speaks to our own engine");
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        var lines = (await Slipway("system", "df", "--format", "{{.Type}}")).Ok().Lines;
        Assert.Equal((await Docker.Run("system", "df", "--format", "{{.Type}}")).Ok().Lines, lines);
        (await Slipway("system", "df", "-v")).Ok().Says("Images space usage:").Says(name);
        // Every name counts, not the first in order: here one before "alpine".
        var first = "a-" + Image();
        await Docker.Ok("tag", "alpine", first);
        var ledger = (await Slipway("system", "df", "--ledger", "--format", "json")).Ok().Lines.Select(line => JsonNode.Parse(line)!).ToList();
        await Docker.Ok("rmi", first);
        Assert.Contains(ledger, item => (string?)item["Kind"] == "layer" && ((string?)item["UsedBy"])!.Split(", ") is var users && users.Contains("alpine:latest") && users.Contains(first));
        Assert.Contains(ledger, item => (string?)item["Kind"] == "database");
        Assert.Equal(ledger.Select(item => (long)item["Bytes"]!).OrderDescending(), ledger.Select(item => (long)item["Bytes"]!));
        (await Slipway("system", "df", "--ledger")).Ok().Says("Total: ");
    }

    [Fact]
    public async Task A_prune_asks_first()
    {
        Assert.SkipUnless(IsSlipway, "our own command line speaks to our own engine");
        var name = Container();
        await Docker.Ok("create", "--name", name, "--label", _label, "alpine", "true");
        var id = await Docker.Inspect(name, "{{.Id}}");
        (await Slipway("container", "prune", "--filter", $"label={_label}")).Exited(1).Says("Are you sure you want to continue? [y/N]").Says("container prune has been cancelled");
        await Docker.Inspect(name, "{{.Id}}");
        Assert.Equal($"Deleted Containers:\n{id}\n\nTotal reclaimed space: 0B\n", (await Slipway("container", "prune", "-f", "--filter", $"label={_label}")).Ok().Output);
        Assert.Equal("Total reclaimed space: 0B\n", (await Slipway("image", "prune", "-f", "--filter", $"label={_label}")).Ok().Output);
        Assert.Equal("Total reclaimed space: 0B\n", (await Slipway("volume", "prune", "-f", "--filter", $"label={_label}")).Ok().Output);
        Assert.Equal("Total reclaimed space: 0B\n", (await Slipway("system", "prune", "-af", "--volumes", "--filter", $"label={_label}")).Ok().Output);
        (await Slipway("image", "prune", "-f", "--filter", "nope=1")).Exited(1).Says("invalid filter 'nope'");
    }
}
