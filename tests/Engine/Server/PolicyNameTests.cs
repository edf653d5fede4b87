using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Networks;
using Slipway.Api.Secrets;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server;
using Slipway.Server.Authorization;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Policies of sockets and what is said of objects beside the path: what is committed, changed, joined. What was looked at is what is acted on.</summary>
public sealed class PolicyNameTests
{
    private static readonly string s_ours = new('a', 64);
    private static readonly string s_theirs = new('b', 64);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("containers.commit", "/commit?container=x", 201)]
    [InlineData("containers.*", "/commit?container=x", 201)]
    [InlineData("images.*", "/commit?container=x", 403)]
    [InlineData("read", "/commit?container=x", 403)]
    [InlineData("containers.update", "/containers/x/update", 200)]
    [InlineData("containers.*", "/containers/x/update", 200)]
    [InlineData("containers.commit", "/containers/x/update", 403)]
    [InlineData("read", "/containers/x/update", 403)]
    public async Task Commits_and_updates_are_operations_of_containers(string verb, string path, int expected)
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Verbs = [verb] });
        List<string> done = Record(server);
        (int status, string body) = await PostAsync(server, path, """{"CpuShares":100}""");
        Assert.True(status == expected, body);
        Assert.Equal(expected == 403 ? [] : [path.Contains("commit", StringComparison.Ordinal) ? "commit x" : "update x 100"], done);
        Assert.True(expected != 403 || body.Contains($"the operation containers.{(path.Contains("commit", StringComparison.Ordinal) ? "commit" : "update")} is not allowed", StringComparison.Ordinal), body);
    }

    [Fact]
    public async Task Of_labels_only_containers_that_have_them_are_committed_and_changed()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Labels = new Dictionary<string, string> { ["team"] = "ci" } });
        List<string> done = Record(server);
        server.Engine.OnInspect = name => Container(name == "ours" ? s_ours : s_theirs);
        Assert.Equal(201, (await PostAsync(server, "/commit?repo=r&container=ours&tag=t")).Status);
        Assert.Equal(200, (await PostAsync(server, "/containers/ours/update", """{"CpuShares":100}""")).Status);
        foreach (string path in (string[])["/commit?repo=r&container=theirs", "/commit?container=theirs&container=ours", "/containers/theirs/update"])
        {
            (int status, string body) = await PostAsync(server, path, """{"CpuShares":100}""");
            Assert.Equal(403, status);
            Assert.Contains("container theirs does not have the labels of the policy", body, StringComparison.Ordinal);
        }

        Assert.Equal([$"commit {s_ours} r:t", $"update {s_ours} 100"], done);
    }

    /// <summary>A container may be called like the beginning of another's id, and renamed between the look at it and the operation.</summary>
    [Fact]
    public async Task A_name_that_passes_to_another_container_leads_nowhere()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Labels = new Dictionary<string, string> { ["team"] = "ci" } });
        List<string> done = Record(server);
        server.Engine.OnNetwork = name => new Network { Name = name, Id = name, Created = "", Driver = "bridge", IPAM = new IPAM(), Labels = new() { ["team"] = "ci" } };
        foreach ((string path, string? body, string expected) in ((string, string?, string)[])
            [
                ("/commit?container=bbb", null, $"commit {s_ours}"),
                ("/containers/bbb/update", """{"CpuShares":100}""", $"update {s_ours} 100"),
                ("/networks/n/connect", """{"Container":"bbb"}""", $"connect n {s_ours}"),
                ("/networks/n/disconnect", """{"Container":"bbb"}""", $"disconnect n {s_ours}"),
                ("/containers/create", """{"Image":"i","HostConfig":{"NetworkMode":"container:bbb"}}""", $"create container:{s_ours}"),
                ("/containers/create", """{"Image":"i","HostConfig":{"PidMode":"container:bbb"}}""", $"create container:{s_ours}"),
                ("/containers/create", """{"Image":"i","HostConfig":{"IpcMode":"container:bbb"}}""", $"create container:{s_ours}"),
                ("/containers/create", """{"Image":"i","HostConfig":{"VolumesFrom":["bbb:ro"]}}""", $"create {s_ours}:ro"),
                ("/containers/create", """{"Image":"i","HostConfig":{"VolumesFrom":["bbb"]}}""", $"create {s_ours}"),
                ("/containers/create", """{"Image":"i","HostConfig":{"Links":["bbb:db"]}}""", $"create {s_ours}:db"),
                ("/containers/create", """{"Image":"i","HostConfig":{"Links":["bbb"]}}""", $"create {s_ours}:bbb"),
            ])
        {
            // The name is the own container's at the first look, and the beginning of the other's id from then on.
            bool renamed = false;
            server.Engine.OnInspect = name =>
            {
                ContainerInspect found = Container(name == s_ours || (name == "bbb" && !renamed) ? s_ours : s_theirs);
                renamed |= name == "bbb";
                return found;
            };
            (int status, string answer) = await PostAsync(server, path, body);
            Assert.True(status is 200 or 201, answer);
            Assert.Equal(expected, (done.Count > 0 ? done : [.. server.Engine.Calls])[^1]);
            done.Clear();
        }
    }

    /// <summary>Networks and secrets have ids, which take the place of their names; volumes have none, and the engine gets which of that name was looked at.</summary>
    [Fact]
    public async Task What_the_engine_gets_are_the_networks_secrets_and_volumes_that_were_judged()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy { Labels = new Dictionary<string, string> { ["team"] = "ci" } });
        Dictionary<string, string> labels = new() { ["team"] = "ci" };
        server.Engine.OnNetwork = name => new Network { Name = name, Id = "id-of-" + name, Created = "", Driver = "bridge", IPAM = new IPAM(), Labels = labels };
        server.Engine.OnVolume = name => new Volume { Name = name, Labels = labels, Incarnation = 7 };
        server.Engine.OnInspect = _ => Container(s_ours);
        server.Engine.KnownSecrets.Add(new Secret { ID = "id-of-s", Version = new ObjectVersion(1), CreatedAt = "", UpdatedAt = "", Spec = new SecretSpec { Name = "s", Labels = labels } });
        ContainerCreateRequest? created = null;
        server.Engine.OnCreate = create =>
        {
            created = create.Request;
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        (int status, string body) = await PostAsync(
            server,
            "/containers/create",
            """
            {"Image":"i","Labels":{"slipway.secrets":"s:/elsewhere"},"NetworkingConfig":{"EndpointsConfig":{"n":{"Aliases":["a"]},"m":null} },
             "HostConfig":{"NetworkMode":"n","Binds":["v:/v"],"Mounts":[{"Type":"volume","Source":"w","Target":"/w"}],"Secrets":[{"Source":"s"}]} }
            """);
        Assert.True(status == 201, body);
        Assert.Equal("id-of-n", created!.HostConfig!.NetworkMode);
        Assert.Equal(["id-of-m", "id-of-n"], created.NetworkingConfig!.EndpointsConfig!.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(["a"], created.NetworkingConfig.EndpointsConfig["id-of-n"]!.Aliases!);
        Assert.Equal(["v", "w"], created.Judged!.Volumes.Keys.Order(StringComparer.Ordinal));
        Assert.All(created.Judged.Volumes.Values, incarnation => Assert.Equal(7, incarnation));
        Assert.Equal("id-of-s", Assert.Single(created.Judged.Secrets).Value);

        ContainerUpdateRequest? updated = null;
        server.Engine.OnUpdate = (_, change) =>
        {
            updated = change;
            return new ContainerUpdateResponse([]);
        };
        Assert.Equal(200, (await PostAsync(server, "/containers/ours/update", """{"MountsAdd":[{"Type":"volume","Source":"v","Target":"/v"}]}""")).Status);
        Assert.Equal(7, updated!.Judged!.Volumes["v"]);

        Assert.Equal(200, (await PostAsync(server, "/networks/n/connect", """{"Container":"c"}""")).Status);
        Assert.Equal(204, (await PostAsync(server, "/slipway/volumes/v/rename?name=u")).Status);
        Assert.Contains($"connect id-of-n {s_ours}", server.Engine.Calls);
        Assert.Contains("rename volume v u", server.Engine.Calls);
        Assert.Equal(["v 7"], server.Engine.JudgedVolumes);

        // Two names of one network would let the second take the place of what was said of the first.
        server.Engine.OnNetwork = name => new Network { Name = name, Id = "one", Created = "", Driver = "bridge", IPAM = new IPAM(), Labels = labels };
        (status, body) = await PostAsync(server, "/containers/create", """{"Image":"i","NetworkingConfig":{"EndpointsConfig":{"n":null,"m":null} } }""");
        Assert.Equal(403, status);
        Assert.Contains("network m is named twice", body, StringComparison.Ordinal);
    }

    /// <summary>What a client writes there itself is no judgement.</summary>
    [Fact]
    public async Task Judgements_are_no_part_of_a_request()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy());
        ContainerCreateRequest? created = null;
        server.Engine.OnCreate = create =>
        {
            created = create.Request;
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        Assert.Equal(201, (await PostAsync(server, "/containers/create", """{"Image":"i","Judged":{"Volumes":{"v":1},"Secrets":{"s":"x"} } }""")).Status);
        Assert.Null(created!.Judged);
    }

    /// <summary>Also where all containers are within the policy: those with power over the host are not to be joined.</summary>
    [Fact]
    public async Task Nor_does_a_name_that_passes_to_a_container_with_the_namespaces_of_the_host()
    {
        await using ServerUnderTest server = await StartAsync(new SocketPolicy());
        List<string> done = Record(server);
        bool renamed = false;
        server.Engine.OnInspect = name =>
        {
            ContainerInspect found = Container(name == s_ours || !renamed ? s_ours : s_theirs);
            renamed = true;
            return found;
        };
        Assert.Equal(201, (await PostAsync(server, "/containers/create", """{"Image":"i","HostConfig":{"PidMode":"container:bbb"}}""")).Status);
        Assert.Equal([$"create container:{s_ours}"], done);
    }

    /// <summary>Docker compared the privileges that were granted with those that are asked for by their number and order: one too many passed. Sets of every size, in every order.</summary>
    [Fact]
    public async Task CVE_2026_33997_what_is_asked_for_is_compared_with_what_is_allowed_as_sets()
    {
        (string Option, string Field)[] options =
        [
            ("cap-add:NET_ADMIN", "CapAdd"), ("cap-add:SYS_PTRACE", "CapAdd"), ("binds", "\"Binds\":[\"/a:/a\"]"), ("host-pid", "\"PidMode\":\"host\""), ("host-ipc", "\"IpcMode\":\"host\""),
            ("oom", "\"OomScoreAdj\":-1"), ("security-opt", "\"SecurityOpt\":[\"seccomp=unconfined\"]"), ("privileged", "\"Privileged\":true"),
        ];
        Random random = new(33997);
        for (int round = 0; round < 12; round++)
        {
            // The extremes too: nothing is allowed, everything, and all but one.
            string[] allowed = round switch
            {
                0 => [],
                1 => [.. options.Select(option => option.Option)],
                2 => [.. options.Skip(1).Select(option => option.Option)],
                3 => [.. options.SkipLast(1).Select(option => option.Option)],
                _ => [.. options.OrderBy(_ => random.Next()).Take(random.Next(options.Length)).Select(option => option.Option)],
            };
            await using ServerUnderTest server = await StartAsync(new SocketPolicy { Privileged = [.. allowed] });
            List<string> done = Record(server);
            for (int request = 0; request < 40; request++)
            {
                (string Option, string Field)[] asked = [.. options.OrderBy(_ => random.Next()).Take(random.Next(options.Length + 1))];
                string[] capabilities = [.. asked.Where(option => option.Field == "CapAdd").Select(option => $"\"{option.Option[8..]}\"")];
                IEnumerable<string> fields = asked.Where(option => option.Field != "CapAdd").Select(option => option.Field);
                string host = string.Join(',', capabilities.Length > 0 ? fields.Append($"\"CapAdd\":[{string.Join(',', capabilities)}]") : fields);
                (int status, string body) = await PostAsync(server, "/containers/create", $$"""{"Image":"i","HostConfig":{ {{host}} } }""");
                Assert.True(status == (asked.All(option => allowed.Contains(option.Option)) ? 201 : 403), $"allowed {string.Join(' ', allowed)}; asked {host}: {body}");
                Assert.Equal(status == 201 ? 1 : 0, done.Count);
                done.Clear();
            }
        }
    }

    private static async Task<(int Status, string Body)> PostAsync(ServerUnderTest server, string path, string? json = null)
    {
        using HttpClient client = server.ClientOf("p.sock");
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1.50" + path);
        request.Content = json is null || path.StartsWith("/commit", StringComparison.Ordinal) ? null : new StringContent(json, System.Text.Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await client.SendAsync(request, Cancellation);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }

    /// <summary>What the engine was told to do.</summary>
    private static List<string> Record(ServerUnderTest server)
    {
        List<string> done = [];
        server.Engine.OnCommit = commit =>
        {
            done.Add($"commit {commit.Container} {commit.Repository}{(commit.Tag is null ? "" : ":" + commit.Tag)}".TrimEnd());
            return "sha256:" + s_ours;
        };
        server.Engine.OnUpdate = (name, change) =>
        {
            done.Add($"update {name} {change.CpuShares}");
            return new ContainerUpdateResponse([]);
        };
        server.Engine.OnCreate = create =>
        {
            HostConfig host = create.Request.HostConfig ?? new HostConfig();
            string?[] named = [host.NetworkMode, host.PidMode, host.IpcMode, .. host.VolumesFrom ?? [], .. host.Links ?? []];
            done.Add($"create {string.Join(' ', named.Where(name => name?.Contains(s_ours, StringComparison.Ordinal) == true || name?.Contains("bbb", StringComparison.Ordinal) == true))}".TrimEnd());
            return new ContainerCreateResponse(FakeEngine.Id, []);
        };
        return done;
    }

    private static ContainerInspect Container(string id) => new()
    {
        Id = id,
        Created = "",
        Name = "/" + id,
        Image = "",
        State = new ContainerState { Status = "running", Error = "", StartedAt = "", FinishedAt = "" },
        HostConfig = id == s_theirs ? new HostConfig { PidMode = "host", NetworkMode = "host", IpcMode = "host" } : new HostConfig(),
        GraphDriver = new GraphDriverData(),
        Config = new ContainerConfig { Labels = id == s_ours ? new() { ["team"] = "ci" } : null },
        NetworkSettings = new NetworkSettings(),
        Mounts = [],
    };

    private static Task<ServerUnderTest> StartAsync(SocketPolicy policy) => ServerUnderTest.StartAsync((options, directory) => options with
    {
        Sockets = [new ApiSocket(Path.Combine(directory, "p.sock"), null, null, policy)],
    });
}
