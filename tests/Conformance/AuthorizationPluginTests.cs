using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Authorization plugins in Docker's places, and the docker CLI at an engine that asks them.</summary>
public sealed class AuthorizationPluginTests(SharedEngine engine) : EngineTest(engine)
{
    private const string Sockets = "/run/docker/plugins";
    private const string Specifications = "/etc/docker/plugins";

    /// <summary>A plugin where Docker looks for them, under a name that no other test uses.</summary>
    internal static FakeAuthorizationPlugin StartPlugin(out string name)
    {
        Requirement.Root();
        Directory.CreateDirectory(Sockets);
        name = "slipway-test-" + Guid.NewGuid().ToString("N")[..8];
        return new FakeAuthorizationPlugin($"{Sockets}/{name}.sock");
    }

    [Fact]
    public async Task A_plugin_decides_on_what_the_docker_CLI_may_do()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        await using var plugin = StartPlugin(out var name);
        var folder = Folder();
        var configuration = Path.Combine(folder, "daemon.json");
        await File.WriteAllTextAsync(configuration, $$"""{"authorization-plugins":["{{name}}"]}""", Cancellation);
        await using var daemon = new Engine("authz") { Flags = ["--config-file", configuration] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        Assert.Equal($"[{name}]", await daemon.Docker.Ok("info", "-f", "{{.Plugins.Authorization}}"));
        plugin.Judge = call => call.Body.Contains("\"Privileged\":true", StringComparison.Ordinal) ? "nothing privileged" : call.Method == "AuthZPlugin.AuthZRes" && call.Uri.EndsWith("/hidden/json", StringComparison.Ordinal) ? "hidden" : null;

        // All that a client does with streams goes on as without a plugin.
        Assert.Equal("hello\ndone", (await daemon.Docker.RunWith("hello\n", "run", "--rm", "-i", "alpine", "sh", "-c", "cat; echo done")).Ok().Line);
        await daemon.Docker.Ok("run", "-d", "--name", "up", "alpine", "sh", "-c", "echo started; sleep 1000");
        Assert.Equal("typed", (await daemon.Docker.RunWith("typed\n", "exec", "-i", "up", "cat")).Ok().Line);
        await daemon.Docker.Until(output => output.Contains("started", StringComparison.Ordinal), ["logs", "up"]);
        await File.WriteAllBytesAsync($"{folder}/large", new byte[3 << 20], Cancellation);
        await daemon.Docker.Ok("cp", $"{folder}/large", "up:/large");
        await daemon.Docker.Ok("cp", "up:/large", $"{folder}/again");
        Assert.Equal(3 << 20, new FileInfo($"{folder}/again").Length);

        foreach (string[] refused in (string[][])[["run", "--rm", "--privileged", "alpine", "true"], ["exec", "--privileged", "up", "true"]])
        {
            var denied = await daemon.Docker.Run(refused);
            Assert.NotEqual(0, denied.ExitCode);
            Assert.Contains($"authorization denied by plugin {name}: nothing privileged", denied.Error, StringComparison.Ordinal);
        }

        await daemon.Docker.Ok("create", "--name", "hidden", "alpine", "true");
        var answer = await daemon.Docker.Run("container", "inspect", "hidden");
        Assert.Equal(1, answer.ExitCode);
        Assert.Contains($"authorization denied by plugin {name}: hidden", answer.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("HostConfig", answer.Output, StringComparison.Ordinal);

        // Without the plugin nothing is allowed; SIGHUP without the key allows all.
        await plugin.DisposeAsync();
        var gone = await daemon.Docker.Run("ps");
        Assert.Equal(1, gone.ExitCode);
        Assert.Contains($"plugin {name} failed with error: AuthZPlugin.AuthZReq: ", gone.Error, StringComparison.Ordinal);
        await File.WriteAllTextAsync(configuration, "{}", Cancellation);
        await HangUp(daemon);
        await daemon.Docker.Until(output => output.Contains("up", StringComparison.Ordinal), ["ps", "--format", "{{.Names}}"]);
    }

    [Fact]
    public async Task Plugins_are_found_by_files_too_and_SIGHUP_replaces_them()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var folder = Folder();
        await using var plugin = new FakeAuthorizationPlugin($"{folder}/p.sock");
        var (spec, json) = ("slipway-test-" + Path.GetFileName(folder) + "-s", "slipway-test-" + Path.GetFileName(folder) + "-j");
        Directory.CreateDirectory(Specifications);
        var files = (Spec: $"{Specifications}/{spec}.spec", Json: $"{Specifications}/{json}.json");
        try
        {
            await File.WriteAllTextAsync(files.Spec, $"unix://{folder}/p.sock\n", Cancellation);
            await File.WriteAllTextAsync(files.Json, $$"""{"Name":"{{json}}","Addr":"unix://{{folder}}/p.sock"}""", Cancellation);
            var configuration = Path.Combine(folder, "daemon.json");
            await File.WriteAllTextAsync(configuration, $$"""{"authorization-plugins":["{{spec}}"]}""", Cancellation);
            await using var daemon = new Engine("authzf") { Flags = ["--config-file", configuration] };
            await daemon.Start();
            plugin.Judge = call => call.Uri.EndsWith("/volumes", StringComparison.Ordinal) ? "no volumes" : null;
            Assert.Contains($"authorization denied by plugin {spec}: no volumes", (await daemon.Docker.Run("volume", "ls")).Error, StringComparison.Ordinal);
            await File.WriteAllTextAsync(configuration, $$"""{"authorization-plugins":["{{json}}"]}""", Cancellation);
            await HangUp(daemon);
            await daemon.Docker.Until(output => output.Contains(json, StringComparison.Ordinal), ["info", "-f", "{{.Plugins.Authorization}}"]);
            Assert.Contains($"authorization denied by plugin {json}: no volumes", (await daemon.Docker.Run("volume", "ls")).Error, StringComparison.Ordinal);
            await File.WriteAllTextAsync(configuration, "{}", Cancellation);
            await HangUp(daemon);
            await daemon.Docker.Until(output => output == "[]\n", ["info", "-f", "{{.Plugins.Authorization}}"]);
            await daemon.Docker.Ok("volume", "ls");
        }
        finally
        {
            File.Delete(files.Spec);
            File.Delete(files.Json);
        }
    }

    [Theory]
    [InlineData(null, "failed to validate authorization plugin: plugin \"NAME\" not found")]
    [InlineData("tcp://192.0.2.1:1", "\"tcp://192.0.2.1:1\" is beyond this host, where plugins are spoken to by TLS only")]
    public async Task An_engine_does_not_start_without_a_plugin_that_it_has_to_ask(string? address, string expected)
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var folder = Folder();
        var name = "slipway-test-" + Path.GetFileName(folder);
        var file = $"{Specifications}/{name}.spec";
        Directory.CreateDirectory(Specifications);
        if (address is not null)
        {
            await File.WriteAllTextAsync(file, address, Cancellation);
        }

        var result = await Programs.Run(
            Repository.Executable!, ["daemon", "--authorization-plugin", name, "--data-root", folder, "--exec-root", folder, "--bridge", "none", "-H", $"unix://{folder}/socket"]);
        File.Delete(file);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains(expected.Replace("NAME", name, StringComparison.Ordinal), result.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
    }

    private static async Task HangUp(Engine daemon) => (await Programs.Run("kill", ["-HUP", daemon.Pid.ToString(CultureInfo.InvariantCulture)])).Ok();
}
