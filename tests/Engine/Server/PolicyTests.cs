using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Networks;
using Slipway.Api.Secrets;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server;
using Slipway.Server.Auditing;
using Slipway.Server.Authorization;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Sockets with policies, and what the audit log says of it.</summary>
public sealed class PolicyTests
{
    private const string PrivilegedBody = """{"Image":"alpine","Cmd":["true"],"HostConfig":{"Privileged":true}}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Only_the_verbs_of_a_policy_are_allowed_at_its_socket_and_all_at_the_others()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Verbs = ["read", "containers.stop", "volumes.*"] });
        using HttpClient client = server.ClientOf("p.sock");
        Assert.Equal(200, (await SendAsync(client, "GET", "/v1.50/_ping")).Status);
        Assert.Equal(200, (await SendAsync(client, "GET", "/v1.50/version")).Status);
        Assert.Equal(200, (await SendAsync(client, "GET", "/v1.50/containers/json")).Status);
        Assert.Equal(204, (await SendAsync(client, "POST", "/v1.50/containers/x/stop")).Status);
        Assert.Equal(204, (await SendAsync(client, "DELETE", "/v1.50/volumes/v")).Status);
        (int status, string body) = await SendAsync(client, "POST", "/v1.50/containers/x/kill");
        Assert.Equal(403, status);
        Assert.Equal($"refused by the policy of {server.PathOf("p.sock")}: the operation containers.kill is not allowed", (string?)JsonNode.Parse(body)!["message"]);
        Assert.Equal(403, (await SendAsync(client, "GET", "/v1.50/containers/x/logs")).Status);
        Assert.Equal(403, (await SendAsync(client, "GET", "/v1.50/containers/x/attach/ws")).Status);
        Assert.Equal(["stop x  ", "remove volume v False"], server.Engine.Calls);
        Assert.Equal(204, (await server.SendAsync("POST", "/v1.50/containers/x/kill")).Status);
    }

    [Theory]
    [InlineData("""{"Privileged":true}""", "privileged")]
    [InlineData("""{"PRIVILEGED":true}""", "privileged")]
    [InlineData("""{"Privileged":false,"privileged":true}""", "privileged")]
    [InlineData("""{"CapAdd":["sys_admin"]}""", "cap-add:SYS_ADMIN")]
    [InlineData("""{"CapAdd":["CAP_NET_ADMIN","ALL"]}""", "cap-add:ALL")]
    [InlineData("""{"Binds":["/:/host"]}""", "binds")]
    [InlineData("""{"Binds":["/:/host:ro,rslave"]}""", "binds")]
    [InlineData("""{"Mounts":[{"Type":"bind","Source":"/","Target":"/host"}]}""", "binds")]
    [InlineData("""{"Mounts":[{"Type":"BIND","Source":"/","Target":"/host"}]}""", "binds")]
    [InlineData("""{"Mounts":[{"Type":"volume","Target":"/h","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind","device":"/"}}}}]}""", "volume-options")]
    [InlineData("""{"VolumeDriver":"other"}""", "volume-driver")]
    [InlineData("""{"Devices":[{"PathOnHost":"/dev/sda","PathInContainer":"/dev/sda","CgroupPermissions":"rwm"}]}""", "devices")]
    [InlineData("""{"DeviceCgroupRules":["b 8:* rwm"]}""", "devices")]
    [InlineData("""{"DeviceRequests":[{"Count":-1}]}""", "devices")]
    [InlineData("""{"PidMode":"host"}""", "host-pid")]
    [InlineData("""{"IpcMode":"host"}""", "host-ipc")]
    [InlineData("""{"NetworkMode":"host"}""", "host-network")]
    [InlineData("""{"UTSMode":"host"}""", "host-uts")]
    [InlineData("""{"UsernsMode":"host"}""", "host-userns")]
    [InlineData("""{"CgroupnsMode":"host"}""", "host-cgroupns")]
    [InlineData("""{"CgroupParent":"/"}""", "cgroup-parent")]
    [InlineData("""{"SecurityOpt":["seccomp=unconfined"]}""", "security-opt")]
    [InlineData("""{"MaskedPaths":[]}""", "system-paths")]
    [InlineData("""{"ReadonlyPaths":[]}""", "system-paths")]
    [InlineData("""{"Runtime":"other"}""", "runtime")]
    [InlineData("""{"LogConfig":{"Type":"syslog"}}""", "log-driver")]
    [InlineData("""{"OomKillDisable":true}""", "oom")]
    [InlineData("""{"OomScoreAdj":-500}""", "oom")]
    [InlineData("""{"Annotations":{"run.oci.hooks.stderr":"/x"}}""", "annotations")]
    public async Task An_option_with_power_over_the_host_has_to_be_allowed_by_name(string hostConfig, string option)
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Privileged = ["cap-add:NET_ADMIN"] }, new SocketPolicy { Privileged = ["*"] });
        int created = 0;
        server.Engine.OnCreate = _ => new ContainerCreateResponse(FakeEngine.Id, [$"{++created}"]);
        using HttpClient client = server.ClientOf("p.sock");
        using HttpClient trusted = server.ClientOf("p2.sock");
        string body = $$"""{"Image":"alpine","Cmd":["true"],"HostConfig":{{hostConfig}}}""";
        (int status, string answer) = await SendAsync(client, "POST", "/v1.50/containers/create", body);
        Assert.Equal(403, status);
        Assert.Contains($"the option {option} is not allowed", answer, StringComparison.Ordinal);
        Assert.Equal(0, created);
        Assert.Equal(201, (await SendAsync(trusted, "POST", "/v1.50/containers/create", body)).Status);
        Assert.Equal(1, created);
    }

    [Fact]
    public async Task What_has_no_power_over_the_host_is_allowed()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Privileged = ["cap-add:NET_ADMIN", "binds"] });
        using HttpClient client = server.ClientOf("p.sock");
        (int status, string answer) = await SendAsync(client, "POST", "/v1.50/containers/create", """
            {"Image":"alpine","Cmd":["true"],"User":"0","HostConfig":{"CapAdd":["net_admin"],"CapDrop":["ALL"],"Binds":["/srv:/srv","named:/data"],"NetworkMode":"bridge","Memory":1000000000,
            "SecurityOpt":["no-new-privileges"],"LogConfig":{"Type":"local"},"OomScoreAdj":10,"IpcMode":"private","MaskedPaths":null,"PortBindings":{"80/tcp":[{"HostPort":"80"}]}}}
            """);
        Assert.True(status == 201, answer);
    }

    [Fact]
    public async Task A_container_does_not_get_host_namespaces_or_binds_through_another()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy());
        server.Engine.OnInspect = name => name switch
        {
            "host" => Container(name, host: new HostConfig { NetworkMode = "host", PidMode = "host", IpcMode = "host" }),
            "middle" => Container(name, host: new HostConfig { NetworkMode = "container:host" }),
            "bound" => Container(name, mounts: [new MountPoint { Type = "bind", Source = "/", Destination = "/host" }]),
            _ => Container(name),
        };
        using HttpClient client = server.ClientOf("p.sock");
        foreach ((string host, string? refused) in ((string, string?)[])
            [
                ("""{"NetworkMode":"container:middle"}""", "host-network"), ("""{"PidMode":"container:host"}""", "host-pid"), ("""{"IpcMode":"container:host"}""", "host-ipc"),
                ("""{"VolumesFrom":["plain","bound:ro"]}""", "binds"), ("""{"NetworkMode":"container:plain","VolumesFrom":["plain"]}""", null),
            ])
        {
            (int status, string answer) = await SendAsync(client, "POST", "/v1.50/containers/create", $$"""{"Image":"alpine","HostConfig":{{host}}}""");
            Assert.True(status == (refused is null ? 201 : 403), answer);
            Assert.True(refused is null || answer.Contains(refused, StringComparison.Ordinal), answer);
        }
    }

    [Fact]
    public async Task Exec_update_and_volumes_cannot_ask_for_more_either()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy());
        server.Engine.OnExecCreate = (_, _) => throw new InvalidOperationException("executed");
        using HttpClient client = server.ClientOf("p.sock");
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/x/exec", """{"Cmd":["true"],"Privileged":true}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/x/update", """{"Devices":[{"PathOnHost":"/dev/sda"}]}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/x/update", """{"MountsAdd":[{"Type":"bind","Source":"/","Target":"/host"}]}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/volumes/create", """{"Name":"v","DriverOpts":{"type":"none","o":"bind","device":"/"}}""")).Status);
        Assert.Equal(201, (await SendAsync(client, "POST", "/v1.50/volumes/create", """{"Name":"v"}""")).Status);
    }

    [Fact]
    public async Task CVE_2024_41110_a_request_whose_body_is_not_shown_to_the_authorization_is_not_executed()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy());
        int created = 0;
        server.Engine.OnCreate = _ => new ContainerCreateResponse(FakeEngine.Id, [$"{++created}"]);
        const string Head = "POST /v1.50/containers/create HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nConnection: close\r\n";
        string body = PrivilegedBody;

        // No length and length 0 with a body behind it; what follows is read as a further request, which it is not.
        Assert.StartsWith("HTTP/1.1 400", await RawAsync(server, $"{Head}Content-Length: 0\r\n\r\n{body}"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 400", await RawAsync(server, $"{Head}\r\n{body}"), StringComparison.Ordinal);

        // Two lengths, and a length beside chunks.
        Assert.StartsWith("HTTP/1.1 400", await RawAsync(server, $"{Head}Content-Length: 0\r\nContent-Length: {body.Length}\r\n\r\n{body}"), StringComparison.Ordinal);
        string chunked = $"{body.Length:x}\r\n{body}\r\n0\r\n\r\n";
        Assert.DoesNotContain("201", (await RawAsync(server, $"{Head}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")).Split("\r\n")[0], StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 403", await RawAsync(server, $"{Head}Transfer-Encoding: chunked\r\n\r\n{chunked}"), StringComparison.Ordinal);

        // An upgrade to another protocol, which there is none of.
        string upgrade = $"{Head}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: {body.Length}\r\n\r\n{body}";
        Assert.StartsWith("HTTP/1.1 403", await RawAsync(server, upgrade), StringComparison.Ordinal);

        // A type that says it is no JSON.
        Assert.StartsWith("HTTP/1.1 400", await RawAsync(server, $"{Head.Replace("json", "octet-stream", StringComparison.Ordinal)}Content-Length: {body.Length}\r\n\r\n{body}"), StringComparison.Ordinal);
        Assert.Equal(0, created);
    }

    [Theory]
    [InlineData((1 << 20) - 1, 403)]
    [InlineData(1 << 20, 403)]
    [InlineData((1 << 20) + 1, 403)]
    [InlineData(4 << 20, 403)]
    [InlineData((4 << 20) + 1, 413)]
    public async Task CVE_2026_34040_a_body_of_any_length_is_authorized_or_refused(int length, int expected)
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy());
        int created = 0;
        server.Engine.OnCreate = _ => new ContainerCreateResponse(FakeEngine.Id, [$"{++created}"]);
        using HttpClient client = server.ClientOf("p.sock");
        foreach (bool chunked in (bool[])[false, true])
        {
            // The dangerous part first, and last.
            string filler = new(' ', length - PrivilegedBody.Length);
            foreach (string body in (string[])[PrivilegedBody + filler, filler + PrivilegedBody])
            {
                Assert.Equal(expected, (await SendAsync(client, "POST", "/v1.50/containers/create", body, chunked)).Status);
            }
        }

        Assert.Equal(0, created);
    }

    [Fact]
    public async Task Labels_hold_requests_to_the_objects_that_have_them()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Labels = new Dictionary<string, string> { ["team"] = "ci" } });
        string other = new('e', 64);
        server.Engine.OnInspect = name => name is "ours" || name == FakeEngine.Id ? Container(FakeEngine.Id, team: "ci") : name is "theirs" ? Container(other, team: "ops") : Container(other);
        server.Engine.OnVolume = name => name switch
        {
            "ours" => new Volume { Name = name, Labels = new() { ["team"] = "ci" } },
            "theirs" => new Volume { Name = name },
            _ => throw new EngineException(ErrorKind.NotFound, $"get {name}: no such volume"),
        };
        Filters? listed = null;
        server.Engine.OnList = options =>
        {
            listed = options.Filters;
            return [];
        };
        server.Engine.OnExecStart = (_, _) => null;
        using HttpClient client = server.ClientOf("p.sock");

        // What is named is looked up once; the id is what the engine gets.
        Assert.Equal(204, (await SendAsync(client, "POST", "/v1.50/containers/ours/stop")).Status);
        Assert.Equal([$"stop {FakeEngine.Id}  "], server.Engine.Calls);
        (int status, string answer) = await SendAsync(client, "POST", "/v1.50/containers/theirs/stop");
        Assert.Equal(403, status);
        Assert.Contains("container theirs does not have the labels of the policy", answer, StringComparison.Ordinal);
        foreach ((string method, string path) in ((string, string)[])
            [
                ("GET", "/containers/plain/json"), ("GET", "/containers/theirs/export"), ("PUT", "/containers/theirs/archive?path=/"), ("POST", "/commit?container=theirs"),
                ("DELETE", "/volumes/theirs"), ("GET", "/system/df"), ("GET", "/slipway/disk"), ("GET", "/slipway/containers/theirs/explain"),
            ])
        {
            Assert.True((await SendAsync(client, method, "/v1.50" + path)).Status == 403, path);
        }

        Assert.Equal(200, (await SendAsync(client, "POST", "/v1.50/exec/e/resize?h=1&w=1")).Status);
        Assert.Equal(204, (await SendAsync(client, "DELETE", "/v1.50/volumes/ours")).Status);
        Assert.Equal(404, (await SendAsync(client, "GET", "/v1.50/volumes/none")).Status);

        // Networks and secrets are as other objects; a container that is connected has to be within the policy too.
        server.Engine.OnNetwork = name => new Network { Name = name, Id = name, Created = "", Driver = "bridge", IPAM = new IPAM(), Labels = name == "ours" ? new() { ["team"] = "ci" } : null };
        Assert.Equal(201, (await SendAsync(client, "POST", "/v1.50/secrets/create", """{"Name":"ours","Data":"eA=="}""")).Status);
        Assert.Equal("ci", server.Engine.KnownSecrets.Single().Spec.Labels!["team"]);
        server.Engine.KnownSecrets.Add(server.Engine.KnownSecrets[0] with { Spec = new SecretSpec { Name = "theirs" } });
        Assert.Equal(200, (await SendAsync(client, "GET", "/v1.50/secrets/ours")).Status);
        Assert.Equal(403, (await SendAsync(client, "DELETE", "/v1.50/secrets/theirs")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/create", """{"Image":"alpine","HostConfig":{"Secrets":[{"Source":"theirs"}]}}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/create", """{"Image":"alpine","Labels":{"slipway.secrets":"ours,theirs:/x"}}""")).Status);
        Assert.Equal(200, (await SendAsync(client, "POST", "/v1.50/networks/ours/connect", """{"Container":"ours"}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/networks/ours/connect", """{"Container":"theirs"}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/networks/theirs/connect", """{"Container":"ours"}""")).Status);
        Assert.Equal(201, (await SendAsync(client, "POST", "/v1.50/containers/create", """{"Image":"alpine","HostConfig":{"NetworkMode":"ours"}}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/networks/create", """{"Name":"n","Options":{"com.docker.network.bridge.name":"br0"}}""")).Status);

        // An update leads neither out of the policy nor something of others in.
        foreach (string update in (string[])["""{"LabelsRemove":["team"]}""", """{"Labels":{"team":"ops"}}""", """{"MountsAdd":[{"Type":"volume","Source":"theirs","Target":"/t"}]}"""])
        {
            Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/ours/update", update)).Status);
        }

        // Lists are filtered, whatever the client filters by itself.
        await SendAsync(client, "GET", "/v1.50/containers/json?all=1&filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%2C%22status%22%3A%5B%22running%22%5D%7D");
        Assert.Equal(["a=b", "team=ci"], listed!["label"]);
        Assert.Equal(["running"], listed["status"]);
        await SendAsync(client, "GET", "/v1.50/containers/json?Filters=%7B%7D&FILTERS=%7B%7D");
        Assert.Equal(["team=ci"], listed["label"]);
    }

    [Fact]
    public async Task What_is_created_gets_the_labels_and_names_nothing_without_them()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Labels = new Dictionary<string, string> { ["team"] = "ci" } });
        server.Engine.OnInspect = name => Container(name, team: name == "ours" ? "ci" : null);
        server.Engine.OnNetwork = name => new Network { Name = name, Id = name, Created = "", Driver = "bridge", IPAM = new IPAM() };
        server.Engine.OnVolume = name => name is "none" ? throw new EngineException(ErrorKind.NotFound, "no such volume") : new Volume { Name = name, Labels = name is "ours" ? new() { ["team"] = "ci" } : null };
        ContainerCreate? created = null;
        server.Engine.OnCreate = create =>
        {
            created = create;
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        using HttpClient client = server.ClientOf("p.sock");
        string allowed = """{"Image":"alpine","Labels":{"a":"b"},"HostConfig":{"Binds":["ours:/a"],"VolumesFrom":["ours:ro"],"Requires":["ours:healthy"],"NetworkMode":"container:ours","Mounts":[{"Type":"volume","Target":"/t"}]}}""";
        Assert.Equal(201, (await SendAsync(client, "POST", "/v1.50/containers/create", allowed)).Status);
        Assert.Equal(new Dictionary<string, string> { ["a"] = "b", ["team"] = "ci" }, created!.Request.Labels);
        (int _, string volume) = await SendAsync(client, "POST", "/v1.50/volumes/create", """{"Name":"none"}""");
        Assert.Equal("ci", (string?)JsonNode.Parse(volume)!["Labels"]!["team"]);

        foreach (string host in (string[])
            [
                """{"Binds":["theirs:/a"]}""", """{"Binds":["none:/a"]}""", """{"Mounts":[{"Type":"volume","Source":"theirs","Target":"/t"}]}""", """{"VolumesFrom":["theirs"]}""",
                """{"NetworkMode":"container:theirs"}""", """{"PidMode":"container:theirs"}""", """{"Links":["theirs:db"]}""", """{"Requires":["theirs"]}""", """{"NetworkMode":"theirnet"}""",
            ])
        {
            (int status, string answer) = await SendAsync(client, "POST", "/v1.50/containers/create", $$"""{"Image":"alpine","HostConfig":{{host}}}""");
            Assert.True(status == 403, answer);
        }

        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/create", """{"Image":"alpine","Labels":{"team":"ops"}}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/containers/create", """{"Image":"alpine","Labels":{"slipway.requires":"theirs"}}""")).Status);
        Assert.Equal(403, (await SendAsync(client, "POST", "/v1.50/volumes/create")).Status);
    }

    [Fact]
    public async Task The_audit_log_says_who_did_what_and_what_was_decided_but_no_secrets()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Verbs = ["containers.*", "images.*"] });
        using HttpClient client = server.ClientOf("p.sock");
        server.Engine.OnPull = (_, _, _) => Task.CompletedTask;
        await SendAsync(client, "POST", "/v1.50/containers/create?name=web", """{"Image":"alpine","Cmd":["--password","hunter2"],"Env":["TOKEN=hunter2"],"Labels":{"x":"hunter2"}}""");
        await SendAsync(client, "POST", "/v1.50/containers/create", PrivilegedBody);
        await SendAsync(client, "POST", "/v1.50/containers/web/stop?t=hunter2");
        await SendAsync(client, "DELETE", "/v1.50/volumes/v");
        await SendAsync(client, "GET", "/v1.50/containers/json");
        using (HttpRequestMessage pull = new(HttpMethod.Post, "/v1.50/images/create?fromImage=alpine&changes=hunter2"))
        {
            pull.Headers.Add("X-Registry-Auth", Convert.ToBase64String("""{"password":"hunter2"}"""u8));
            (await server.Http.SendAsync(pull, Cancellation)).Dispose();
        }

        string text = await File.ReadAllTextAsync(server.PathOf("audit.log"), Cancellation);
        Assert.DoesNotContain("hunter2", text, StringComparison.Ordinal);
        JsonNode[] lines = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(
            [
                "containers.create  web alpine  allow ", "containers.create   alpine privileged deny the option privileged is not allowed", "containers.stop web    allow ",
                "volumes.remove v    deny the operation volumes.remove is not allowed", "images.create   alpine  allow ",
            ],
            lines.Select(line => $"{line["verb"]} {line["object"]} {line["name"]} {line["image"]} {string.Join(',', line["options"]?.AsArray().Select(option => (string?)option) ?? [])} {line["decision"]} {line["reason"]}"));
        Assert.All(lines, line => Assert.Equal(0, (int)line["uid"]!));
        Assert.Equal([server.PathOf("p.sock"), server.PathOf("s.sock")], lines.Select(line => (string?)line["listener"]).Distinct());
        Assert.All(lines, line => Assert.EndsWith("Z", (string?)line["time"], StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_audit_log_is_bounded_and_for_root_alone()
    {
        string folder = Directory.CreateTempSubdirectory("slipway-audit-").FullName;
        string path = Path.Combine(folder, "new", "audit.log");
        using (AuditLog log = new(new AuditOptions(path, MaxSize: 1000, MaxFiles: 3), TimeProvider.System, new CollectingLog().CreateLogger("")))
        {
            for (int i = 0; i < 100; i++)
            {
                Assert.True(log.Write(new AuditEntry { Listener = "l", Verb = $"containers.start{i}" }));
            }
        }

        Assert.Equal(["audit.log", "audit.log.1", "audit.log.2"], Directory.EnumerateFiles(Path.GetDirectoryName(path)!).Select(Path.GetFileName).Order());
        Assert.All(Directory.EnumerateFiles(Path.GetDirectoryName(path)!), file => Assert.InRange(new FileInfo(file).Length, 1, 1000));
        Assert.Contains("containers.start99", File.ReadLines(path).Last(), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Where_the_audit_log_cannot_be_written_a_policy_allows_nothing_and_the_main_socket_goes_on()
    {
        // Every write to this device fails with ENOSPC (full(4)).
        await using ServerUnderTest server = await ServerUnderTest.StartAsync((options, directory) => options with
        {
            Sockets = [new ApiSocket(Path.Combine(directory, "p.sock"), null, null, new SocketPolicy())],
            Audit = new AuditOptions("/dev/full"),
        });
        server.ExpectWarnings();
        using HttpClient client = server.ClientOf("p.sock");
        Assert.Equal(503, (await SendAsync(client, "POST", "/v1.50/containers/x/stop")).Status);
        Assert.Empty(server.Engine.Calls);
        Assert.Equal(204, (await server.SendAsync("POST", "/v1.50/containers/x/stop")).Status);
        Assert.NotEmpty(server.Log.Entries);
    }

    [Fact]
    public async Task A_socket_has_the_mode_and_group_it_is_given()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync((options, directory) => options with
        {
            Sockets = [new ApiSocket(Path.Combine(directory, "p.sock"), "root", (UnixFileMode)0x180, null)],
        });
        Assert.Equal((UnixFileMode)0x180, File.GetUnixFileMode(server.PathOf("p.sock")));
        using HttpClient client = server.ClientOf("p.sock");
        Assert.Equal(204, (await SendAsync(client, "POST", "/v1.50/containers/x/stop")).Status);
    }

    [Fact]
    public async Task Names_that_mean_nothing_are_refused_before_anything_listens()
    {
        foreach ((ApiSocket socket, string message) in ((ApiSocket, string)[])
            [
                (new ApiSocket("/run/slipway-policy-test.sock", "no-such-group", null, null), "there is no group"),
                (new ApiSocket("/run/slipway-policy-test.sock", null, null, new SocketPolicy { Verbs = ["containers.strat"] }), "unknown verb \"containers.strat\""),
                (new ApiSocket("/run/slipway-policy-test.sock", null, null, new SocketPolicy { Privileged = ["bind"] }), "unknown privileged option \"bind\""),
                (new ApiSocket("relative", null, null, null), "must be absolute"),
            ])
        {
            EngineException error = await Assert.ThrowsAsync<EngineException>(() => ServerUnderTest.StartAsync((options, _) => options with { Sockets = [socket] }));
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
            Assert.False(File.Exists("/run/slipway-policy-test.sock"));
        }
    }

    internal static Task<ServerUnderTest> StartAsync(SocketPolicy policy, SocketPolicy? second = null) => ServerUnderTest.StartAsync((options, directory) => options with
    {
        Sockets = [new ApiSocket(Path.Combine(directory, "p.sock"), null, null, policy), new ApiSocket(Path.Combine(directory, "p2.sock"), null, null, second)],
        Audit = new AuditOptions(Path.Combine(directory, "audit.log")),
    });

    internal static async Task<(int Status, string Body)> SendAsync(HttpClient client, string method, string path, string? json = null, bool chunked = false)
    {
        using HttpRequestMessage request = new(new HttpMethod(method), path);
        request.Headers.TransferEncodingChunked = chunked;
        if (json is not null)
        {
            request.Content = new StringContent(json, Encoding.UTF8, MediaTypeHeaderValue.Parse("application/json"));
        }

        using HttpResponseMessage response = await client.SendAsync(request, Cancellation);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }

    private static async Task<string> RawAsync(ServerUnderTest server, string request)
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(server.PathOf("p.sock")), Cancellation);
        await socket.SayAsync(request);
        return Encoding.Latin1.GetString(await socket.ReadToEndAsync());
    }

    private static ContainerInspect Container(string id, string? team = null, HostConfig? host = null, List<MountPoint>? mounts = null) => new()
    {
        Id = id,
        Created = "",
        Name = "/" + id,
        Image = "",
        State = new ContainerState { Status = "running", Error = "", StartedAt = "", FinishedAt = "" },
        HostConfig = host ?? new HostConfig(),
        GraphDriver = new GraphDriverData(),
        Config = new ContainerConfig { Labels = team is null ? null : new() { ["team"] = team } },
        NetworkSettings = new NetworkSettings(),
        Mounts = mounts ?? [],
    };
}
