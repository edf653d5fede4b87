using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Resource limits, as measured from inside the container; cgroup v1 and v2 alike.</summary>
[Trait("rig", "cgroups")]
public sealed class LimitTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    [RunOption("--memory", "--memory-swap")]
    public async Task Allocation_beyond_the_memory_limit_is_killed_and_inspect_says_so()
    {
        var name = Container();
        (await Docker.Run("run", "--name", name, "-m", "64m", "--memory-swap", "64m", "alpine", "sh", "-c", "head -c 200m /dev/zero | tail")).Exited(137);
        Assert.Equal("true 137", await Docker.Inspect(name, "{{.State.OOMKilled}} {{.State.ExitCode}}"));
    }

    [Fact]
    public async Task Allocation_below_the_memory_limit_is_not()
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "-m", "64m", "alpine", "sh", "-c", "head -c 20m /dev/zero | tail > /dev/null");
        Assert.Equal("false 0", await Docker.Inspect(name, "{{.State.OOMKilled}} {{.State.ExitCode}}"));
    }

    [Fact]
    public async Task Memory_limit_is_what_the_cgroup_says() =>
        Assert.Equal("67108864", await Docker.Ok("run", "--rm", "-m", "64m", "alpine", "sh", "-c", "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"));

    [Fact]
    [RunOption("--pids-limit")]
    public async Task Pids_limit_stops_a_fork_bomb()
    {
        var result = await Docker.Run("run", "--rm", "--pids-limit", "5", "alpine", "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait");
        result.Exited(2).Says("can't fork: Resource temporarily unavailable");
        await Docker.Ok("run", "--rm", "--pids-limit", "20", "alpine", "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait");
    }

    [Fact]
    [RunOption("--cpus")]
    public async Task Cpus_bounds_the_processor_time_used()
    {
        // Two busy loops for two seconds of wall time under half a processor may use one second; idle counts nothing.
        const string script = "(while :; do :; done) & a=$!; (while :; do :; done) & b=$!; sleep 2; kill $a $b; wait; times > /times; tail -n 1 /times";
        var times = await Docker.Ok("run", "--rm", "--cpus", "0.5", "alpine", "sh", "-c", script);
        var used = times.Split([' ', 'm', 's'], StringSplitOptions.RemoveEmptyEntries).Select(part => double.Parse(part, CultureInfo.InvariantCulture)).ToArray();
        var seconds = used[1] + used[3] + (60 * (used[0] + used[2]));
        Assert.InRange(seconds, 0.2, 1.4);
    }

    [Fact]
    [RunOption("--cpuset-cpus")]
    public async Task Cpuset_is_what_the_program_may_run_on() =>
        Assert.Equal("0", await Docker.Ok("run", "--rm", "--cpuset-cpus", "0", "alpine", "sh", "-c", "grep Cpus_allowed_list /proc/self/status | cut -f 2"));

    [Fact]
    public async Task Exec_counts_against_the_limits_of_its_container()
    {
        (await Docker.Run("exec", await Sleeper("--pids-limit", "12"), "sh", "-c", "for i in $(seq 20); do sleep 1 & done; wait")).Says("can't fork");
        (await Docker.Run("exec", await Sleeper("-m", "32m", "--memory-swap", "32m"), "sh", "-c", "head -c 200m /dev/zero | tail")).Exited(137);
    }

    [Theory]
    [InlineData("nofile=100:200", "ulimit -Sn; ulimit -Hn", "100\n200")]
    [InlineData("core=0", "ulimit -c", "0")]
    [RunOption("--ulimit")]
    public async Task Ulimits(string limit, string script, string expected) =>
        Assert.Equal(expected, await Docker.Ok("run", "--rm", "--ulimit", limit, "alpine", "sh", "-c", script));

    [Fact]
    public async Task Device_rules_hold_even_for_a_node_made_inside()
    {
        // Major 7 are loop devices, which the default rules do not name; mknod itself is allowed.
        (await Docker.Run("run", "--rm", "alpine", "sh", "-c", "mknod /loop b 7 0 && head -c 1 /loop")).Exited(1).Says("Operation not permitted");
        await Docker.Ok("run", "--rm", "alpine", "sh", "-c", "mknod /n c 1 3 && echo x > /n");
    }

    [Fact]
    [RunOption("--device")]
    public async Task Device_option_gives_the_device()
    {
        await Docker.Ok("run", "--rm", "--device", "/dev/full:/dev/given", "alpine", "test", "-c", "/dev/given");
        (await Docker.Run("run", "--rm", "--device", "/dev/kmsg:/dev/given:w", "alpine", "head", "-c", "1", "/dev/given")).Exited(1).Says("Operation not permitted");
    }

    [Fact]
    [RunOption("--sysctl")]
    public async Task Sysctls_of_the_containers_own_namespaces() =>
        Assert.Equal("1", await Docker.Ok("run", "--rm", "--sysctl", "net.ipv4.ip_forward=1", "alpine", "cat", "/proc/sys/net/ipv4/ip_forward"));

    [Theory]
    [InlineData("0\t2147483647 0")]
    [InlineData("0\t2147483647 1024", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024")]
    [InlineData("1\t0 0", "--sysctl", "net.ipv4.ping_group_range=1 0")]
    [InlineData("0\t2147483647 0", "--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "--network", "none")]
    public async Task Ping_and_low_ports_are_for_everybody_where_nothing_else_is_said(string expected, params string[] options) =>
        Assert.Equal(expected, await Docker.Ok(["run", "--rm", .. options, "alpine", "sh", "-c", "cd /proc/sys/net/ipv4; echo \"$(cat ping_group_range) $(cat ip_unprivileged_port_start)\""]));

    [Fact]
    [RunOption("--oom-score-adj")]
    public async Task Oom_score_adjustment() =>
        Assert.Equal("500", await Docker.Ok("run", "--rm", "--oom-score-adj", "500", "alpine", "cat", "/proc/self/oom_score_adj"));
}
