using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker update`: the kernel has the new limits at once, inspect shows them, and a refusal changes neither.</summary>
public sealed class UpdateTests(SharedEngine engine) : EngineTest(engine)
{
    private static bool V2 => File.Exists("/sys/fs/cgroup/cgroup.controllers");

    private Task<CliResult> Update(string name, params string[] options) => Docker.Run(["update", .. options, name]);

    /// <summary>A file of the container's own group, as the host sees it.</summary>
    private async Task<string> Limit(string name, string v1, string v2)
    {
        var pid = await Docker.Inspect(name, "{{.State.Pid}}");
        var controller = v1.Split('.')[0];
        var group = File.ReadLines($"/proc/{pid}/cgroup").Select(line => line.Split(':', 3)).First(fields => V2 ? fields[0] == "0" : fields[1].Split(',').Contains(controller));
        return (await File.ReadAllTextAsync(V2 ? $"/sys/fs/cgroup{group[2]}/{v2}" : $"/sys/fs/cgroup/{controller}{group[2]}/{v1}", Cancellation)).Trim();
    }

    [Fact]
    public async Task Memory_of_a_running_container()
    {
        var name = await Sleeper("--memory", "64m");
        Assert.Equal(name, (await Update(name, "--memory", "96m")).Ok().Line);
        Assert.Equal($"{96 << 20}", await Limit(name, "memory.limit_in_bytes", "memory.max"));
        (await Update(name, "--memory", "256m", "--memory-swap", "512m")).Ok();
        Assert.Equal($"{256 << 20}", await Limit(name, "memory.limit_in_bytes", "memory.max"));
        Assert.Equal($"{256 << 20} {512 << 20}", await Docker.Inspect(name, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"));
        (await Update(name, "--memory", "32m", "--memory-swap", "32m", "--memory-reservation", "16m")).Ok();
        Assert.Equal($"{32 << 20}", await Limit(name, "memory.limit_in_bytes", "memory.max"));
        Assert.Equal($"{16 << 20}", await Limit(name, "memory.soft_limit_in_bytes", "memory.low"));
        (await Update(name, "--memory-swap", "-1")).Ok();
        Assert.Equal($"{32 << 20} -1", await Docker.Inspect(name, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"));
        await Docker.Ok("restart", "-t", "0", name);
        Assert.Equal($"{32 << 20}", await Limit(name, "memory.limit_in_bytes", "memory.max"));
    }

    [Fact]
    public async Task Cpus_of_a_running_container()
    {
        var name = await Sleeper();
        (await Update(name, "--cpu-shares", "512", "--cpuset-cpus", "0")).Ok();
        Assert.Equal("0", await Limit(name, "cpuset.cpus", "cpuset.cpus"));
        Assert.Equal(V2 ? "59" : "512", await Limit(name, "cpu.shares", "cpu.weight"));
        Assert.Equal("0", (await Docker.Run("exec", name, "grep", "Cpus_allowed_list", "/proc/self/status")).Ok().Line.Split('\t')[^1]);
        (await Update(name, "--cpus", "0.5")).Ok();
        Assert.Equal(V2 ? "50000 100000" : "50000", await Limit(name, "cpu.cfs_quota_us", "cpu.max"));
        Assert.Equal("500000000", await Docker.Inspect(name, "{{.HostConfig.NanoCpus}}"));
        (await Update(name, "--cpu-quota", "1000")).Exited(1).Says("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
        (await Update(name, "--cpu-period", "100000")).Exited(1).Says("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
        var quota = await Sleeper("--cpu-period", "50000");
        (await Update(quota, "--cpu-quota", "20000")).Ok();
        Assert.Equal(V2 ? "20000 50000" : "20000", await Limit(quota, "cpu.cfs_quota_us", "cpu.max"));
        (await Update(quota, "--cpu-quota", "-1")).Ok();
        Assert.Equal(V2 ? "max 50000" : "-1", await Limit(quota, "cpu.cfs_quota_us", "cpu.max"));
        (await Update(quota, "--cpus", "1")).Exited(1).Says("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
    }

    [Fact]
    public async Task Processes_of_a_running_container()
    {
        var name = await Sleeper("--pids-limit", "50");
        (await Update(name, "--pids-limit", "2")).Ok();
        Assert.Equal("2", await Limit(name, "pids.max", "pids.max"));
        Assert.NotEqual(0, (await Docker.Run("exec", name, "sh", "-c", "sleep 5 & sleep 5 & wait")).ExitCode);
        (await Update(name, "--pids-limit", "-1")).Ok();
        Assert.Equal("max", await Limit(name, "pids.max", "pids.max"));
        Assert.Equal("0", await Docker.Inspect(name, "{{.HostConfig.PidsLimit}}"));
    }

    [Fact]
    public async Task A_refusal_changes_nothing()
    {
        var name = await Sleeper("--memory", "64m", "--tmpfs", "/tmp", "--cpu-shares", "300");
        var before = await Docker.Inspect(name, "{{json .HostConfig}}");
        (await Update(name, "--memory", "1m")).Exited(1).Says("Minimum memory limit allowed is 6MB");
        (await Update(name, "--memory", "1g")).Exited(1)
            .Says("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time").Says("Cannot update container");
        (await Update(name, "--memory-swap", "32m")).Exited(1).Says("Cannot update container");
        (await Update(name, "--cpuset-cpus", "0-99")).Exited(1).Says("Requested CPUs are not available - requested 0-99, available: 0");
        (await Update(name, "--restart", "bogus")).Exited(1).Says("invalid restart policy: unknown policy 'bogus'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'");
        (await Update("nosuch" + name, "--memory-reservation", "10m")).Exited(1).Says($"No such container: nosuch{name}");

        // What the kernel refuses (40 MB are in use, in a file system without swap for them) is taken back, and so is what was set before it.
        await Docker.Ok("exec", name, "dd", "if=/dev/zero", "of=/tmp/file", "bs=1M", "count=40");
        if (!V2)
        {
            (await Update(name, "--cpu-shares", "700", "--memory", "8m", "--memory-swap", "8m")).Exited(1).Says("Cannot update container");
            Assert.Equal("300", await Limit(name, "cpu.shares", "cpu.weight"));
        }

        Assert.Equal($"{64 << 20}", await Limit(name, "memory.limit_in_bytes", "memory.max"));
        Assert.Equal(before, await Docker.Inspect(name, "{{json .HostConfig}}"));
    }

    [Fact]
    public async Task A_stopped_container_has_its_new_limits_at_the_next_start()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "sleep", "1000");
        (await Update(name, "--memory", "64m")).Exited(1).Says("update the memoryswap at the same time");
        (await Update(name, "--memory", "64m", "--memory-swap", "128m", "--pids-limit", "20")).Ok();
        Assert.Equal("created", await Docker.Inspect(name, "{{.State.Status}}"));
        await Docker.Ok("start", name);
        Assert.Equal($"{64 << 20}", await Limit(name, "memory.limit_in_bytes", "memory.max"));
        Assert.Equal("20", await Limit(name, "pids.max", "pids.max"));
    }

    [Fact]
    public async Task The_restart_policy_counts_from_the_next_exit_on()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; rm /go; exit 3");
        (await Update(name, "--restart", "on-failure:3")).Ok();
        Assert.Equal("on-failure 3", await Docker.Inspect(name, "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}"));
        await Docker.Ok("exec", name, "touch", "/go");
        await Docker.Until(output => output.Trim() == "1 running", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", name]);
        (await Update(name, "--restart", "no")).Ok();
        await Docker.Ok("exec", name, "touch", "/go");
        await Docker.Until(output => output.Trim() == "1 exited", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", name]);
        var goes = Container("goes");
        await Docker.Ok("run", "-d", "--rm", "--name", goes, "alpine", "sleep", "1000");
        (await Update(goes, "--restart", "always")).Exited(1).Says("Restart policy cannot be updated because AutoRemove is enabled for the container");
    }

    [Fact]
    public async Task An_update_is_an_event_and_several_containers_are_updated_at_once()
    {
        var (one, two) = (await Sleeper(), await Sleeper());
        var since = TimeProvider.System.GetUtcNow().ToString("O");
        Assert.Equal([one, two], (await Docker.Run("update", "--cpu-shares", "200", one, two)).Ok().Lines);
        var until = TimeProvider.System.GetUtcNow().ToString("O");
        Assert.Equal([one], (await Docker.Run("events", "--since", since, "--until", until, "-f", $"container={one}", "-f", "event=update", "--format", "{{.Actor.Attributes.name}}")).Ok().Lines);
        await Docker.Ok("pause", two);
        (await Update(two, "--pids-limit", "33")).Ok();
        Assert.Equal("33", await Limit(two, "pids.max", "pids.max"));
        Assert.Equal("paused", await Docker.Inspect(two, "{{.State.Status}}"));
        await Docker.Ok("unpause", two);
    }

    [Fact]
    public async Task Requests_no_cli_sends()
    {
        var name = await Sleeper();
        using var http = new EngineHttp(Docker.Socket);
        Assert.Equal("{\"Warnings\":null}", (await http.Post($"v1.45/containers/{name}/update", "{}")).Is(200).Body.Trim());
        (await http.Post($"v1.45/containers/{name}/update", "{\"CpuQuota\":4000,\"NanoCpus\":5}")).Refused(400, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        (await http.Post($"v1.45/containers/{name}/update", "{\"Memory\":4194304}")).Refused(400, "Minimum memory limit allowed is 6MB");
        (await http.Post($"v1.45/containers/{name}/update", "{\"PidsLimit\":9}")).Is(200);
        (await http.Post($"v1.39/containers/{name}/update", "{\"PidsLimit\":5}")).Is(200);
        Assert.Equal("9", await Docker.Inspect(name, "{{.HostConfig.PidsLimit}}"));
    }
}
