using System.Text;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Requests that no client sends: each is refused with Docker's kind of error, and the engine lives on.</summary>
public sealed class BadInputTests : EngineTest
{
    private readonly EngineHttp _http;

    public BadInputTests(SharedEngine engine)
        : base(engine)
    {
        _http = new EngineHttp(engine.Docker.Socket);
        Cleanup(() =>
        {
            _http.Dispose();
            return Task.CompletedTask;
        });
    }

    [Theory]
    [InlineData("", "invalid JSON: got EOF while reading request body")]
    [InlineData("{", "invalid JSON")]
    [InlineData("[]", "invalid JSON")]
    [InlineData("{\"Image\":5}", "invalid JSON")]
    [InlineData("{\"Image\":\"alpine\"", "invalid JSON")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"]}{}", "unexpected content after JSON")]
    [InlineData("{\"Image\":\"alpine\",\"HostConfig\":\"x\"}", "invalid JSON")]
    [InlineData("{\"Image\":\"alpine\",\"HostConfig\":{\"Memory\":\"x\"}}", "invalid JSON")]
    [InlineData("{\"Image\":\"alpine\",\"HostConfig\":{\"Memory\":99999999999999999999}}", "invalid JSON")]
    [InlineData("{}", "config cannot be empty")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"bogus\"}}}", "invalid restart policy")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":3}}}", "maximum retry count")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"Memory\":-1}}", "Minimum memory limit")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"PortBindings\":{\"x/tcp\":[{\"HostPort\":\"1\"}]}}}", "invalid port specification")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"99999\"}]}}}", "invalid port specification")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"Binds\":[\"/tmp:/\"]}}", "destination can't be '/'")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"Binds\":[\"/a:/b:/c:/d\"]}}", "invalid volume specification")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"Env\":[\"\"]}", "invalid environment variable")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"IpcMode\":\"bogus\"}}", "invalid IPC mode")]
    [InlineData("{\"Image\":\"alpine\",\"Cmd\":[\"true\"],\"HostConfig\":{\"CpusetCpus\":\"0-99999999999\"}}", "cpuset cpus")]
    [InlineData("{\"Image\":\"Bad Image\",\"Cmd\":[\"true\"]}", "invalid reference format")]
    public async Task Create_with_a_bad_body(string body, string message)
    {
        var answer = await _http.Post("v1.45/containers/create", body);
        // dockerd 26 blames itself for a bad mount; the client is to blame.
        answer.Refused(!IsSlipway && answer.Body.Contains("invalid volume specification", StringComparison.Ordinal) ? 500 : 400, message);
    }

    [Fact]
    public async Task Create_with_another_content_type() =>
        (await _http.Send(HttpMethod.Post, "v1.45/containers/create", new StringContent("{\"Image\":\"alpine\"}", Encoding.UTF8, "text/plain"))).Refused(400, "unsupported Content-Type");

    [Fact]
    public async Task Create_tolerates_what_clients_send()
    {
        // Unknown fields, a string where a list is usual, names in another case: Docker takes them, so clients send them.
        foreach (var body in new[] { """{"Image":"alpine","Cmd":["true"],"Unknown":{"x":[1]}}""", """{"Image":"alpine","Cmd":"true"}""", """{"image":"alpine","cmd":["true"],"hostConfig":{"memory":0}}""" })
        {
            var name = Container(Guid.NewGuid().ToString("N"));
            Assert.Equal(64, ((string)(await _http.Post($"v1.45/containers/create?name={name}", body)).Is(201).Json["Id"]!).Length);
            Assert.Equal("[true]", await Docker.Inspect(name, "{{.Config.Cmd}}"));
        }
    }

    [Theory]
    [InlineData("..")]
    [InlineData("../../etc")]
    [InlineData("a%00b")]
    [InlineData("%F0%9F%90%8B")]
    [InlineData("a%20b")]
    [InlineData("a%0Ab")]
    [InlineData("-rf")]
    public async Task Create_with_an_odd_name(string name) =>
        (await _http.Post($"v1.45/containers/create?name={name.Replace("/", "%2F", StringComparison.Ordinal)}", """{"Image":"alpine","Cmd":["true"]}""")).Refused(400, "Invalid container name");

    [Theory]
    [InlineData("GET", "v1.45/nosuch", 404)]
    [InlineData("PUT", "v1.45/containers/json", 404)]
    [InlineData("GET", "v1.999/version", 400)]
    [InlineData("GET", "v1.10/version", 400)]
    [InlineData("GET", "vx/version", 404)]
    [InlineData("POST", "v1.45/containers/nosuch/start", 404)]
    [InlineData("POST", "v1.45/containers/nosuch/exec", 404, "{\"Cmd\":[\"x\"]}")]
    [InlineData("GET", "v1.45/containers/..%2F..%2Fetc%2Fpasswd/json", 404)]
    [InlineData("GET", "v1.45/containers/nosuch/json", 404)]
    [InlineData("DELETE", "v1.45/containers/nosuch", 404)]
    [InlineData("GET", "v1.45/images/nosuch/json", 404)]
    [InlineData("DELETE", "v1.45/images/nosuch", 404)]
    [InlineData("POST", "v1.45/exec/nosuch/start", 404, "{}")]
    [InlineData("GET", "v1.45/exec/nosuch/json", 404)]
    [InlineData("GET", "v1.45/containers/json?filters=x", 400)]
    [InlineData("GET", "v1.45/containers/json?filters=%7B%22status%22%3A%5B%22nope%22%5D%7D", 400)]
    [InlineData("GET", "v1.45/containers/json?filters=%7B%22bogus%22%3A%5B%22nope%22%5D%7D", 400)]
    [InlineData("GET", "v1.45/events?until=1&filters=x", 400)]
    [InlineData("GET", "v1.45/swarm", 503)]
    [InlineData("GET", "v1.45/services", 503)]
    [InlineData("POST", "v1.45/images/create?fromImage=localhost%3A1/none&tag=x", 500)]
    [InlineData("GET", "v1.45/distribution/localhost:1/none:x/json", 500)]
    [InlineData("POST", "v1.45/auth", 500, "{\"serveraddress\":\"localhost:1\",\"username\":\"u\",\"password\":\"p\"}")]
    [InlineData("POST", "v1.45/images/alpine/tag?repo=A&tag=x", 400)]
    [InlineData("POST", "v1.45/images/alpine/tag?repo=a&tag=x%20y", 400)]
    public async Task Request_that_cannot_be_met(string method, string path, int status, string? body = null) =>
        (await _http.Send(new HttpMethod(method), path, body is null ? null : new StringContent(body, Encoding.UTF8, "application/json"))).Refused(status);

    [Fact]
    public async Task Requests_a_running_container_refuses()
    {
        var name = await Sleeper();
        (await _http.Post($"v1.45/containers/{name}/kill?signal=ZZZ")).Refused(400, "invalid signal: ZZZ");
        (await _http.Post($"v1.45/containers/{name}/resize?h=x&w=1")).Refused(400);
        (await _http.Post("v1.45/networks/host/connect", $$"""{"Container":"{{name}}"}""")).Refused(400, "or connected to host network");
        (await _http.Post("v1.45/networks/none/connect", $$"""{"Container":"{{name}}"}""")).Refused(400, "private (none) mode");
        (await _http.Post("v1.45/networks/host/disconnect", $$"""{"Container":"{{name}}"}""")).Refused(500, "is not connected to network host");
        (await _http.Post($"v1.45/containers/{name}/wait?condition=bogus")).Refused(400, "invalid condition");
        (await _http.Get($"v1.45/containers/{name}/logs")).Refused(400, "you must choose at least one stream");
        (await _http.Post($"v1.45/containers/{name}/exec", "{}")).Refused(400, "No exec command specified");
        (await _http.Post($"v1.45/containers/{name}/rename")).Refused(400, "Neither old nor new names may be empty");
        (await _http.Post($"v1.45/containers/{name}/start")).Is(304);
        (await _http.Send(HttpMethod.Delete, $"v1.45/containers/{name}")).Refused(409, "container is running");
        Assert.Equal("true", await Docker.Inspect(name, "{{.State.Running}}"));

        // Without a terminal there is nothing to do, which is no error.
        (await _http.Post($"v1.45/containers/{name}/resize?h=10&w=10")).Is(200);
        var exec = (string)(await _http.Post($"v1.45/containers/{name}/exec", """{"Cmd":["sleep","1000"]}""")).Is(201).Json["Id"]!;
        (await _http.Post($"v1.45/exec/{exec}/start", """{"Detach":true}""")).Is(200);
        (await _http.Post($"v1.45/exec/{exec}/resize?h=10&w=10")).Is(200);
    }

    [Fact]
    public async Task Exec_is_started_once()
    {
        var name = await Sleeper();
        var id = (string)(await _http.Post($"v1.45/containers/{name}/exec", """{"Cmd":["sh","-c","exit 5"]}""")).Is(201).Json["Id"]!;
        Assert.Equal("null", (await _http.Get($"v1.45/exec/{id}/json")).Is(200).Json["ExitCode"]?.ToJsonString() ?? "null");
        (await _http.Post($"v1.45/exec/{id}/start", """{"Detach":true}""")).Is(200);
        JsonNode state;
        do
        {
            state = (await _http.Get($"v1.45/exec/{id}/json")).Is(200).Json;
        }
        while ((bool)state["Running"]!);
        Assert.Equal(5, (int)state["ExitCode"]!);
        (await _http.Post($"v1.45/exec/{id}/start", """{"Detach":true}""")).Refused(409, "has already run");
    }

    [Fact]
    public async Task Body_of_100_megabytes_is_refused_without_being_kept()
    {
        using var body = new StreamContent(new RepeatingStream(100 << 20, (byte)'['));
        body.Headers.ContentType = new("application/json");
        using var limited = new HttpRequestMessage(HttpMethod.Post, "v1.45/containers/create");
        var refused = false;
        try
        {
            var answer = await _http.Send(HttpMethod.Post, "v1.45/containers/create", body);
            refused = answer.Status is >= 400 and < 500;
        }
        catch (HttpRequestException)
        {
            refused = true; // The engine may close the connection before all of it was sent.
        }
        Assert.True(refused);
        await Docker.Ok("ps");
    }

    [Theory]
    [InlineData("GET / HTTP/9.9\r\n\r\n")]
    [InlineData("\0\0\0\0\0\0\0\0\r\n\r\n")]
    [InlineData("GET /_ping HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n")]
    [InlineData("GET /_ping HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx")]
    [InlineData("POST /v1.45/containers/create HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n")]
    public async Task Broken_http_is_answered_with_400_or_closed(string request)
    {
        var answer = await _http.Raw(Encoding.Latin1.GetBytes(request));
        Assert.True(answer.Length == 0 || answer.Contains(" 400 ", StringComparison.Ordinal) || answer.Contains(" 505 ", StringComparison.Ordinal), answer);
        await Docker.Ok("ps");
    }

    [Theory]
    [InlineData("v1.24")]
    [InlineData("v1.30")]
    [InlineData("v1.40")]
    [InlineData("v1.45")]
    public async Task Old_api_versions_are_served(string version)
    {
        Assert.Equal("OK", (await _http.Get($"{version}/_ping")).Is(200).Body);
        Assert.NotNull((await _http.Get($"{version}/version")).Is(200).Json["ApiVersion"]);
        Assert.NotNull((await _http.Get($"{version}/containers/json?all=1")).Is(200).Json.AsArray());
        Assert.NotNull((await _http.Get($"{version}/images/json")).Is(200).Json.AsArray());
    }

    [Fact]
    public async Task Unversioned_paths_are_served_and_ping_tells_the_version()
    {
        Assert.Equal("OK", (await _http.Get("_ping")).Is(200).Body);
        (await _http.Get("info")).Is(200);
        var raw = await _http.Raw("HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray());
        Assert.Contains("Api-Version: 1.", raw, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("Ostype: linux", raw, StringComparison.OrdinalIgnoreCase);
    }
}
