using System.Net;
using System.Net.Sockets;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`metrics-addr`: what the engine counts while it is used.</summary>
public sealed class MetricsTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task What_the_engine_does_is_counted()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var address = $"127.0.0.1:{FreePort()}";
        await using var daemon = new Engine("met") { Flags = ["--metrics-addr", address] };
        await daemon.Start();
        var start = await Read(address);
        foreach (var action in new[] { "changes", "commit", "create", "delete", "start" })
        {
            Assert.Equal(0, start[$"engine_daemon_container_actions_seconds_count{{action=\"{action}\"}}"]);
        }

        Assert.Equal(0, start["engine_daemon_network_actions_seconds_count{action=\"allocate\"}"]);
        await AlpineImage.Import(daemon.Docker);
        await daemon.Docker.Ok("run", "--rm", "--network", "none", "alpine", "true");
        Assert.NotEqual(0, (await daemon.Docker.Run("run", "--rm", "alpine", "nosuch")).ExitCode);
        await daemon.Docker.Ok("run", "-d", "--name", "well", "--health-cmd", "true", "--health-interval", "100ms", "alpine", "sleep", "1000");
        await daemon.Docker.Ok("run", "-d", "--name", "sick", "--health-cmd", "exit 3", "--health-interval", "100ms", "alpine", "sleep", "1000");
        await daemon.Docker.Ok("diff", "well");
        await daemon.Docker.Ok("commit", "well", "copy");
        await daemon.Docker.Ok("history", "copy");
        await daemon.Docker.Ok("rmi", "copy");
        await daemon.Docker.Until(output => output.Trim() == "healthy", ["inspect", "-f", "{{.State.Health.Status}}", "well"]);
        await daemon.Docker.Until(output => output.Trim() == "unhealthy", ["inspect", "-f", "{{.State.Health.Status}}", "sick"]);
        await daemon.Docker.Ok("pause", "sick");
        var used = await Read(address);
        Assert.Equal(
            [1, 1, 4, 2, 3],
            new[] { "changes", "commit", "create", "delete", "start" }.Select(action => used[$"engine_daemon_container_actions_seconds_count{{action=\"{action}\"}}"]));
        Assert.Equal([1, 1], new[] { "delete", "history" }.Select(action => used[$"engine_daemon_image_actions_seconds_count{{action=\"{action}\"}}"]));
        Assert.True(used["engine_daemon_container_actions_seconds_sum{action=\"start\"}"] > 0);
        Assert.InRange(used["engine_daemon_network_actions_seconds_count{action=\"allocate\"}"], 2, 3);
        Assert.Equal([1, 1, 0], new[] { "running", "paused", "stopped" }.Select(state => used[$"engine_daemon_container_states_containers{{state=\"{state}\"}}"]));
        Assert.True(used["engine_daemon_health_checks_total"] >= 4);
        Assert.Equal(0, used["engine_daemon_health_checks_failed_total"]);
        Assert.True(used["engine_daemon_events_total"] > start["engine_daemon_events_total"]);
        await daemon.Docker.Ok("rm", "-f", "well", "sick");
    }

    private static async Task<Dictionary<string, double>> Read(string address)
    {
        using HttpClient client = new();
        var text = await client.GetStringAsync(new Uri($"http://{address}/metrics"), Cancellation);
        return text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#')
            .ToDictionary(line => line[..line.LastIndexOf(' ')], line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
