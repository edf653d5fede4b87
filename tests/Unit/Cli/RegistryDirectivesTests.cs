using Slipway.Api.Daemon;
using Slipway.Cli;
using Slipway.Cli.Credentials;
using Slipway.Cli.Roles;
using Slipway.Engine;
using Slipway.Engine.Daemon;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

public sealed class RegistryDirectivesTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Dockerds_keys_reach_the_engine_and_info()
    {
        EngineOptions options = Apply("""
            {
              "registry-mirrors": ["https://mirror.example.com"],
              "insecure-registries": ["reg.example.com:5000", "10.0.0.0/8"],
              "registries": {"other.example.com": {"mirrors": ["http://near:1/"], "insecure": true, "ca": "/ca.pem", "token-realms": ["auth.example.net"]}},
              "max-concurrent-downloads": 7, "max-concurrent-uploads": 0, "max-download-attempts": 9,
              "proxies": {"http-proxy": "http://me:secret@proxy:3128", "no-proxy": "near"}
            }
            """);
        Assert.Equal((7, 5, 9), (options.MaxConcurrentDownloads, options.MaxConcurrentUploads, options.Registries.Retry.Attempts));
        Assert.Equal(new Uri("http://me:secret@proxy:3128"), options.Registries.Proxies.GetProxy(new Uri("http://far/")));
        Assert.True(options.Registries.Proxies.IsBypassed(new Uri("http://near/")));
        var other = options.Registries.Registries["other.example.com"];
        Assert.Equal((true, "/ca.pem", "auth.example.net"), (other.Insecure, other.CertificateAuthority, Assert.Single(other.TokenRealms)));

        RegistryConfig config = RegistryShapes.Config(options.Registries);
        Assert.Equal(["https://mirror.example.com/"], config.Mirrors);
        Assert.Equal(["10.0.0.0/8", "::1/128", "127.0.0.0/8"], config.InsecureRegistryCIDRs);
        Assert.Equal(
            [("docker.io", "https://mirror.example.com/", true, true), ("reg.example.com:5000", "", false, false), ("other.example.com", "http://near:1/", false, false)],
            config.IndexConfigs.Values.Select(index => (index.Name, string.Concat(index.Mirrors), index.Secure, index.Official)));
        Assert.Equal("http://xxxxx:xxxxx@proxy:3128", RegistryShapes.WithoutPassword(options.HttpProxy!));
    }

    [Theory]
    [InlineData("""{"max-concurrent-downloads":-1}""", "invalid max concurrent downloads: -1")]
    [InlineData("""{"max-concurrent-uploads":-2}""", "invalid max concurrent uploads: -2")]
    [InlineData("""{"max-download-attempts":0}""", "invalid max download attempts: 0")]
    [InlineData("""{"registry-mirrors":["mirror"]}""", "invalid mirror")]
    [InlineData("""{"insecure-registries":["a/b/c"]}""", "a/b/c")]
    public void Values_that_cannot_be_meant_are_refused(string file, string message) =>
        Assert.Contains(message, Assert.Throws<CommandException>(() => Apply(file)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_number_in_flag_and_file_is_refused()
    {
        File.WriteAllText(_path, """{"max-concurrent-downloads":2}""");
        System.Text.Json.Nodes.JsonObject flags = new() { ["max-concurrent-downloads"] = 2 };
        Assert.Contains("max-concurrent-downloads", Assert.Throws<CommandException>(() => DaemonConfiguration.Read(_path, required: true, flags)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "https://index.docker.io/v1/")]
    [InlineData("docker.io", "https://index.docker.io/v1/")]
    [InlineData("https://index.docker.io/v1/", "https://index.docker.io/v1/")]
    [InlineData("https://reg.example.com:5000/v2/", "reg.example.com:5000")]
    [InlineData("reg.example.com", "reg.example.com")]
    public void Servers_are_called_as_docker_calls_them(string? server, string expected) => Assert.Equal(expected, RegistryKey.OfServer(server));

    [Theory]
    [InlineData("alpine", "https://index.docker.io/v1/")]
    [InlineData("reg.example.com:5000/a/b", "reg.example.com:5000")]
    public void Credentials_of_an_image_are_those_of_its_registry(string image, string expected) => Assert.Equal(expected, RegistryKey.Of(Reference.Parse(image)));

    [Fact]
    public async Task Old_files_have_addresses_and_each_helper_its_registries()
    {
        string auth = Convert.ToBase64String("me:pass:word"u8);
        File.WriteAllText(_path, $$$"""{"auths":{"https://old.example.com/v1/":{"auth":"{{{auth}}}"}},"credHelpers":{"helped.example.com":"some"}}""");
        CredentialFile file = CredentialFile.Open(_path);

        var found = await file.GetAsync("old.example.com", TestContext.Current.CancellationToken);
        Assert.Equal(("me", "pass:word"), (found!.Username, found.Password));
        Assert.Null(await file.GetAsync("new.example.com", TestContext.Current.CancellationToken));
        Assert.Null(file.HelperOf("old.example.com"));
        Assert.NotNull(file.HelperOf("helped.example.com"));
        Assert.DoesNotContain("pass", found.ToString(), StringComparison.Ordinal);
    }

    private EngineOptions Apply(string text)
    {
        File.WriteAllText(_path, text);
        return RegistryDirectives.Apply(DaemonConfiguration.Read(_path, required: true), new EngineOptions());
    }
}
