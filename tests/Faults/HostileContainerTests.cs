using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Containers that do what they can to harm: the host and the others stay well, the engine answers, states are true, and each can be removed.</summary>
public sealed class HostileContainerTests() : FaultTest("host")
{
    private const int InCi = 5;
    private const int AtOnce = 5;

    private const string ToldDone = "; echo done; exec sleep 1000";

    // With the rights to mount, which a container has by default not.
    private static readonly string[] s_mounting = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];

    public static TheoryData<string, string[], string> Kinds => new()
    {
        { "forks without end", ["--pids-limit", "40", "--cpus", "0.2"], "f() { f | f & }; echo done; f; while :; do sleep 1; done" },
        { "fills its disk", ["--tmpfs", "/fill:size=4m"], "cat /dev/zero > /fill/x" + ToldDone },
        { "fills its shared memory", ["-m", "32m", "--memory-swap", "32m", "--shm-size", "16m"], "cat /dev/zero > /dev/shm/x" + ToldDone },
        { "writes logs at full speed", ["--cpus", "0.3"], "exec yes done" },
        { "ignores SIGTERM", [], "trap '' TERM HUP INT QUIT; echo done; while :; do sleep 1; done" },
        { "leaves zombies", [], "i=0; while [ $i -lt 100 ]; do (sleep 0.01 &); i=$((i+1)); done" + ToldDone },
        { "remounts", s_mounting, "mount -o remount,rw /; mount -o remount,rw /sys; mount --make-rshared /; mount -t tmpfs t /dev" + ToldDone },
        { "mounts over its /proc", s_mounting, "mount -t tmpfs t /proc; mount -t tmpfs t /sys; mount -t tmpfs t /etc" + ToldDone },
        { "deletes its root", ["-i"], "echo done; rm -rf /bin /etc /home /lib /media /mnt /opt /root /run /sbin /srv /tmp /usr /var 2> /dev/null; read line" },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Others_are_well(string kind, string[] options, string script)
    {
        _ = kind;
        var keeper = await Docker.Ok("run", "-d", "--name", "keeper", "alpine", "sleep", "1000");
        var before = await Footprint.Settled(Engine);
        var mounts = await Mounts();
        var pid = Engine.Pid;
        for (var round = 0; round < Rounds.Of(InCi); round += AtOnce)
        {
            var names = Enumerable.Range(round, AtOnce).Select(i => $"hostile{i}").ToArray();
            await Task.WhenAll(names.Select(name => Docker.Ok(["run", "-d", "--name", name, .. options, "alpine", "sh", "-c", script])));
            await Task.WhenAll(names.Select(name => Docker.Until(output => output.StartsWith("done", StringComparison.Ordinal), ["logs", "-n", "all", name])));

            Assert.Equal("well", await Docker.Ok("exec", "keeper", "echo", "well"));
            Assert.Equal("well", await Docker.Ok("run", "--rm", "alpine", "echo", "well"));
            foreach (var state in (await Docker.Run(["inspect", "-f", "{{.State.Running}} {{.State.Pid}}", .. names])).Ok().Lines)
            {
                Assert.True(state.StartsWith("true ", StringComparison.Ordinal) == Programs.Lives(state.Split(' ')[1]), state);
            }

            // What looks into such a container ends, with an answer or a refusal.
            await Docker.Run("top", names[0]);
            await Docker.Run("exec", names[0], "true");
            await Docker.Run("cp", $"{names[0]}:/etc/passwd", "-");
            await Docker.Run("diff", names[0]);
            await Docker.Ok(["stats", "--no-stream", .. names]);
            await Docker.Ok("stop", "-t", "0", names[0]);
            Assert.Equal("exited", await Docker.Inspect(names[0], "{{.State.Status}}"));
            await Docker.Run("restart", "-t", "0", names[1]);
            await Docker.Ok(["rm", "-f", .. names]);
        }

        Assert.Equal(pid, Engine.Pid);
        Assert.Equal("running", await Docker.Inspect(keeper, "{{.State.Status}}"));
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Assert.Equal(mounts, await Mounts());
    }

    /// <summary>The host's, but for those of engines: this one's are in its footprint, and others may run beside it.</summary>
    private static async Task<string[]> Mounts() =>
        [.. (await File.ReadAllLinesAsync("/proc/self/mountinfo", Cancellation)).Where(line => !line.Contains("slipway", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
}
