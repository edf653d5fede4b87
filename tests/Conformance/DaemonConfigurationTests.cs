using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>daemon.json: what it may say, and what SIGHUP takes over.</summary>
public sealed class DaemonConfigurationTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task SIGHUP_reloads_labels_registries_runtimes_and_debug_and_tells_it()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var file = Path.Combine(Folder(), "daemon.json");
        await File.WriteAllTextAsync(file, """{"labels":["a=1"],"live-restore":false,"iptables":true}""", Cancellation);
        await using var daemon = new Engine("hup") { Flags = ["--config-file", file] };
        await daemon.Start();
        Assert.Equal("[a=1] false", await daemon.Docker.Ok("info", "-f", "{{.Labels}} {{.Debug}}"));

        await File.WriteAllTextAsync(
            file,
            """{"labels":["b=2"],"registry-mirrors":["https://mirror.example"],"insecure-registries":["reg.example:5000"],"runtimes":{"other":{"path":"/usr/bin/other","runtimeArgs":["--x"]}},"debug":true,"default-shm-size":"32M","default-ipc-mode":"shareable","shutdown-timeout":3,"features":{"b":true,"a":false}}""",
            Cancellation);
        await HangUp(daemon);
        await daemon.Docker.Until(output => output.Contains("b=2", StringComparison.Ordinal), ["info", "-f", "{{.Labels}}"]);
        Assert.Equal(
            "true [https://mirror.example/] false /usr/bin/other",
            await daemon.Docker.Ok("info", "-f", "{{.Debug}} {{.RegistryConfig.Mirrors}} {{(index .RegistryConfig.IndexConfigs \"reg.example:5000\").Secure}} {{(index .Runtimes \"other\").Path}}"));
        Assert.DoesNotContain("unknown or invalid runtime", (await daemon.Docker.Run("create", "--runtime", "other", "nosuch", "true")).Error, StringComparison.Ordinal);
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1;
        var events = await daemon.Docker.Ok("events", "--since", "0", "--until", now.ToString(CultureInfo.InvariantCulture), "--filter", "type=daemon", "--format", "{{.Action}} {{with .Actor.Attributes}}{{.labels}} {{.debug}} {{index . \"default-shm-size\"}} {{index . \"default-ipc-mode\"}} {{index . \"shutdown-timeout\"}} {{.features}}{{end}}");
        Assert.Equal("reload [\"b=2\"] true 33554432 shareable 3 map[a:false b:true]", events);
        await AlpineImage.Import(daemon.Docker);
        Assert.Equal("32768", await daemon.Docker.Ok("run", "--rm", "alpine", "sh", "-c", "df -k /dev/shm | tail -1 | awk '{print $2}'"));

        // What cannot be meant changes nothing.
        await File.WriteAllTextAsync(file, """{"labels":["c=3"],"frobnicate":1}""", Cancellation);
        await HangUp(daemon);
        await WaitForLog(daemon, "frobnicate");
        Assert.Equal("[b=2]", await daemon.Docker.Ok("info", "-f", "{{.Labels}}"));
    }

    [Theory]
    [InlineData("""{"frobnicate":true,"labels":[]}""", "the following directives don't match any configuration option: frobnicate")]
    [InlineData("""{"default-ipc-mode":"host"}""", "default-ipc-mode: host: it must be private or shareable")]
    [InlineData("""{"default-cgroupns-mode":"x"}""", "default-cgroupns-mode: x")]
    [InlineData("""{"default-shm-size":-1}""", "default-shm-size: -1: it must be a size")]
    [InlineData("""{"dns":["no-address"]}""", "dns: no-address: it is no IP address")]
    [InlineData("""{"default-ulimits":{"nofile":{"Name":"nofile","Hard":10,"Soft":20}}}""", "20 > 10")]
    [InlineData("""{"seccomp-profile":"/nonexistent.json"}""", "seccomp-profile: /nonexistent.json")]
    [InlineData("""{"mtu":5}""", "mtu: 5")]
    [InlineData("""{"published-ports":"open"}""", "published-ports: open: it must be input or forward")]
    [InlineData("""{"metrics-addr":"9323"}""", "invalid metrics-addr: 9323")]
    [InlineData("""{"log-level":"loud"}""", "invalid logging level: loud")]
    [InlineData("""{"runtimes":{"x":{}}}""", "runtimes: x: a path is needed")]
    [InlineData("""{"default-runtime":"kata"}""", "specified default runtime 'kata' does not exist")]
    [InlineData("""{"sockets":[{"path":"/run/x.sock","policy":{"verbs":["container.*"]}}]}""", "unknown verb \"container.*\"")]
    [InlineData("""{"sockets":[{"path":"/run/x.sock","mode":"99"}]}""", "invalid mode \"99\"")]
    [InlineData("""{"sockets":[{"path":"/run/x.sock","polcy":{}}]}""", "polcy")]
    [InlineData("""{"audit-log":{"max-file":0}}""", "must be greater than 0")]
    public async Task What_cannot_be_meant_or_is_not_done_is_refused(string json, string expected)
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var folder = Folder();
        var file = Path.Combine(folder, "daemon.json");
        await File.WriteAllTextAsync(file, json, Cancellation);
        var result = await Programs.Run(
            Repository.Executable!, ["daemon", "--config-file", file, "--data-root", folder, "--exec-root", folder, "--bridge", "none", "-H", $"unix://{folder}/socket"]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_default_log_driver_is_that_of_containers_that_name_none()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var file = Path.Combine(Folder(), "daemon.json");
        await File.WriteAllTextAsync(file, """{"log-driver":"local","log-opts":{"max-size":"1m"}}""", Cancellation);
        await using var daemon = new Engine("logdef") { Flags = ["--config-file", file] };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);
        await daemon.Docker.Ok("create", "--name", "one", "alpine", "true");
        await daemon.Docker.Ok("create", "--name", "two", "--log-driver", "json-file", "alpine", "true");
        Assert.Equal("local map[max-size:1m]", await daemon.Docker.Inspect("one", "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config}}"));
        Assert.Equal("json-file map[]", await daemon.Docker.Inspect("two", "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config}}"));
        Assert.Equal("local", await daemon.Docker.Ok("info", "-f", "{{.LoggingDriver}}"));
    }

    private static async Task HangUp(Engine daemon) => (await Programs.Run("kill", ["-HUP", daemon.Pid.ToString(CultureInfo.InvariantCulture)])).Ok();

    private static async Task WaitForLog(Engine daemon, string text)
    {
        var limit = DateTimeOffset.UtcNow + Programs.Limit(30);
        while (!(await File.ReadAllTextAsync(daemon.LogPath, Cancellation)).Contains(text, StringComparison.Ordinal))
        {
            Assert.True(DateTimeOffset.UtcNow < limit, $"the daemon's log does not say \"{text}\"");
            await Task.Delay(50, Cancellation);
        }
    }
}
