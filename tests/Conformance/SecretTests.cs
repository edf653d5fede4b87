using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Secrets with the docker CLI, which knows them from swarms, and with our own.</summary>
public sealed class SecretTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Secrets_are_made_listed_used_and_removed()
    {
        Assert.SkipUnless(IsSlipway, "Docker has secrets in a swarm only");
        var folder = Folder();
        var file = Path.Combine(folder, "daemon.json");
        await File.WriteAllTextAsync(file, $$"""{"secrets-key-file": "{{folder}}/key"}""", Cancellation);
        await using var daemon = new Engine("sec") { Flags = ["--config-file", file] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        var docker = daemon.Docker;
        var id = (await docker.RunWith("hunter2", "secret", "create", "-l", "team=ci", "db-password", "-")).Ok().Line;
        Assert.Equal("db-password", await docker.Ok("secret", "ls", "--format", "{{.Name}}"));
        Assert.Equal($"{id} ci", await docker.Ok("secret", "inspect", "-f", "{{.ID}} {{.Spec.Labels.team}}", "db-password"));
        Assert.Equal("hunter2", await docker.Ok("run", "--rm", "--label", "slipway.secrets=db-password", "alpine", "cat", "/run/secrets/db-password"));

        string[] own = ["-H", $"unix://{docker.Socket}"];
        Assert.Equal("hunter2", (await Programs.Run(Repository.Executable!, [.. own, "run", "--rm", "--secret", "source=db-password,target=/etc/pw,mode=0400", "alpine", "cat", "/etc/pw"])).Ok().Line);
        (await Programs.Run(Repository.Executable!, [.. own, "secret", "create", "from-file", file])).Ok();
        Assert.Contains("from-file", (await Programs.Run(Repository.Executable!, [.. own, "secret", "ls"])).Ok().Output, StringComparison.Ordinal);
        Assert.Contains("\"Name\": \"from-file\"", (await Programs.Run(Repository.Executable!, [.. own, "secret", "inspect", "from-file"])).Ok().Output, StringComparison.Ordinal);
        (await Programs.Run(Repository.Executable!, [.. own, "secret", "rm", "from-file"])).Ok();
        await docker.Ok("secret", "rm", "db-password");
        Assert.Equal("", await docker.Ok("secret", "ls", "-q"));
        var events = await docker.Ok("events", "--since", "0", "--until", $"{DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1}", "--filter", "type=secret", "--format", "{{.Action}} {{.Actor.Attributes.name}}");
        Assert.Equal("create db-password\ncreate from-file\nremove from-file\nremove db-password", events);
        Assert.DoesNotContain("hunter2", await File.ReadAllTextAsync(daemon.LogPath, Cancellation), StringComparison.Ordinal);
    }
}
