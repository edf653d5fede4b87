using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Docker Compose, unmodified: Debian 12's docker-compose 1.29 and, where the shared folder tells how to get it, Debian 13's 2.26.</summary>
public sealed class ComposeTests(SharedEngine engine) : EngineTest(engine)
{
    private static readonly string Project = Path.Combine(Repository.Root, "tests/Conformance/clients/compose.yaml");

    [Theory]
    [InlineData("system")]
    [InlineData("debian13")]
    public async Task A_project_of_five_services_comes_up_and_goes_down(string which)
    {
        var program = which == "system" ? await System() : await Debian13();
        var folder = Folder();
        File.Copy(Project, Path.Combine(folder, "docker-compose.yml"));
        await File.WriteAllTextAsync(Path.Combine(folder, "page.txt"), "the page\n", Cancellation);
        var name = Container("compose");
        var back = TestSubnet.Next();
        Dictionary<string, string> environment = new(Docker.Variables) { ["BACK"] = back, ["COMPOSE_PROJECT_NAME"] = name, ["COMPOSE_INTERACTIVE_NO_CLI"] = "1" };
        Cleanup(() => Compose("down", "-v"));

        (await Compose("up", "-d")).Ok();
        var running = await Docker.Ok("ps", "--filter", $"label=com.docker.compose.project={name}", "--format", "{{.Label \"com.docker.compose.service\"}} {{.Status}}");
        Assert.Equal(["api", "cache", "db", "fixed", "web"], running.Split('\n').Select(line => line.Split(' ')[0]).Order(StringComparer.Ordinal));
        Assert.Equal(2, running.Split('\n').Count(line => line.EndsWith("(healthy)", StringComparison.Ordinal)));
        var listed = (await Compose("ps")).Ok();
        foreach (var service in new[] { "api", "cache", "db", "fixed", "web" })
        {
            listed.Says(service);
        }

        // web said what api, which was healthy by then, answered by its name.
        (await Compose("logs", "web")).Ok().Says("the api");
        await Docker.Until(output => output.Contains("kv", StringComparison.Ordinal), ["logs", (await Id("fixed"))]);
        (await Compose("exec", "-T", "api", "nslookup", "db.")).Ok().Says($"{back}.");
        (await Compose("exec", "-T", "api", "sh", "-c", "echo $STAGE")).Ok().Says("test");
        Assert.NotEqual(0, (await Compose("exec", "-T", "web", "nslookup", "db.")).ExitCode);
        Assert.Equal($"{back}.77", await Docker.Inspect(await Id("fixed"), "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"));
        var port = (await Compose("port", "web", "80")).Ok().Line.Split(':')[^1];
        (await Programs.Run("busybox", ["sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 127.0.0.1 {port} < /dev/null && exit; sleep 0.2; done; exit 1"])).Ok().Says("the page");

        // A second time: nothing changes. Then three of one, which one name gives.
        var web = await Id("web");
        (await Compose("up", "-d", "--scale", "cache=3")).Ok();
        Assert.Equal(web, await Id("web"));
        Assert.Equal(3, (await Compose("exec", "-T", "api", "nslookup", "cache.")).Ok().Lines.Count(line => line.StartsWith("Address", StringComparison.Ordinal) && line.Contains($"{back}.", StringComparison.Ordinal)));
        (await Compose("restart", "db")).Ok();
        (await Compose("exec", "-T", "db", "test", "-f", "/data/ready")).Ok();

        (await Compose("down", "-v")).Ok();
        Assert.Equal("", await Docker.Ok("ps", "-aq", "--filter", $"label=com.docker.compose.project={name}"));
        Assert.Equal("", await Docker.Ok("network", "ls", "-q", "--filter", $"label=com.docker.compose.project={name}"));
        Assert.Equal("", await Docker.Ok("volume", "ls", "-q", "--filter", $"label=com.docker.compose.project={name}"));

        Task<CliResult> Compose(params string[] arguments) =>
            Programs.Run(program, ["-f", Path.Combine(folder, "docker-compose.yml"), .. arguments], limit: Programs.Limit(120), environment: environment);
        Task<string> Id(string service) => Docker.Ok(
            "ps", "-q", "--filter", $"label=com.docker.compose.project={name}", "--filter", $"label=com.docker.compose.service={service}");
    }

    [Theory]
    [InlineData("system")]
    [InlineData("debian13")]
    public async Task A_project_of_three_networks_finds_its_services_by_name(string which)
    {
        var program = which == "system" ? await System() : await Debian13();
        var folder = Folder();
        File.Copy(Path.Combine(Repository.Root, "tests/Conformance/clients/networks.yaml"), Path.Combine(folder, "docker-compose.yml"));
        var name = Container("composenet");
        var back = TestSubnet.Next();
        Dictionary<string, string> environment = new(Docker.Variables) { ["BACK"] = back, ["COMPOSE_PROJECT_NAME"] = name, ["COMPOSE_INTERACTIVE_NO_CLI"] = "1" };
        Cleanup(() => Compose("down", "-v"));
        (await Compose("up", "-d")).Ok();

        // Each knows who is on a network with it, by service, alias and container, and nobody else.
        Assert.Equal(await Address("app", "middle"), await Resolved("edge", "app"));
        Assert.Equal(await Address("edge", "middle"), await Resolved("app", "door"));
        Assert.Equal(await Address("edge", "middle"), await Resolved("app", $"entrance.{name}_middle"));
        Assert.Equal($"{back}.10", await Resolved("store", "app"));
        Assert.Equal(await Address("store", "back"), await Resolved("app", "database"));
        Assert.NotEqual(0, (await Exec("edge", "nslookup", "store.")).ExitCode);
        Assert.NotEqual(0, (await Exec("store", "nslookup", "edge.")).ExitCode);

        // As the names, so the ways.
        (await Exec("app", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 database 5432 < /dev/null && exit; sleep 0.2; done; exit 1")).Ok().Says("stored");
        Assert.NotEqual(0, (await Exec("edge", "nc", "-w", "2", await Address("store", "back"), "5432")).ExitCode);
        (await Exec("app", "ping", "-c", "1", "-w", "5", "edge")).Ok();
        Assert.NotEqual(0, (await Exec("store", "ping", "-c", "1", "-w", "2", await Address("edge", "middle"))).ExitCode);
        Assert.DoesNotContain("default", (await Exec("store", "ip", "route")).Ok().Output, StringComparison.Ordinal);
        Assert.Equal("1400", (await Exec("app", "sh", "-c", "for i in /sys/class/net/eth*; do cat $i/mtu; done | sort | head -n 1")).Ok().Line);

        // A service that is made anew is found again by those who run on.
        (await Compose("up", "-d", "--force-recreate", "--no-deps", "store")).Ok();
        Assert.Equal(await Address("store", "back"), await Resolved("app", "store"));
        (await Compose("down")).Ok();
        Assert.Equal("", await Docker.Ok("network", "ls", "-q", "--filter", $"label=com.docker.compose.project={name}"));

        Task<CliResult> Compose(params string[] arguments) =>
            Programs.Run(program, ["-f", Path.Combine(folder, "docker-compose.yml"), .. arguments], limit: Programs.Limit(120), environment: environment);
        Task<string> Id(string service) => Docker.Ok(
            "ps", "-q", "--filter", $"label=com.docker.compose.project={name}", "--filter", $"label=com.docker.compose.service={service}");
        async Task<CliResult> Exec(string service, params string[] command) => await Docker.Run(["exec", await Id(service), .. command]);
        async Task<string> Address(string service, string network) =>
            await Docker.Inspect(await Id(service), $"{{{{(index .NetworkSettings.Networks \"{name}_{network}\").IPAddress}}}}");
        async Task<string> Resolved(string service, string host) =>
            (await Exec(service, "nslookup", $"{host}.")).Ok().Lines.Last(line => line.StartsWith("Address", StringComparison.Ordinal)).Split(' ')[^1];
    }

    private static Task<string> System()
    {
        Requirement.Program("docker-compose", "docker-compose");
        return Task.FromResult("docker-compose");
    }

    /// <summary>Fetched once, below artifacts/.</summary>
    private static async Task<string> Debian13()
    {
        var folder = Path.Combine(Repository.Root, "artifacts/peers");
        var plugin = Path.Combine(folder, "usr/libexec/docker/cli-plugins/docker-compose");
        if (!File.Exists(plugin))
        {
            var script = Path.Combine(Requirement.Shared(), "peers/debian13");
            (await Programs.Run("bash", [script, folder, "docker-compose"], limit: Programs.Limit(120))).Ok();
        }
        return plugin;
    }
}
