using System.Text.Json.Nodes;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>Our own command line and registries: docker's flags, output and files.</summary>
public sealed class SlipwayCliRegistryTests(SharedEngine engine, DebianRegistryWithUsers registry) : RegistryTest(engine, registry), IClassFixture<DebianRegistryWithUsers>
{
    private Task<CliResult> Slipway(string config, string[] arguments, string? input = null, string? path = null)
    {
        Requirement.Check(Harness.Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        Dictionary<string, string> environment = new() { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}", ["DOCKER_CONFIG"] = config };
        if (path is not null)
        {
            environment["PATH"] = path + ":" + Environment.GetEnvironmentVariable("PATH");
        }
        return Programs.Run(
            Harness.Repository.Executable!, arguments, input is null ? null : new MemoryStream(System.Text.Encoding.UTF8.GetBytes(input)), environment: environment);
    }

    private Task<CliResult> Login(string config, string? path = null) =>
        Slipway(config, ["login", "-u", RegistryServer.User, "--password-stdin", Registry.Host], RegistryServer.Password + "\n", path);

    [Fact]
    public async Task Login_push_run_pull_logout()
    {
        var (config, repository) = (Folder(), Repository());
        var image = Remote(repository);
        (await Login(config)).Ok().Says("Login Succeeded").Says($"stored unencrypted in '{config}/config.json'");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(config, "config.json")));

        await Docker.Ok("tag", "alpine", image);
        var pushed = (await Slipway(config, ["push", image])).Ok();
        var digest = await Http.Digest(repository, "1");
        Assert.StartsWith($"The push refers to repository [{Registry.Host}/{repository}]\n", pushed.Output, StringComparison.Ordinal);
        Assert.EndsWith($"1: digest: {digest} size: {(await Http.Manifest(repository, "1")).Length}\n", pushed.Output, StringComparison.Ordinal);
        Assert.Equal(image, (await Slipway(config, ["push", "-q", image])).Ok().Line);

        await Docker.Ok("rmi", image);
        var run = (await Slipway(config, ["run", "--rm", "--network", "none", image, "echo", "hi"])).Ok();
        Assert.Equal("hi\n", run.Output);
        Assert.Contains($"Unable to find image '{image}' locally\n1: Pulling from {repository}\n", run.Error, StringComparison.Ordinal);
        (await Slipway(config, ["run", "--rm", "--pull", "always", "--network", "none", image, "true"])).Ok().Says("Image is up to date");
        (await Slipway(config, ["run", "--rm", "--pull", "never", "localhost:1/nosuch", "true"])).Exited(125).Says("No such image: localhost:1/nosuch:latest");
        Assert.Equal([$"1: Pulling from {repository}", $"Digest: {digest}", $"Status: Image is up to date for {image}", image], (await Slipway(config, ["pull", image])).Ok().Lines);
        Assert.Equal(image, (await Slipway(config, ["pull", "-q", image])).Ok().Line);

        (await Slipway(config, ["logout", Registry.Host])).Ok().Says($"Removing login credentials for {Registry.Host}");
        (await Slipway(config, ["pull", image])).Exited(1).Says("no basic auth credentials");
    }

    [Fact]
    public async Task Docker_reads_what_slipway_wrote_and_the_other_way()
    {
        var (config, repository) = (Folder(), Repository());
        await File.WriteAllTextAsync(Path.Combine(config, "config.json"), """{"psFormat":"table {{.ID}}","auths":{}}""", Cancellation);
        (await Login(config)).Ok();
        Assert.Equal("table {{.ID}}", (string?)JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(config, "config.json"), Cancellation))!["psFormat"]);
        await Docker.Ok("tag", "alpine", Remote(repository));
        (await Docker.Run("--config", config, "push", Remote(repository))).Ok();
        (await Docker.Run("--config", config, "logout", Registry.Host)).Ok();
        (await Slipway(config, ["pull", Remote(repository)])).Exited(1);
        (await Docker.RunWith(RegistryServer.Password, "--config", config, "login", "-u", RegistryServer.User, "--password-stdin", Registry.Host)).Ok();
        (await Slipway(config, ["pull", Remote(repository)])).Ok();
        (await Slipway(config, ["login", Registry.Host])).Ok().Says("Authenticating with existing credentials").Says("Login Succeeded");
    }

    [Fact]
    public async Task A_credential_helper_keeps_the_password()
    {
        var (config, programs, repository) = (Folder(), Folder(), Repository());
        var (helper, kept) = (Path.Combine(programs, "docker-credential-tests"), Path.Combine(programs, "kept"));
        await File.WriteAllTextAsync(
            helper, $"#!/bin/sh\ncase $1 in store) cat > {kept};; get) cat {kept} 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }};; erase) rm {kept};; esac\n", Cancellation);
        File.SetUnixFileMode(helper, (UnixFileMode)0x1ED);
        await File.WriteAllTextAsync(Path.Combine(config, "config.json"), """{"credsStore":"tests"}""", Cancellation);

        (await Slipway(config, ["pull", Remote(repository)], path: programs)).Exited(1).Says("no basic auth credentials");
        var login = (await Login(config, programs)).Ok();
        Assert.DoesNotContain("WARNING", login.Error, StringComparison.Ordinal);
        Assert.Contains(RegistryServer.Password, await File.ReadAllTextAsync(kept, Cancellation), StringComparison.Ordinal);
        Assert.DoesNotContain("auth\":", await File.ReadAllTextAsync(Path.Combine(config, "config.json"), Cancellation), StringComparison.Ordinal);
        await Docker.Ok("tag", "alpine", Remote(repository));
        (await Slipway(config, ["push", Remote(repository)], path: programs)).Ok();
        (await Slipway(config, ["logout", Registry.Host], path: programs)).Ok();
        Assert.False(File.Exists(kept));
        (await Slipway(config, ["pull", Remote(repository)])).Exited(1).Says("docker-credential-tests");
    }

    [Fact]
    public async Task What_is_wrong_is_said()
    {
        var config = Folder();
        (await Slipway(config, ["login", Registry.Host])).Exited(1).Says("Cannot perform an interactive login from a non TTY device");
        (await Slipway(config, ["login", "--password-stdin", Registry.Host], "x")).Exited(1).Says("--username");
        (await Slipway(config, ["login", "-u", "alice", "-p", "wrong", Registry.Host])).Exited(1).Says("401 Unauthorized");
        (await Slipway(config, ["pull", "UPPER"])).Exited(1).Says("must be lowercase");
        (await Slipway(config, ["pull", "-a", "x:1"])).Exited(1).Says("tag can't be used with --all-tags/-a");
        (await Slipway(config, ["push", "nosuch-at-all"])).Exited(1).Says("An image does not exist locally with the tag: nosuch-at-all");
        (await Slipway(config, ["run", "--pull", "sometimes", "alpine"])).Exited(125).Says("invalid pull option: 'sometimes'");
        await File.WriteAllTextAsync(Path.Combine(config, "config.json"), "{", Cancellation);
        (await Slipway(config, ["pull", "x"])).Exited(1).Says("error loading config file");
    }

    [Fact]
    public async Task Bars_are_drawn_on_a_terminal()
    {
        var (config, repository) = (Folder(), Repository());
        (await Login(config)).Ok();
        await Http.PutImage(repository, "1", [RegistryLayer.Random(31, 4 << 20), RegistryLayer.Random(32, 1 << 20)]);
        var output = (await Programs.Run("script", ["-qec", $"stty cols 120 rows 40; {Harness.Repository.Executable} pull {Remote(repository)}", "/dev/null"], environment: new Dictionary<string, string>
        {
            ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}", ["DOCKER_CONFIG"] = config,
        })).Ok().Output;
        Assert.Matches(@"\e\[\d+A\e\[2K\r[0-9a-f]{12}: Downloading \[=*> *\] +[0-9.]+[kM]?B/[0-9.]+MB", output);
        Assert.Contains($"Status: Downloaded newer image for {Remote(repository)}", output, StringComparison.Ordinal);
    }
}
