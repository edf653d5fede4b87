using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Requests as they should and should not be, and the answers.</summary>
public sealed class RequestTests
{
    private const string Head = "POST /v1.50/containers/create?name=n HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: close\r\n";

    [Fact]
    public async Task Ping_tells_what_the_server_can_do()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri("/_ping", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal("OK", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(
            ["1.50", "false", "linux", "2", "inactive"],
            new[] { "Api-Version", "Docker-Experimental", "Ostype", "Builder-Version", "Swarm" }.Select(name => response.Headers.GetValues(name).Single()));
        Assert.StartsWith("Slipway/", string.Join(' ', response.Headers.GetValues("Server")), StringComparison.Ordinal);
        Assert.True(response.Headers.CacheControl is { NoCache: true, NoStore: true, MustRevalidate: true });
    }

    [Theory]
    [InlineData("GET", "/nosuch", 404, "page not found")]
    [InlineData("GET", "/vx/version", 404, "page not found")]
    [InlineData("PUT", "/v1.45/containers/json", 404, "page not found")]
    [InlineData("GET", "/v1.51/version", 400, "client version 1.51 is too new. Maximum supported API version is 1.50")]
    [InlineData("GET", "/v1.23/version", 400, "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version")]
    [InlineData("GET", "/v99999999999.1/version", 400, "client version 99999999999.1 is too new. Maximum supported API version is 1.50")]
    [InlineData("POST", "/v1.50/build", 501, "this engine does not build")]
    [InlineData("POST", "/session", 400, "a session needs an id of at most 256 characters")]
    [InlineData("POST", "/grpc", 400, "no upgrade to h2c was asked for")]
    [InlineData("GET", "/v1.30/services/x/logs", 503, "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.")]
    [InlineData("GET", "/containers/nosuch/json", 404, "No such container: nosuch")]
    [InlineData("GET", "/containers/a%2Fb/json", 404, "No such container: a/b")]
    [InlineData("GET", "/containers/c/logs", 400, "Bad parameters: you must choose at least one stream")]
    [InlineData("GET", "/containers/c/logs?stdout=1&since=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax")]
    [InlineData("GET", "/containers/json?filters=x", 400, "invalid filter")]
    [InlineData("GET", "/containers/json?limit=x", 400, "strconv.Atoi: parsing \"x\": invalid syntax")]
    [InlineData("POST", "/containers/c/wait?condition=bogus", 400, "invalid condition: \"bogus\"")]
    [InlineData("POST", "/containers/c/resize?h=x&w=1", 400, "strconv.Atoi: parsing \"x\": invalid syntax")]
    [InlineData("POST", "/containers/c/attach?detachKeys=ctrl-1", 400, "Invalid detach keys (ctrl-1) provided: Unknown character: 'ctrl-1'")]
    public async Task Errors_have_Dockers_status_and_text(string method, string path, int status, string message)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        (int actual, string body) = await server.SendAsync(method, path);

        Assert.Equal(status, actual);
        Assert.Equal(message, JsonDocument.Parse(body).RootElement.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("{", "invalid JSON: unexpected EOF")]
    [InlineData("", "invalid JSON: got EOF while reading request body")]
    [InlineData("{}", "config cannot be empty in order to create a container")]
    [InlineData("null", "config cannot be empty in order to create a container")]
    [InlineData("{\"Image\":5}", "invalid JSON: wrong type or value of field $.Image")]
    [InlineData("[]", "invalid JSON: wrong type or value of field $")]
    [InlineData("{\"Image\":\"a\"}{\"x\":1}", "unexpected content after JSON")]
    [InlineData("{\"Image\":\"a\"} x", "unexpected content after JSON")]
    public async Task Bad_bodies_are_refused(string json, string message)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        (int status, string body) = await server.SendAsync("POST", "/containers/create", json);

        Assert.Equal((400, message), (status, JsonDocument.Parse(body).RootElement.GetProperty("message").GetString()));
    }

    [Fact]
    public async Task Malformed_text_is_refused_wherever_it_breaks()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        const string Whole = "{\"Image\":\"alpine\",\"Cmd\":[\"sh\",\"-c\",\"x\"],\"HostConfig\":{\"Memory\":64,\"Binds\":null}}";
        for (int length = 1; length < Whole.Length; length++)
        {
            (int status, string body) = await server.SendAsync("POST", "/containers/create", Whole[..length]);
            Assert.Equal((400, "{\"message\":\"invalid JSON: unexpected EOF\"}\n"), (status, body));
        }

        Assert.Equal(400, (await server.SendAsync("POST", "/containers/create", "{\"Image\":'x'}")).Status);
        Assert.Equal(400, (await server.SendAsync("POST", "/containers/create", new string('[', 10_000))).Status);
        Assert.Equal(201, (await server.SendAsync("POST", "/containers/create", Whole)).Status);
    }

    [Fact]
    public async Task Unknown_fields_and_names_in_any_case_are_accepted_and_a_command_may_be_one_string()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        ContainerCreate? seen = null;
        server.Engine.OnCreate = create =>
        {
            seen = create;
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        (int status, string body) = await server.SendAsync("POST", "/containers/create?name=n&platform=linux/amd64", "{\"image\":\"alpine\",\"Unknown\":1,\"Cmd\":\"true\"}");

        Assert.Equal((201, $"{{\"Id\":\"{FakeEngine.Id}\",\"Warnings\":[]}}\n"), (status, body));
        Assert.Equal(("n", "linux/amd64", "alpine"), (seen!.Name, seen.Platform, seen.Request.Image));
        Assert.Equal(["true"], seen.Request.Cmd);
    }

    [Theory]
    [InlineData("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'")]
    [InlineData("application/json; charset=utf-8", null)]
    public async Task The_content_type_has_to_be_JSON(string type, string? message)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        (int status, string body) = await server.SendAsync("POST", "/containers/create", "{\"Image\":\"a\"}", type);

        Assert.Equal(message is null ? 201 : 400, status);
        Assert.True(message is null || JsonDocument.Parse(body).RootElement.GetProperty("message").GetString() == message, body);
    }

    [Theory]
    [InlineData("v1.39", "shareable", "host")]
    [InlineData("v1.40", "", "host")]
    [InlineData("v1.50", "", "")]
    public async Task Older_clients_get_the_defaults_of_their_time(string version, string ipc, string cgroupNamespace)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        HostConfig? seen = null;
        server.Engine.OnCreate = create =>
        {
            seen = create.Request.HostConfig;
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        await server.SendAsync("POST", $"/{version}/containers/create", "{\"Image\":\"a\",\"HostConfig\":{}}");

        Assert.Equal((ipc, cgroupNamespace), (seen!.IpcMode, seen.CgroupnsMode));
    }

    [Theory]
    [InlineData("force=nope", "True")]
    [InlineData("force=1", "True")]
    [InlineData("force=False", "False")]
    [InlineData("force=none", "False")]
    [InlineData("force=", "False")]
    [InlineData("", "False")]
    public async Task Flags_are_read_as_Docker_reads_them(string query, string expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();

        Assert.Equal(204, (await server.SendAsync("DELETE", $"/containers/c?{query}")).Status);
        Assert.Equal([$"remove c {expected} False"], server.Engine.Calls);
    }

    [Fact]
    public async Task Both_forms_of_filters_are_read()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<string> seen = [];
        server.Engine.OnList = options =>
        {
            seen.Add(string.Join(',', options.Filters["status"]));
            return [];
        };
        await server.SendAsync("GET", "/containers/json?filters=" + Uri.EscapeDataString("{\"status\":[\"running\",\"paused\"]}"));
        await server.SendAsync("GET", "/containers/json?filters=" + Uri.EscapeDataString("{\"status\":{\"running\":true,\"paused\":false}}"));

        Assert.Equal(["running,paused", "running"], seen);
    }

    [Fact]
    public async Task Older_versions_see_older_shapes()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnImages = (_, _) => [new Slipway.Api.Images.ImageSummary { Id = "sha256:1", Size = 42 }];

        Assert.Contains("\"VirtualSize\":42", (await server.SendAsync("GET", "/v1.43/images/json")).Body, StringComparison.Ordinal);
        Assert.DoesNotContain("VirtualSize", (await server.SendAsync("GET", "/v1.44/images/json")).Body, StringComparison.Ordinal);
    }

    /// <summary>Elsewhere a check saw another body than the engine: of length 0, or cut at 1 MB. Here there is one reading.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData((1024 * 1024) - 1)]
    [InlineData(1024 * 1024)]
    [InlineData((1024 * 1024) + 1)]
    public async Task CVE_2024_41110_CVE_2026_34040_The_engine_acts_on_the_whole_body_however_it_is_framed(int padding)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<(string Image, bool? Privileged, int Padding)> seen = [];
        server.Engine.OnCreate = create =>
        {
            seen.Add((create.Request.Image, create.Request.HostConfig?.Privileged, create.Request.User.Length));
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        string body = $"{{\"Image\":\"a\",\"User\":\"{new string('u', padding)}\",\"HostConfig\":{{\"Privileged\":true}}}}";
        using Socket known = await server.ConnectAsync();
        await known.SayAsync($"{Head}Content-Length: {body.Length}\r\n\r\n{body}");
        string first = await known.ReadTextAsync();
        using Socket chunked = await server.ConnectAsync();
        await chunked.SayAsync($"{Head}Transfer-Encoding: chunked\r\n\r\n{7:x}\r\n{body[..7]}\r\n{body.Length - 7:x}\r\n{body[7..]}\r\n0\r\n\r\n");
        string second = await chunked.ReadTextAsync();

        Assert.All([first, second], answer => Assert.StartsWith("HTTP/1.1 201 ", answer, StringComparison.Ordinal));
        Assert.Equal([("a", true, padding), ("a", true, padding)], seen);
    }

    [Theory]
    [InlineData("Content-Length: 0\r\n\r\n{\"Image\":\"a\"}", "400")]
    [InlineData("Content-Length: 13\r\nContent-Length: 2\r\n\r\n{\"Image\":\"a\"}", "400")]
    [InlineData("Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400")]
    [InlineData("Content-Length: -1\r\n\r\n", "400")]
    [InlineData("Transfer-Encoding: identity\r\n\r\n", "4")]
    [InlineData("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 0\r\n\r\n", "400")]
    public async Task CVE_2024_41110_CVE_2026_34040_Ambiguous_framing_creates_nothing(string rest, string status)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        bool created = false;
        server.Engine.OnCreate = _ =>
        {
            created = true;
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Head + rest);

        Assert.StartsWith("HTTP/1.1 " + status, await client.ReadTextAsync(), StringComparison.Ordinal);
        Assert.False(created);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: d\r\nX: ", 1024 * 1024)]
    [InlineData("GET /", 1024 * 1024)]
    [InlineData("\0\0\0\0", 4096)]
    [InlineData("GET /_ping HTTP/9.9\r\n\r\n", 0)]
    [InlineData("\x16\x03\x01\x02\0", 512)]
    public async Task Bombs_and_garbage_are_refused_and_harm_nobody(string start, int length)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        using Socket client = await server.ConnectAsync();
        Task<string> answer = client.ReadTextAsync();
        try
        {
            await client.SayAsync(start + new string('a', length) + "\r\n\r\n");
        }
        catch (SocketException)
        {
            // The server had heard enough.
        }

        Assert.Matches("^(HTTP/1.1 (4..|505) |$)", await answer);
        Assert.Equal(200, (await server.SendAsync("GET", "/_ping")).Status);
    }

    [Fact]
    public async Task A_client_that_half_closes_right_away_gets_its_answer()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("GET /info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
        client.Shutdown(SocketShutdown.Send);

        Assert.Contains(FakeEngine.Id, await client.ReadTextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unexpected_failures_are_500_with_a_message()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.ExpectWarnings();
        server.Engine.OnStart = _ => throw new InvalidOperationException("broken");

        Assert.Equal((500, "{\"message\":\"broken\"}\n"), await server.SendAsync("POST", "/containers/c/start"));
        Assert.StartsWith("POST /containers/c/start failed System.InvalidOperationException: broken", Assert.Single(server.Log.Entries), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ErrorKind.InvalidParameter, 400)]
    [InlineData(ErrorKind.Unauthorized, 401)]
    [InlineData(ErrorKind.Forbidden, 403)]
    [InlineData(ErrorKind.NotFound, 404)]
    [InlineData(ErrorKind.Conflict, 409)]
    [InlineData(ErrorKind.System, 500)]
    [InlineData(ErrorKind.NotImplemented, 501)]
    [InlineData(ErrorKind.Unavailable, 503)]
    [InlineData(ErrorKind.Remote, 500)]
    public async Task Each_kind_of_error_has_its_status(ErrorKind kind, int status)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.ExpectWarnings();
        server.Engine.OnStart = _ => throw new EngineException(kind, "\"quoted\" <text>");

        Assert.Equal((status, "{\"message\":\"\\\"quoted\\\" <text>\"}\n"), await server.SendAsync("POST", "/containers/c/start"));
        Assert.Equal(kind == ErrorKind.System ? 1 : 0, server.Log.Entries.Count);
    }

    [Fact]
    public async Task Not_modified_has_no_body()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnStart = _ => throw new EngineException(ErrorKind.NotModified, "already started");

        Assert.Equal((304, ""), await server.SendAsync("POST", "/containers/c/start"));
    }

    [Fact]
    public async Task Many_clients_at_once_are_all_served()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        (int Status, string Body)[] answers = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => server.SendAsync("GET", "/_ping")));

        Assert.All(answers, answer => Assert.Equal((200, "OK"), answer));
    }
}
