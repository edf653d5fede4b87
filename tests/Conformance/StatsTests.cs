using System.Diagnostics;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker stats` and GET /containers/{id}/stats: numbers against the kernel's own and against what a container is made to do.</summary>
public sealed class StatsTests(SharedEngine engine) : EngineTest(engine)
{
    private static readonly string[] s_lists =
    [
        "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive", "io_wait_time_recursive", "io_merged_recursive",
        "io_time_recursive", "sectors_recursive",
    ];

    private async Task<HttpAnswer> Get(string path)
    {
        using var http = new EngineHttp(Docker.Socket);
        return await http.Get(path);
    }

    private async Task<JsonNode> OneShot(string name) => (await Get($"v1.45/containers/{name}/stats?stream=0&one-shot=1")).Is(200).Json;

    [Fact]
    public async Task Memory_and_processes_are_those_of_the_container()
    {
        var name = await Sleeper("--memory", "64m", "--pids-limit", "17", "--tmpfs", "/tmp");
        await Docker.Ok("exec", name, "dd", "if=/dev/zero", "of=/tmp/file", "bs=1M", "count=10");
        var stats = await OneShot(name);
        if (IsSlipway)
        {
            // dockerd 26 leaves name and id out of a one-shot answer, and out of no other.
            Assert.Equal("/" + name, (string?)stats["name"]);
            Assert.Equal(await Docker.Inspect(name, "{{.Id}}"), (string?)stats["id"]);
        }

        var memory = stats["memory_stats"]!;
        Assert.Equal(64L << 20, (long)memory["limit"]!);
        Assert.InRange((long)memory["usage"]!, 10L << 20, 30L << 20);
        var details = memory["stats"]!.AsObject();
        Assert.True(details.ContainsKey("total_inactive_file") || details.ContainsKey("inactive_file"));
        Assert.Equal((1, 17), ((int)stats["pids_stats"]!["current"]!, (int)stats["pids_stats"]!["limit"]!));
        Assert.Equal("0001-01-01T00:00:00Z", (string?)stats["preread"]);
        Assert.Equal(0, (long)stats["precpu_stats"]!["cpu_usage"]!["total_usage"]!);
        Assert.Null(stats["precpu_stats"]!["system_cpu_usage"]);
    }

    [Fact]
    public async Task A_container_without_a_limit_has_the_hosts_memory()
    {
        var kibibytes = long.Parse(File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(kibibytes * 1024, (long)(await OneShot(await Sleeper()))["memory_stats"]!["limit"]!);
    }

    [Fact]
    public async Task A_busy_container_uses_one_cpu()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "--cpus", "0.5", "alpine", "sh", "-c", "while :; do :; done");
        var stats = (await Get($"v1.45/containers/{name}/stats?stream=0")).Is(200).Json;
        var (now, before) = (stats["cpu_stats"]!, stats["precpu_stats"]!);
        double used = (long)now["cpu_usage"]!["total_usage"]! - (long)before["cpu_usage"]!["total_usage"]!;
        double system = (long)now["system_cpu_usage"]! - (long)before["system_cpu_usage"]!;
        var cpus = (int)now["online_cpus"]!;
        Assert.Equal(File.ReadLines("/proc/stat").Count(line => line.StartsWith("cpu", StringComparison.Ordinal)) - 1, cpus);

        // The formula of the CLI; half a CPU at most, less where the machine is busy.
        Assert.InRange(used / system * cpus * 100, 1, 75);
        var wall = (DateTimeOffset)stats["read"]! - (DateTimeOffset)stats["preread"]!;

        // The clocks are not read at one instant, and the machine may be busy: this is about the unit.
        Assert.InRange(system / cpus, wall.TotalNanoseconds * 0.2, wall.TotalNanoseconds * 5);
        Assert.True((long)now["cpu_usage"]!["usage_in_usermode"]! > 0);
        Assert.True((long)now["throttling_data"]!["periods"]! > 0);
    }

    [Fact]
    public async Task Networks_are_those_of_the_namespace_own_or_shared()
    {
        var name = await Sleeper();
        await Docker.Run("exec", name, "ping", "-c", "3", "-i", "0.1", "-w", "5", await Docker.Inspect(name, "{{.NetworkSettings.Gateway}}"));
        var shares = await Sleeper("--network", $"container:{name}");
        var inside = await Docker.Ok("exec", name, "cat", "/sys/class/net/eth0/statistics/tx_packets");
        foreach (var one in new[] { name, shares })
        {
            var networks = (await OneShot(one))["networks"]!.AsObject();
            Assert.Equal(["eth0"], networks.Select(network => network.Key));
            Assert.True((long)networks["eth0"]!["tx_packets"]! >= long.Parse(inside, System.Globalization.CultureInfo.InvariantCulture));
            Assert.True((long)networks["eth0"]!["rx_bytes"]! > 0);
        }

        Assert.Null((await OneShot(await Sleeper("--network", "none")))["networks"]);
        Assert.Null((await OneShot(await Sleeper("--network", "host")))["networks"]);
    }

    [Fact]
    public async Task Containers_that_do_not_run_have_no_numbers()
    {
        var name = Container();
        var id = await Docker.Ok("create", "--name", name, "alpine", "true");
        foreach (var query in new[] { "stream=0", "stream=false&one-shot=1" })
        {
            var stats = (await Get($"v1.45/containers/{name}/stats?{query}")).Is(200).Json;
            Assert.Equal(("/" + name, id, "0001-01-01T00:00:00Z"), ((string?)stats["name"], (string?)stats["id"], (string?)stats["read"]));
            Assert.Equal("{}", stats["memory_stats"]!.ToJsonString());
            Assert.Equal("{}", stats["pids_stats"]!.ToJsonString());
            Assert.Equal(s_lists, stats["blkio_stats"]!.AsObject().Select(list => list.Key));
            Assert.All(s_lists, list => Assert.Null(stats["blkio_stats"]![list]));
        }

        (await Get($"v1.45/containers/{name}/stats?stream=1&one-shot=1")).Refused(400, "cannot have stream=true and one-shot=true");
        (await Get($"v1.45/containers/nosuch{name}/stats")).Refused(404, $"No such container: nosuch{name}");
    }

    [Fact]
    public async Task A_stream_goes_on_through_stop_and_start_until_the_container_is_removed()
    {
        var name = await Sleeper();
        using var stream = Programs.Start("curl", ["-sN", "--unix-socket", Docker.Socket, $"http://engine/v1.45/containers/{name}/stats"]);
        var first = await Next();
        Assert.Equal("0001-01-01T00:00:00Z", (string?)first["preread"]);
        var second = await Next();
        Assert.Equal((string?)first["read"], (string?)second["preread"]);
        Assert.True(JsonNode.DeepEquals(first["cpu_stats"], second["precpu_stats"]));
        await Docker.Ok("stop", "-t", "0", name);
        await Until(stats => (string?)stats["read"] == "0001-01-01T00:00:00Z");
        await Docker.Ok("start", name);
        await Until(stats => (string?)stats["read"] != "0001-01-01T00:00:00Z");
        await Docker.Ok("rm", "-f", name);
        await stream.WaitForExitAsync(Cancellation);
        Assert.Equal(0, stream.ExitCode);

        async Task<JsonNode> Next() => JsonNode.Parse((await stream.StandardOutput.ReadLineAsync(Cancellation))!)!;

        async Task Until(Func<JsonNode, bool> condition)
        {
            var clock = Stopwatch.StartNew();
            while (!condition(await Next()))
            {
                Assert.True(clock.Elapsed < Programs.Limit(30));
            }
        }
    }

    [Fact]
    public async Task The_cli_shows_running_ones_all_and_named_ones()
    {
        var (runs, created) = (await Sleeper("--memory", "32m"), Container("created"));
        await Docker.Ok("create", "--name", created, "alpine", "true");
        var line = await Docker.Ok("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", runs);
        Assert.Matches($"^{runs} [0-9.]+[KM]iB / 32MiB 1$", line);
        Assert.Equal($"{created} 0B / 0B 0", await Docker.Ok("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", created));
        var running = (await Docker.Run("stats", "--no-stream", "--format", "{{.Name}}")).Ok().Lines;
        Assert.Contains(runs, running);
        Assert.DoesNotContain(created, running);
        Assert.Contains(created, (await Docker.Run("stats", "--no-stream", "-a", "--format", "{{.Name}}")).Ok().Lines);
        (await Docker.Run("stats", "--no-stream", "nosuch" + runs)).Exited(1).Says("No such container: nosuch" + runs);
    }

    [Fact]
    public async Task The_cli_follows_starts_and_stops()
    {
        var name = Container("late");
        using var stats = Docker.Start("stats", "--format", "={{.Name}}=");
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sleep", "1000");
        var clock = Stopwatch.StartNew();
        while ((await stats.StandardOutput.ReadLineAsync(Cancellation))?.Contains($"={name}=", StringComparison.Ordinal) == false)
        {
            Assert.True(clock.Elapsed < Programs.Limit(30), "the container was started and is not shown");
        }

        await Docker.Ok("rm", "-f", name);

        // Each screen begins with the cursor in its corner (ESC [ H); one that ends without the name is awaited.
        for (bool gone = false, seen = true; !gone; Assert.True(clock.Elapsed < Programs.Limit(60), "the container was removed and is still shown"))
        {
            var line = await stats.StandardOutput.ReadLineAsync(Cancellation);
            if (line?.Contains("\u001b[H", StringComparison.Ordinal) == true)
            {
                gone = !seen;
                seen = false;
            }

            seen |= line?.Contains($"={name}=", StringComparison.Ordinal) == true;
        }

        stats.Kill();
    }

    [Fact]
    public async Task Many_at_once_cost_no_wait_in_one_shot()
    {
        var name = await Sleeper();
        using var http = new EngineHttp(Docker.Socket);
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => http.Get($"v1.45/containers/{name}/stats?stream=0&one-shot=1")));
        Assert.All(answers, answer => Assert.True((long)answer.Is(200).Json["cpu_stats"]!["system_cpu_usage"]! > 0));
    }
}
