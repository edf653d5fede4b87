using Microsoft.AspNetCore.Http;
using Slipway.Registry.Distribution;
using Slipway.Registry.Distribution.Transport;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary><c>docker login</c>.</summary>
public sealed class LoginTests : DistributionTest
{
    private RegistryCredentials Login => Credentials with { ServerAddress = Registry.Host };

    [Theory]
    [InlineData("{0}")]
    [InlineData("http://{0}")]
    [InlineData("https://{0}/v1/")]
    public async Task The_server_is_a_host_or_an_address(string server)
    {
        Assert.Null(await Client().LoginAsync(Credentials with { ServerAddress = string.Format(server, Registry.Host) }, Cancellation));
        Assert.Equal("GET /v2/", Registry.Lines[^1]);
    }

    [Fact]
    public async Task A_wrong_password_has_Dockers_text()
    {
        Registry.Answer = context =>
        {
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"test\"";
            return FakeRegistry.RefuseAsync(context, 401);
        };
        var error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => Client().LoginAsync(Login, Cancellation));
        Assert.Equal($"login attempt to http://{Registry.Host}/v2/ failed with status: 401 Unauthorized", error.Message);
    }

    [Fact]
    public async Task A_wrong_password_at_the_token_server_has_Dockers_text()
    {
        Registry.Answer = context => context.Request.Path == "/token"
            ? FakeRegistry.RefuseAsync(context, 401, "UNAUTHORIZED", "incorrect username or password")
            : Bearer(() => $"http://{Registry.Host}/token", () => "token")(context);
        var error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => Client().LoginAsync(Login, Cancellation));
        Assert.Equal($"Get \"http://{Registry.Host}/v2/\": unauthorized: incorrect username or password", error.Message);
    }

    [Fact]
    public async Task A_token_server_may_give_an_identity_token()
    {
        Registry.Answer = context => context.Request.Path == "/token"
            ? GiveTokenAsync(context, new { token = "token", refresh_token = "identity" })
            : Bearer(() => $"http://{Registry.Host}/token", () => "token")(context);
        Assert.Equal("identity", await Client().LoginAsync(Login, Cancellation));
        var asked = Assert.Single(Registry.Requests, request => request.Path == "/token");
        Assert.Equal("?service=test&offline_token=true&client_id=slipway&account=ann", asked.Query);
    }

    [Fact]
    public async Task Nobody_listens()
    {
        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => Client().LoginAsync(Credentials with { ServerAddress = "127.0.0.1:1" }, Cancellation));
        Assert.Equal("Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused", error.Message);
        Assert.Empty(Time.Waits);
    }

    [Theory]
    [InlineData("", "registry-1.docker.io")]
    [InlineData("https://index.docker.io/v1/", "registry-1.docker.io")]
    [InlineData("docker.io", "registry-1.docker.io")]
    [InlineData("registry-1.docker.io", "registry-1.docker.io")]
    [InlineData("https://r.example.com:5000/v2/", "r.example.com:5000")]
    [InlineData("[::1]:5000", "[::1]:5000")]
    public void The_host_of_a_login(string server, string host) =>
        Assert.Equal(host, new EndpointDirectory(new RegistryConfiguration(), TimeProvider.System).FindLogin(server).Address.Authority);

    [Theory]
    [InlineData("user@r.example.com")]
    [InlineData("a b")]
    public async Task What_is_no_host_is_refused(string server) =>
        await RefusedAsync(RegistryErrorKind.Refused, () => Client().LoginAsync(Credentials with { ServerAddress = server }, Cancellation));
}
