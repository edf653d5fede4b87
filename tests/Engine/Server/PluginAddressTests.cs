using System.Security.Cryptography.X509Certificates;
using Slipway.Engine;
using Slipway.Engine.Plugins;
using Slipway.Server.Authorization.Plugins;
using Slipway.Tests.Harness;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Plugins that are spoken to by TCP: <c>NAME.spec</c> and <c>NAME.json</c>, and whom the engine believes.</summary>
public sealed class PluginAddressTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-plugins-").FullName;
    private FakeAuthorizationPlugin _plugin = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Socket => $"{_folder}/real.sock";

    public ValueTask InitializeAsync()
    {
        _plugin = new FakeAuthorizationPlugin(Socket) { Judge = call => call.Uri.EndsWith("/stop", StringComparison.Ordinal) ? "not now" : null };
        using X509Certificate2 authority = TestCertificates.Authority("plugins");
        using X509Certificate2 stranger = TestCertificates.Authority("stranger");
        TestCertificates.Write(_folder, "ca", authority);
        TestCertificates.Issue(_folder, "server", authority, server: true);
        TestCertificates.Issue(_folder, "client", authority, server: false);
        TestCertificates.Issue(_folder, "impostor", stranger, server: true);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _plugin.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("tcp://127.0.0.1:{0}")]
    [InlineData("tcp://localhost:{0}\n")]
    [InlineData("http://127.0.0.1:{0}/path")]
    public async Task A_spec_file_names_a_plugin_of_this_host(string address)
    {
        await using PluginRelay relay = new(Socket);
        await File.WriteAllTextAsync($"{_folder}/guard.spec", string.Format(System.Globalization.CultureInfo.InvariantCulture, address, relay.Port), Cancellation);
        await AssertJudgesAsync();
    }

    [Theory]
    [InlineData("https")]
    [InlineData("tcp")]
    public async Task A_json_file_says_how_TLS_is_spoken(string scheme)
    {
        await using PluginRelay relay = new(Socket, $"{_folder}/server");
        await WriteAsync($"{scheme}://127.0.0.1:{relay.Port}", $$"""{"CAFile":"{{_folder}}/ca.pem","CertFile":"{{_folder}}/client.pem","KeyFile":"{{_folder}}/client-key.pem","InsecureSkipVerify":false}""");
        await AssertJudgesAsync();
        Assert.All(relay.Clients, client => Assert.Equal("CN=client", client));
    }

    [Theory]
    [InlineData("impostor", "127.0.0.1", """{"CAFile":"FOLDER/ca.pem"}""")]
    [InlineData("server", "localhost", """{"CAFile":"FOLDER/ca.pem"}""")]
    [InlineData("server", "127.0.0.1", "{}")]
    [InlineData("server", "127.0.0.1", "null")]
    public async Task An_impostor_gets_no_request_and_allows_nothing(string certificate, string host, string tls)
    {
        await using PluginRelay relay = new(Socket, $"{_folder}/{certificate}");
        await WriteAsync($"https://{host}:{relay.Port}", tls.Replace("FOLDER", _folder, StringComparison.Ordinal));
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => Plugins().ActivateAsync(Cancellation));
        Assert.StartsWith("plugin guard failed with error: Plugin.Activate: ", refused.Message, StringComparison.Ordinal);
        Assert.Empty(_plugin.Calls);

        // Unless one is asked to believe anybody.
        await WriteAsync($"https://{host}:{relay.Port}", """{"InsecureSkipVerify":true}""");
        await AssertJudgesAsync();
        Assert.All(relay.Clients, Assert.Empty);
    }

    [Theory]
    [InlineData("CAFile", "nosuch.pem", "nosuch.pem: ")]
    [InlineData("CAFile", "client-key.pem", "client-key.pem: there is no certificate in it")]
    [InlineData("CertFile", "ca.pem", "ca.pem: ")]
    public async Task A_file_that_cannot_be_used_is_named(string field, string file, string expected)
    {
        await using PluginRelay relay = new(Socket, $"{_folder}/server");
        await WriteAsync($"https://127.0.0.1:{relay.Port}", $$"""{"{{field}}":"{{_folder}}/{{file}}"}""");
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => Plugins().ActivateAsync(Cancellation));
        Assert.Contains($"{_folder}/{expected}", refused.Message, StringComparison.Ordinal);
        Assert.Empty(_plugin.Calls);
    }

    [Theory]
    [InlineData("tcp://192.0.2.1:9000", "is beyond this host, where plugins are spoken to by TLS only")]
    [InlineData("http://plugins.example:9000", "is beyond this host")]
    [InlineData("http://localhost.example:9000", "is beyond this host")]
    [InlineData("tcp://127.0.0.1", "names no port")]
    [InlineData("tcp://", "is no address of a plugin")]
    [InlineData("tcp://user@127.0.0.1:1", "is no address of a plugin")]
    [InlineData("unix://relative", "is no address of a plugin")]
    [InlineData("ftp://127.0.0.1:1", "is no address of a plugin")]
    [InlineData("127.0.0.1:1", "is no address of a plugin")]
    [InlineData("", "is no address of a plugin")]
    public async Task What_is_no_address_is_refused(string address, string expected)
    {
        foreach (string file in new[] { "guard.spec", "guard.json" })
        {
            await File.WriteAllTextAsync($"{_folder}/{file}", file.EndsWith("spec", StringComparison.Ordinal) ? address : $$"""{"Addr":"{{address}}"}""", Cancellation);
            EngineException refused = Assert.Throws<EngineException>(Plugins);
            Assert.Contains($"{_folder}/{file}: \"{address}\" {expected}", refused.Message, StringComparison.Ordinal);
            File.Delete($"{_folder}/{file}");
        }
    }

    [Fact]
    public async Task A_socket_s_path_that_is_too_long_is_refused()
    {
        await WriteAsync($"unix:///{new string('x', 200)}", "null");
        Assert.Contains("is too long for the path of a socket", Assert.Throws<EngineException>(Plugins).Message, StringComparison.Ordinal);
    }

    private AuthorizationPlugins Plugins()
    {
        AuthorizationPlugins plugins = new(new PluginDirectory($"{_folder}/nosuch", [_folder])) { Timeout = TimeSpan.FromSeconds(30) };
        plugins.Replace(["guard"]);
        return plugins;
    }

    private Task WriteAsync(string address, string tls) =>
        File.WriteAllTextAsync($"{_folder}/guard.json", $$"""{"Name":"guard","Addr":"{{address}}","TLSConfig":{{tls}}}""", Cancellation);

    private async Task AssertJudgesAsync()
    {
        AuthorizationPlugins plugins = Plugins();
        await plugins.ActivateAsync(Cancellation);
        await using ServerUnderTest server = await ServerUnderTest.StartAsync((options, _) => options with { Plugins = plugins });
        (int status, string body) = await server.SendAsync("POST", "/v1.50/containers/x/stop");
        Assert.Equal(403, status);
        Assert.Contains("authorization denied by plugin guard: not now", body, StringComparison.Ordinal);
        Assert.Empty(server.Engine.Calls);
        Assert.Equal(204, (await server.SendAsync("POST", "/v1.50/containers/x/kill")).Status);
        Assert.Equal(3, _plugin.Calls.Count);
    }
}
