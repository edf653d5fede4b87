using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

public sealed class AuthAtDebianRegistryTests(SharedEngine engine, DebianRegistryWithUsers registry) : RegistryAuthTests(engine, registry), IClassFixture<DebianRegistryWithUsers>;

public sealed class AuthAtSlipwayRegistryTests(SharedEngine engine, SlipwayRegistryWithUsers registry) : RegistryAuthTests(engine, registry), IClassFixture<SlipwayRegistryWithUsers>;

/// <summary>docker login, and what is refused to those who did not.</summary>
public abstract class RegistryAuthTests(SharedEngine engine, RegistryServer registry) : RegistryTest(engine, registry)
{
    private Task<CliResult> Login(string config, string password) =>
        Docker.RunWith(password, "--config", config, "login", "-u", RegistryServer.User, "--password-stdin", Registry.Host);

    [Fact]
    public async Task Who_logged_in_may_push_and_pull()
    {
        var (config, repository) = (Folder(), Repository());
        (await Login(config, RegistryServer.Password)).Ok().Says("Login Succeeded");
        await Docker.Ok("tag", "alpine", Remote(repository));
        (await Docker.Run("--config", config, "push", Remote(repository))).Ok();
        await Docker.Ok("rmi", Remote(repository));
        (await Docker.Run("--config", config, "run", "--rm", "--network", "none", Remote(repository), "echo", "hi")).Ok().Says($"Downloaded newer image for {Remote(repository)}");

        (await Docker.Run("--config", config, "logout", Registry.Host)).Ok();
        (await Docker.Run("--config", config, "pull", Remote(repository))).Exited(1);
    }

    [Fact]
    public async Task A_wrong_password_is_refused_in_dockers_words()
    {
        var config = Folder();
        (await Login(config, "wrong")).Exited(1).Says("401 Unauthorized");
        Assert.DoesNotContain("auth\"", File.Exists(Path.Combine(config, "config.json")) ? await File.ReadAllTextAsync(Path.Combine(config, "config.json"), Cancellation) : "", StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_anonymous_are_refused_in_dockers_words()
    {
        var repository = Repository();
        (await Docker.Run("pull", Remote(repository))).Exited(1).Says("no basic auth credentials");
        await Docker.Ok("tag", "alpine", Remote(repository));
        (await Docker.Run("push", Remote(repository))).Exited(1).Says("no basic auth credentials");
    }

    [Fact]
    public async Task Credentials_that_are_no_longer_right_are_refused_in_dockers_words()
    {
        var (config, repository) = (Folder(), Repository());
        var auth = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{RegistryServer.User}:outdated"));
        await File.WriteAllTextAsync(Path.Combine(config, "config.json"), $$$$"""{"auths":{"{{{{Registry.Host}}}}":{"auth":"{{{{auth}}}}"}}}""", Cancellation);
        await Docker.Ok("tag", "alpine", Remote(repository));
        (await Docker.Run("--config", config, "push", Remote(repository))).Exited(1).Says("unauthorized: authentication required");
        (await Docker.Run("--config", config, "pull", Remote(repository, "2"))).Exited(1).Says("unauthorized: authentication required");
    }

    [Fact]
    public async Task Credentials_are_in_no_log_event_or_answer()
    {
        var (config, repository) = (Folder(), Repository());
        using var events = Docker.Start("events", "--format", "json");
        var seen = events.StandardOutput.ReadToEndAsync(Cancellation);
        (await Login(config, RegistryServer.Password)).Ok();
        await Docker.Ok("tag", "alpine", Remote(repository));
        (await Docker.Run("--config", config, "push", Remote(repository))).Ok();
        (await Docker.Run("--config", config, "pull", Remote(repository))).Ok();
        (await Docker.Run("--config", config, "pull", Remote(repository, "nosuch"))).Exited(1);
        await Task.Delay(500, Cancellation);
        events.Kill();
        var texts = new List<string> { await seen, await Docker.Ok("image", "inspect", Remote(repository)), await Docker.Ok("info", "--format", "json") };
        if (LogPath is { } log)
        {
            texts.Add(await File.ReadAllTextAsync(log, Cancellation));
        }
        if (DataRoot is { } root)
        {
            texts.Add((await Programs.Run("grep", ["-rlaF", RegistryServer.Password, root])).Output);
        }
        Assert.Contains(repository, texts[0], StringComparison.Ordinal);
        var basic = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{RegistryServer.User}:{RegistryServer.Password}"));
        Assert.All(texts, text =>
        {
            Assert.DoesNotContain(RegistryServer.Password, text, StringComparison.Ordinal);
            Assert.DoesNotContain(basic, text, StringComparison.Ordinal);
        });
        Assert.True(DataRoot is null || texts[^1].Length == 0, texts[^1]);
    }
}
