using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Sockets with policies in daemon.json, and the docker CLI at them.</summary>
public sealed class SocketPolicyTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task A_team_sees_and_runs_its_own_containers_alone_and_nothing_privileged()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var folder = Folder();
        var (file, audit, socket) = (Path.Combine(folder, "daemon.json"), Path.Combine(folder, "audit.log"), Path.Combine(folder, "ci.sock"));
        await File.WriteAllTextAsync(
            file,
            $$"""
            {"sockets": [{"path": "{{socket}}", "mode": "0600", "policy": {"verbs": ["read", "containers.*", "exec.*"], "labels": {"team": "ci"} } }],
             "audit-log": {"path": "{{audit}}", "max-size": "1m", "max-file": 2} }
            """,
            Cancellation);
        await using var daemon = new Engine("pol") { Flags = ["--config-file", file] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        await daemon.Docker.Ok("run", "-d", "--name", "theirs", "alpine", "sleep", "1000");
        var team = new Docker(socket);
        Assert.Equal("hello", await team.Ok("run", "--rm", "alpine", "echo", "hello"));
        await team.Ok("run", "-d", "--name", "ours", "alpine", "sleep", "1000");
        Assert.Equal("ours", await team.Ok("ps", "--format", "{{.Names}}"));
        Assert.Equal("ci", await daemon.Docker.Inspect("ours", "{{.Config.Labels.team}}"));
        Assert.Equal("in", await team.Ok("exec", "ours", "echo", "in"));
        foreach (string[] refused in (string[][])
            [
                ["exec", "theirs", "true"], ["rm", "-f", "theirs"], ["run", "--rm", "--privileged", "alpine", "true"], ["run", "--rm", "-v", "/:/host", "alpine", "true"],
                ["run", "--rm", "--pid", "host", "alpine", "true"], ["exec", "--privileged", "ours", "true"], ["rmi", "alpine"], ["run", "--rm", "--volumes-from", "theirs", "alpine", "true"],
            ])
        {
            var result = await team.Run(refused);
            Assert.True(result.ExitCode != 0 && result.Error.Contains($"refused by the policy of {socket}", StringComparison.Ordinal), $"{string.Join(' ', refused)}: {result}");
        }

        Assert.Equal("running", await daemon.Docker.Inspect("theirs", "{{.State.Status}}"));
        var lines = (await File.ReadAllLinesAsync(audit, Cancellation)).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal(8, lines.Count(line => (string?)line["decision"] == "deny" && (string?)line["listener"] == socket));
        Assert.Contains(lines, line => (string?)line["verb"] == "containers.create" && (string?)line["name"] == "theirs" && (string?)line["decision"] == "allow");
        Assert.All(lines, line => Assert.Equal(0, (int)line["uid"]!));
        Assert.DoesNotContain(lines, line => (int)line["pid"]! == daemon.Pid);
    }
}
