using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>Bearer tokens, and users who may do some things only.</summary>
public sealed class RegistryRightsTests(SharedEngine engine, SlipwayRegistryWithRights registry) : RegistryTest(engine, registry), IClassFixture<SlipwayRegistryWithRights>
{
    private async Task<string> Login(string user)
    {
        var config = Folder();
        (await Docker.RunWith(RegistryServer.Password, "--config", config, "login", "-u", user, "--password-stdin", Registry.Host)).Ok().Says("Login Succeeded");
        return config;
    }

    [Fact]
    public async Task Who_may_only_pull_is_denied_a_push()
    {
        var (writer, reader, repository) = (await Login(RegistryServer.User), await Login(SlipwayRegistryWithRights.Reader), Repository());
        var image = Remote(repository);
        await Docker.Ok("tag", "alpine", image);
        (await Docker.Run("--config", reader, "push", image)).Exited(1).Says("denied: requested access to the resource is denied");
        (await Docker.Run("--config", writer, "push", image)).Ok();
        (await Docker.Run("--config", reader, "push", image)).Exited(1).Says("denied: requested access to the resource is denied");
        await Docker.Ok("rmi", image);
        (await Docker.Run("--config", reader, "pull", image)).Ok().Says("Downloaded newer image");
    }

    [Fact]
    public async Task The_anonymous_pull_what_is_public_and_nothing_else()
    {
        var writer = await Login(RegistryServer.User);
        var (hidden, shown) = (Repository(), "public/" + Repository());
        foreach (var repository in new[] { hidden, shown })
        {
            Cleanup(() => Docker.Run("rmi", "-f", Remote(repository)));
            await Docker.Ok("tag", "alpine", Remote(repository));
            (await Docker.Run("--config", writer, "push", Remote(repository))).Ok();
            await Docker.Ok("rmi", Remote(repository));
        }
        (await Docker.Run("pull", Remote(shown))).Ok();
        (await Docker.Run("push", Remote(shown))).Exited(1).Says("denied: requested access to the resource is denied");
        (await Docker.Run("pull", Remote(hidden))).Exited(1)
            .Says($"pull access denied for {Registry.Host}/{hidden}, repository does not exist or may require 'docker login'");
    }

    [Fact]
    public async Task A_wrong_password_is_refused() =>
        (await Docker.RunWith("wrong", "--config", Folder(), "login", "-u", RegistryServer.User, "--password-stdin", Registry.Host)).Exited(1).Says("unauthorized");
}
