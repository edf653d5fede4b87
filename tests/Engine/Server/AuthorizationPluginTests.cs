using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using Slipway.Api.Containers;
using Slipway.Api.Registries;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Plugins;
using Slipway.Server.Authorization.Plugins;
using Slipway.Tests.Harness;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Authorization plugins: what they see, and that nothing passes them by.</summary>
public sealed class AuthorizationPluginTests : IAsyncLifetime
{
    private const string Create = "/v1.50/containers/create?name=x";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("slipway-authz-");
    private FakeAuthorizationPlugin _plugin = null!;
    private AuthorizationPlugins _plugins = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _plugin = new FakeAuthorizationPlugin($"{_directory}/guard.sock");
        _plugins = new AuthorizationPlugins(new PluginDirectory(_directory.FullName, [])) { Timeout = TimeSpan.FromSeconds(30) };
        _plugins.Replace(["guard"]);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _plugin.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    [Fact]
    public async Task A_plugin_sees_the_request_and_its_answer_but_no_credentials()
    {
        await using ServerUnderTest server = await StartAsync();
        using HttpRequestMessage request = new(HttpMethod.Post, Create) { Content = new StringContent("""{"Image":"alpine","Unknown":[1]}""", Encoding.UTF8, "application/json") };
        request.Headers.Add("X-Registry-Auth", "c2VjcmV0");
        request.Headers.Add("X-Other", "o");
        using HttpResponseMessage response = await server.Http.SendAsync(request, Cancellation);
        Assert.Equal(201, (int)response.StatusCode);
        PluginCall asked = Assert.Single(_plugin.Requests);
        Assert.Equal(("POST", Create, """{"Image":"alpine","Unknown":[1]}"""), (asked.Verb, asked.Uri, asked.Body));
        Assert.Equal("o", (string?)asked.Arguments["RequestHeaders"]!["X-Other"]);
        Assert.DoesNotContain("c2VjcmV0", asked.Arguments.ToJsonString(), StringComparison.Ordinal);
        PluginCall told = Assert.Single(_plugin.Answers);
        Assert.Equal((Create, 201), (told.Uri, told.Status));
        Assert.Equal(await response.Content.ReadAsStringAsync(Cancellation), told.Answer);
        Assert.Equal("application/json", (string?)told.Arguments["ResponseHeaders"]!["Content-Type"]);

        // Of errors it hears as well; a password it is not shown.
        Assert.Equal(404, (await server.SendAsync("GET", "/v1.50/containers/none/json")).Status);
        Assert.Equal(404, _plugin.Answers[^1].Status);
        Assert.Contains("No such container: none", _plugin.Answers[^1].Answer, StringComparison.Ordinal);
        server.Engine.OnLogin = credentials => new LoginAnswer { Status = credentials.Password };
        Assert.Equal(200, (await server.SendAsync("POST", "/v1.50/auth", """{"username":"u","password":"hidden","serveraddress":"reg.example"}""")).Status);
        Assert.Equal("/v1.50/auth", _plugin.Requests[^1].Uri);
        Assert.Equal("", _plugin.Requests[^1].Body);
    }

    [Fact]
    public async Task What_it_denies_is_not_done()
    {
        await using ServerUnderTest server = await StartAsync();
        _plugin.Judge = call => call.Verb == "GET" ? null : "read only";
        Assert.Equal((403, "authorization denied by plugin guard: read only"), await Refused(server, "POST", "/v1.50/containers/x/stop"));
        Assert.Equal((403, "authorization denied by plugin guard: read only"), await Refused(server, "POST", Create, """{"Image":"alpine"}"""));
        Assert.Empty(server.Engine.Calls);
        Assert.Empty(_plugin.Answers);
        Assert.Equal(200, (await server.SendAsync("GET", "/v1.50/_ping")).Status);
    }

    [Fact]
    public async Task All_plugins_have_to_allow_and_the_first_that_does_not_is_the_last_that_is_asked()
    {
        await using FakeAuthorizationPlugin second = new($"{_directory}/second.sock");
        _plugins.Replace(["guard", "second", "guard"]);
        await using ServerUnderTest server = await StartAsync();
        second.Judge = _ => "not here";
        Assert.Equal((403, "authorization denied by plugin second: not here"), await Refused(server, "GET", "/v1.50/_ping"));
        Assert.Single(_plugin.Requests);
        _plugin.Judge = _ => "nor here";
        Assert.Equal((403, "authorization denied by plugin guard: nor here"), await Refused(server, "GET", "/v1.50/_ping"));
        Assert.Single(second.Requests);
        _plugins.Replace([]);
        Assert.Equal(200, (await server.SendAsync("GET", "/v1.50/_ping")).Status);
    }

    [Theory]
    [InlineData(500, """{"Err":"no database"}""", "plugin guard failed with error: AuthZPlugin.AuthZReq: no database")]
    [InlineData(500, "", "plugin guard failed with error: AuthZPlugin.AuthZReq: status 500")]
    [InlineData(500, """{"Allow":true}""", "plugin guard failed with error: AuthZPlugin.AuthZReq: status 500")]
    [InlineData(200, """{"Allow":true,"Err":"not sure"}""", "plugin guard failed with error: AuthZPlugin.AuthZReq: not sure")]
    [InlineData(200, "junk", "plugin guard failed with error: AuthZPlugin.AuthZReq: its answer is no JSON object of the protocol")]
    [InlineData(200, "", "plugin guard failed with error: AuthZPlugin.AuthZReq: its answer is no JSON object of the protocol")]
    [InlineData(200, "null", "plugin guard failed with error: AuthZPlugin.AuthZReq: its answer is no JSON object of the protocol")]
    [InlineData(200, """{"Allow":"yes"}""", "plugin guard failed with error: AuthZPlugin.AuthZReq: its answer is no JSON object of the protocol")]
    public async Task What_is_no_verdict_refuses(int status, string answer, string expected)
    {
        await using ServerUnderTest server = await StartAsync();
        server.ExpectWarnings();
        _plugin.Instead = _ => (status, answer);
        Assert.Equal((500, expected), await Refused(server, "POST", "/v1.50/containers/x/stop"));
        Assert.Empty(server.Engine.Calls);
    }

    [Fact]
    public async Task A_plugin_that_is_silent_gone_or_none_refuses()
    {
        _plugins = new AuthorizationPlugins(new PluginDirectory(_directory.FullName, [])) { Timeout = TimeSpan.FromSeconds(1) };
        _plugins.Replace(["guard"]);
        await using ServerUnderTest server = await StartAsync();
        server.ExpectWarnings();
        _plugin.Instead = _ => (0, "");
        Assert.Equal((500, "plugin guard failed with error: AuthZPlugin.AuthZReq: the plugin did not answer within 1 s"), await Refused(server, "POST", "/v1.50/containers/x/stop"));
        await _plugin.DisposeAsync();
        (int status, string message) = await Refused(server, "POST", "/v1.50/containers/x/stop");
        Assert.Equal(500, status);
        Assert.StartsWith("plugin guard failed with error: AuthZPlugin.AuthZReq: ", message, StringComparison.Ordinal);
        Assert.Empty(server.Engine.Calls);

        // The same socket, and another program behind it.
        _plugin = new FakeAuthorizationPlugin($"{_directory}/guard.sock") { Implements = "VolumeDriver" };
        AuthorizationPlugins other = new(new PluginDirectory(_directory.FullName, []));
        other.Replace(["guard"]);
        EngineException none = await Assert.ThrowsAsync<EngineException>(() => other.ActivateAsync(Cancellation));
        Assert.Equal("plugin guard failed with error: Plugin does not implement the requested driver (authz)", none.Message);
        none = Assert.Throws<EngineException>(() => other.Replace(["nosuch"]));
        Assert.Equal("failed to validate authorization plugin: plugin \"nosuch\" not found", none.Message);
        Assert.Throws<EngineException>(() => other.Replace(["../guard"]));
    }

    /// <summary>Docker passed on requests whose body it did not show: of length zero by their header, and beyond a mebibyte.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData((1 << 20) - 1)]
    [InlineData(1 << 20)]
    [InlineData((1 << 20) + 1)]
    [InlineData(4 << 20)]
    public async Task CVE_2024_41110_and_CVE_2026_34040_a_body_of_any_length_is_shown_whole(int length)
    {
        await using ServerUnderTest server = await StartAsync();
        string body = length == 0 ? "" : $$"""{"Image":"alpine","HostConfig":{"Privileged":true}{{new string(' ', length - 51)}}}""";
        Assert.Equal(length, body.Length);
        foreach (bool chunked in (bool[])[false, true])
        {
            using Socket client = await server.ConnectAsync();
            await client.SayAsync($"POST {Create} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\n"
                + (chunked ? "Transfer-Encoding: chunked\r\n\r\n" + (length == 0 ? "" : $"{length:x}\r\n{body}\r\n") + "0\r\n\r\n" : $"Content-Length: {length}\r\n\r\n{body}"));
            string answer = await client.ReadTextAsync();
            Assert.StartsWith(length == 0 ? "HTTP/1.1 400" : "HTTP/1.1 201", answer, StringComparison.Ordinal);
            Assert.Equal(body, _plugin.Requests[^1].Body);
        }

        _plugin.Judge = call => call.Body.Contains("\"Privileged\":true", StringComparison.Ordinal) ? "privileged" : null;
        Assert.Equal(length == 0 ? 400 : 403, (await server.SendAsync("POST", Create, body)).Status);
    }

    [Fact]
    public async Task CVE_2024_41110_a_body_that_cannot_be_shown_whole_is_refused()
    {
        await using ServerUnderTest server = await StartAsync();
        server.Engine.OnCreate = _ => throw new InvalidOperationException("a request was passed");
        string body = $$"""{"Image":"alpine"{{new string(' ', 4 << 20)}}}""";
        foreach (string framing in (string[])[$"Content-Length: {body.Length}\r\n\r\n{body}", $"Transfer-Encoding: chunked\r\n\r\n{body.Length:x}\r\n{body}\r\n0\r\n\r\n"])
        {
            using Socket client = await server.ConnectAsync();
            await client.SayAsync($"POST {Create} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n{framing}");
            Assert.StartsWith("HTTP/1.1 413", await client.ReadHeadAsync(), StringComparison.Ordinal);
        }

        // Two lengths, and a length beside chunks: what follows could be read as another request.
        foreach (string framing in (string[])["Content-Length: 0\r\nContent-Length: 18\r\n\r\n", "Content-Length: 0, 18\r\n\r\n"])
        {
            using Socket client = await server.ConnectAsync();
            await client.SayAsync($$"""POST {{Create}} HTTP/1.1{{"\r\n"}}Host: d{{"\r\n"}}Content-Type: application/json{{"\r\n"}}{{framing}}{"Image":"alpine"}""");
            Assert.StartsWith("HTTP/1.1 400", await client.ReadHeadAsync(), StringComparison.Ordinal);
        }

        Assert.Empty(_plugin.Requests);
    }

    [Theory]
    [InlineData("""{"Image":"alpine","hostconfig":{"Privileged":true}}""", "the field hostconfig has to be spelt HostConfig")]
    [InlineData("""{"Image":"alpine","HostConfig":{"privileged":true}}""", "the field HostConfig.privileged has to be spelt Privileged")]
    [InlineData("""{"Image":"alpine","HostConfig":{"Privileged":false},"HostConfig":{"Privileged":true}}""", "the field HostConfig comes more than once")]
    [InlineData("""{"Image":"alpine","HostConfig":{"Privileged":false,"PRIVILEGED":true}}""", "the field HostConfig.PRIVILEGED comes more than once")]
    [InlineData("""{"Image":"alpine","HostConfig":{"Mounts":[{"type":"bind","Source":"/","Target":"/host"}]}}""", "the field HostConfig.Mounts[].type has to be spelt Type")]
    [InlineData("""{"Image":"alpine","HostConfig":{"PortBindings":{"80/tcp":[{"hostport":"1"}]}}}""", "the field HostConfig.PortBindings.80/tcp[].hostport has to be spelt HostPort")]
    public async Task What_others_could_read_otherwise_is_refused(string body, string expected)
    {
        await using ServerUnderTest server = await StartAsync();
        server.Engine.OnCreate = _ => throw new InvalidOperationException("a request was passed");
        (int status, string message) = await Refused(server, "POST", Create, body);
        Assert.Equal(400, status);
        Assert.StartsWith($"invalid JSON: {expected}", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_that_are_data_may_differ_by_case_alone_and_unknown_fields_are_passed_over()
    {
        await using ServerUnderTest server = await StartAsync();
        Assert.Equal(201, (await server.SendAsync("POST", Create, """{"Image":"alpine","Labels":{"a":"1","A":"2"},"nosuch":{"x":[{}]}}""")).Status);
    }

    /// <summary>A plugin that compares paths sees the one that is executed, however it was written; parameters in another spelling mean nothing.</summary>
    [Fact]
    public async Task The_path_is_shown_as_it_was_routed()
    {
        await using ServerUnderTest server = await StartAsync();
        foreach (string target in (string[])["/v1.50/containers/cr%65ate?name=x", "/v1.50/images/../containers/create?name=x", "/v1.50/containers%2Fcreate?name=x"])
        {
            using Socket client = await server.ConnectAsync();
            await client.SayAsync($"POST {target} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{{\"Image\":\"alpine\"}}");
            Assert.StartsWith("HTTP/1.1 201", await client.ReadHeadAsync(), StringComparison.Ordinal);
            Assert.Equal(Create, _plugin.Requests[^1].Uri);
        }

        await server.SendAsync("DELETE", "/v1.50/volumes/v?Force=1");
        await server.SendAsync("DELETE", "/v1.50/volumes/v?Force=1&force=0");
        await server.SendAsync("DELETE", "/v1.50/volumes/v?force=1&Force=0");
        Assert.Equal(["remove volume v False", "remove volume v False", "remove volume v True"], server.Engine.Calls);
    }

    [Fact]
    public async Task An_answer_that_is_denied_is_not_sent_nor_are_its_headers()
    {
        await using ServerUnderTest server = await StartAsync();
        server.Engine.OnStatPath = _ => new ContainerPathStat("secret", 1, 0, "2026-01-01T00:00:00Z", "");
        _plugin.Judge = call => call.Method == "AuthZPlugin.AuthZRes" ? "not yours" : null;
        Assert.Equal((403, "authorization denied by plugin guard: not yours"), await Refused(server, "GET", "/v1.50/containers/json"));
        Assert.Equal((403, "authorization denied by plugin guard: not yours"), await Refused(server, "GET", "/v1.50/containers/none/json"));
        using HttpRequestMessage request = new(HttpMethod.Head, "/v1.50/containers/c/archive?path=/x");
        using HttpResponseMessage response = await server.Http.SendAsync(request, Cancellation);
        Assert.Equal(403, (int)response.StatusCode);
        Assert.False(response.Headers.Contains("X-Docker-Container-Path-Stat"));
        Assert.True(response.Headers.Contains("Api-Version"));
    }

    [Fact]
    public async Task Of_what_goes_on_the_beginning_is_judged_before_any_of_it_is_sent()
    {
        await using ServerUnderTest server = await StartAsync();
        server.Engine.OnLogs = (_, token) => new LogSession(true, Lines(token));
        Assert.Equal("one\ntwo\n", (await server.SendAsync("GET", "/v1.50/containers/c/logs?stdout=1")).Body);
        PluginCall told = Assert.Single(_plugin.Answers);
        Assert.Equal((200, ""), (told.Status, told.Answer));
        _plugin.Judge = call => call.Method == "AuthZPlugin.AuthZRes" ? "no logs" : null;
        Assert.Equal((403, "authorization denied by plugin guard: no logs"), await Refused(server, "GET", "/v1.50/containers/c/logs?stdout=1"));
    }

    [Fact]
    public async Task Hijacked_streams_are_decided_on_before_they_begin()
    {
        await using ServerUnderTest server = await StartAsync();
        int started = 0;
        server.Engine.OnExecStart = (_, _) =>
        {
            started++;
            return FakeEngine.Session(terminal: false, EchoAsync);
        };
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        const string Exec = "POST /v1.50/exec/e1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"Detach\":false}";
        const string Attach = "POST /v1.50/containers/c/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n";
        foreach (string request in (string[])[Exec, Attach])
        {
            using Socket client = await server.ConnectAsync();
            await client.SayAsync(request + "early ");
            Assert.StartsWith("HTTP/1.1 101", await client.ReadHeadAsync(), StringComparison.Ordinal);
            await client.SayAsync("late");
            client.Shutdown(SocketShutdown.Send);
            Assert.Equal("early late", await client.ReadTextAsync());
            Assert.Equal(101, _plugin.Answers[^1].Status);
        }

        Assert.Equal("{\"Detach\":false}", _plugin.Requests[0].Body);
        foreach (string method in (string[])["AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"])
        {
            _plugin.Judge = call => call.Method == method ? "no streams" : null;
            foreach (string request in (string[])[Exec, Attach])
            {
                using Socket client = await server.ConnectAsync();
                await client.SayAsync(request);
                client.Shutdown(SocketShutdown.Send);
                string answer = await client.ReadTextAsync();
                Assert.StartsWith("HTTP/1.1 403", answer, StringComparison.Ordinal);
                Assert.Contains("authorization denied by plugin guard: no streams", answer, StringComparison.Ordinal);
            }
        }

        Assert.Equal(1, started);
    }

    [Fact]
    public async Task Archives_are_decided_on_by_what_stands_in_the_path()
    {
        await using ServerUnderTest server = await StartAsync();
        long received = 0;
        server.Engine.OnCopyTo = async (_, tar) =>
        {
            using MemoryStream copy = new();
            await tar.CopyToAsync(copy, Cancellation);
            received += copy.Length;
        };
        using ByteArrayContent archive = new(new byte[6 << 20]);
        using HttpResponseMessage response = await server.Http.PutAsync(new Uri("/v1.50/containers/c/archive?path=/x", UriKind.Relative), archive, Cancellation);
        Assert.Equal((200, 6 << 20), ((int)response.StatusCode, received));
        Assert.Equal(("/v1.50/containers/c/archive?path=/x", ""), (_plugin.Requests[0].Uri, _plugin.Requests[0].Body));
        _plugin.Judge = call => call.Uri.Contains("/archive", StringComparison.Ordinal) ? "no copies" : null;
        using ByteArrayContent again = new(new byte[1024]);
        using HttpResponseMessage refused = await server.Http.PutAsync(new Uri("/v1.50/containers/c/archive?path=/x", UriKind.Relative), again, Cancellation);
        Assert.Equal((403, 6 << 20), ((int)refused.StatusCode, received));
    }

    private static async Task EchoAsync(Socket process)
    {
        byte[] buffer = new byte[1024];
        int count;
        while ((count = await process.ReceiveAsync(buffer)) > 0)
        {
            await process.SendAsync(buffer.AsMemory(0, count));
        }

        process.Shutdown(SocketShutdown.Send);
    }

    private static async IAsyncEnumerable<LogLine> Lines([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return new LogLine(false, "one\n"u8.ToArray());
        await Task.Yield();
        cancellationToken.ThrowIfCancellationRequested();
        yield return new LogLine(false, "two\n"u8.ToArray());
    }

    private static async Task<(int Status, string Message)> Refused(ServerUnderTest server, string method, string path, string? json = null)
    {
        (int status, string body) = await server.SendAsync(method, path, json);
        return (status, (string?)System.Text.Json.Nodes.JsonNode.Parse(body)!["message"] ?? "");
    }

    private async Task<ServerUnderTest> StartAsync()
    {
        ServerUnderTest server = await ServerUnderTest.StartAsync((options, _) => options with { Plugins = _plugins });
        server.Engine.OnCreate = _ => new ContainerCreateResponse(FakeEngine.Id, []);
        return server;
    }
}
