using System.Diagnostics;
using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>An engine with runtimes of the host beside its own; Debian's runc is the default.</summary>
public sealed class RuntimeEngine : IAsyncLifetime
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"slipway-runtimes-{Environment.ProcessId}.json");

    public RuntimeEngine() => Engine = new Engine("rt") { Flags = ["--config-file", _file, "--default-runtime", "host-runc"] };

    public Engine Engine { get; }

    private string Wrapper => _file + ".sh";

    public async ValueTask InitializeAsync()
    {
        Requirement.Check(File.Exists("/usr/sbin/runc"), "needs runc: apt-get install runc");
        Requirement.Check(File.Exists("/usr/bin/crun"), "needs crun: apt-get install crun");
        await File.WriteAllTextAsync(Wrapper, "#!/bin/sh\ntest \"$1 $2\" = '--first --second' || exit 9\nshift 2\nexec runc \"$@\"\n", CancellationToken.None);
        File.SetUnixFileMode(Wrapper, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await File.WriteAllTextAsync(
            _file,
            $$$"""{"runtimes": {"host-runc": {"path": "runc"}, "host-crun": {"path": "crun"}, "wrapped": {"path": "{{{Wrapper}}}", "runtimeArgs": ["--first", "--second"] }, "gone": {"path": "/nosuch/runtime"} } }""",
            CancellationToken.None);
        await Engine.Start();
        await AlpineImage.Import(Engine.Docker);
    }

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        File.Delete(_file);
        File.Delete(Wrapper);
    }
}

/// <summary>`--runtime` with OCI runtimes of the host.</summary>
public sealed class RuntimeTests(SharedEngine shared, RuntimeEngine runtimes) : EngineTest(shared), IClassFixture<RuntimeEngine>
{
    private const string Trap = "trap 'echo got; exit 7' TERM; echo started; while :; do sleep 0.1; done";

    /// <summary>Where systemd mounts the second version beside the first.</summary>
    private const string UnifiedControllers = "/sys/fs/cgroup/unified/cgroup.controllers";

    private Engine Engine => runtimes.Engine;

    private Docker Host => runtimes.Engine.Docker;

    [Fact]
    [RunOption("--runtime")]
    public async Task Programs_have_their_streams_and_exit_codes()
    {
        Assert.Equal("host-runc", await Host.Ok("info", "-f", "{{.DefaultRuntime}}"));
        Assert.Contains("\"host-runc\":{\"path\":\"runc\"}", await Host.Ok("info", "-f", "{{json .Runtimes}}"), StringComparison.Ordinal);
        Assert.Equal("hi", await Host.Ok("run", "--rm", "alpine", "echo", "hi"));
        Assert.Equal("hi", await Host.Ok("run", "--rm", "--runtime", "wrapped", "alpine", "echo", "hi"));
        Assert.Equal(42, (await Host.Run("run", "--rm", "alpine", "sh", "-c", "exit 42")).ExitCode);
        Assert.Equal("in", (await Host.RunWith("in", "run", "-i", "--rm", "alpine", "cat")).Ok().Line);
        var both = (await Host.Run("run", "--rm", "alpine", "sh", "-c", "echo out; echo err >&2")).Ok();
        Assert.Equal(("out\n", "err\n"), (both.Output, both.Error));
        Assert.Equal("terminal\r\n", (await Host.Run("run", "--rm", "-t", "alpine", "sh", "-c", "test -t 0 && test -t 1 && test -c /dev/console && echo terminal")).Ok().Output);
    }

    [Fact]
    public async Task What_the_runtime_refuses_is_told_in_its_words()
    {
        var missing = await Host.Run("run", "--rm", "alpine", "nosuch");
        Assert.Equal(127, missing.ExitCode);
        Assert.Contains("OCI runtime create failed: runc run failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH", missing.Error, StringComparison.Ordinal);

        // Once: what the runtime writes to its own standard error, which is the container's, is no output of the container's.
        Assert.Equal(2, missing.Error.Split("executable file not found").Length);
        Assert.Equal("", missing.Output);
        Assert.Equal(127, (await Host.Run("run", "--name", "failed", "alpine", "nosuch")).ExitCode);
        var logs = (await Host.Run("logs", "failed")).Ok();
        Assert.Equal(("", ""), (logs.Output, logs.Error));
        await Host.Ok("rm", "failed");
        Assert.Equal(126, (await Host.Run("run", "--rm", "alpine", "/etc/passwd")).ExitCode);
        Assert.Contains("exec: \"/nosuch/runtime\": no such file or directory", (await Host.Run("run", "--rm", "--runtime", "gone", "alpine", "true")).Error, StringComparison.Ordinal);
        Assert.Contains("unknown or invalid runtime name: nosuch", (await Host.Run("run", "--rm", "--runtime", "nosuch", "alpine", "true")).Error, StringComparison.Ordinal);
        Assert.Contains("--init needs the runtime slipway", (await Host.Run("run", "--rm", "--init", "alpine", "true")).Error, StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Fact]
    public async Task The_container_has_what_the_engine_gives_it()
    {
        await Host.Ok("volume", "create", "part");
        await Host.Ok("run", "--rm", "--runtime", "slipway", "-v", "part:/v", "alpine", "sh", "-c", "mkdir /v/sub; echo found > /v/sub/file");
        var options = new[]
        {
            "--rm", "--name", "full", "--hostname", "box", "-m", "64m", "--pids-limit", "20", "--read-only", "--tmpfs", "/t", "-p", "127.0.0.1::80", "--user", "1000:1000", "--cap-drop", "ALL",
            "--mount", "type=volume,src=part,dst=/sub,volume-subpath=sub,readonly", "--mount", "type=image,src=alpine,dst=/image", "-e", "A=b", "-w", "/tmp",
        };
        Assert.Equal(
            "box 1000 /tmp b\nfound\nimage\nread-only\nCapEff:\t0000000000000000\n2\nwritable\n1",
            await Host.Ok(
                ["run", .. options, "alpine", "sh", "-c",
                 "echo $(hostname) $(id -u) $(pwd) $A; cat /sub/file; test -e /image/etc/passwd && echo image; touch /x 2>/dev/null || echo read-only; grep CapEff /proc/self/status; "
                 + "grep Seccomp: /proc/self/status | cut -f2; test -w /t && echo writable; ls /sys/class/net | grep -c eth0"]));
        await Host.Ok("volume", "rm", "part");
        AssertNothingLeft();
    }

    [Fact]
    public async Task It_is_operated_as_any_other()
    {
        await Host.Ok("run", "-d", "--name", "life", "-m", "64m", "alpine", "sh", "-c", Trap);
        Assert.Equal("host-runc", await Host.Inspect("life", "{{.HostConfig.Runtime}}"));
        var exec = await Host.Run("exec", "-u", "65534", "-w", "/tmp", "-e", "A=b", "life", "sh", "-c", "id -u; pwd; echo $A; exit 3");
        Assert.Equal((3, "65534\n/tmp\nb\n"), (exec.ExitCode, exec.Output));
        Assert.Equal("in", (await Host.RunWith("in", "exec", "-i", "life", "cat")).Ok().Line);
        Assert.Equal("terminal\r\n", (await Host.Run("exec", "-t", "life", "sh", "-c", "test -t 0 && echo terminal")).Ok().Output);
        var missing = await Host.Run("exec", "life", "nosuch");
        Assert.Equal(127, missing.ExitCode);
        Assert.Contains("executable file not found in $PATH", missing.Output + missing.Error, StringComparison.Ordinal);
        Assert.Equal(2, (missing.Output + missing.Error).Split("executable file not found").Length);
        Assert.Contains("sh -c trap", await Host.Ok("top", "life"), StringComparison.Ordinal);
        Assert.NotEqual("0", await Host.Ok("stats", "--no-stream", "--format", "{{.PIDs}}", "life"));
        await Host.Ok("pause", "life");
        Assert.Equal("paused", await Host.Inspect("life", "{{.State.Status}}"));
        await Host.Ok("unpause", "life");
        await Host.Ok("update", "-m", "100m", "--memory-swap", "200m", "life");
        Assert.Equal("104857600", await Host.Ok("exec", "life", "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"));
        var file = Path.Combine(Folder(), "file");
        await File.WriteAllTextAsync(file, "copied", Cancellation);
        await Host.Ok("cp", file, "life:/tmp/file");
        Assert.Equal("copied", await Host.Ok("exec", "life", "cat", "/tmp/file"));
        await Host.Ok("stop", "life");
        Assert.Equal("7 exited", await Host.Inspect("life", "{{.State.ExitCode}} {{.State.Status}}"));
        Assert.Equal("started\ngot", await Host.Ok("logs", "life"));
        await Host.Ok("start", "life");
        await Host.Ok("kill", "life");
        Assert.Equal("137", await Host.Ok("wait", "life"));
        await Host.Ok("start", "life");
        await Host.Ok("rm", "-f", "life");
        AssertNothingLeft();
    }

    /// <summary>
    /// What crun writes and where differs from runc's ways: its log, its pid file, its state. On a host with both versions of control groups of which the second has controllers it runs
    /// nothing, which is told in its words.
    /// </summary>
    [Fact]
    public async Task Crun_does_the_same()
    {
        string[] crun = ["--runtime", "host-crun"];
        if (File.Exists(UnifiedControllers) && (await File.ReadAllTextAsync(UnifiedControllers, Cancellation)).Trim().Length > 0)
        {
            var refused = await Host.Run(["run", "--rm", .. crun, "alpine", "true"]);
            Assert.Equal(125, refused.ExitCode);
            Assert.Contains("OCI runtime create failed: cgroups in hybrid mode not supported", refused.Error, StringComparison.Ordinal);
            AssertNothingLeft();
            return;
        }

        Assert.Equal("hi", await Host.Ok(["run", "--rm", .. crun, "alpine", "echo", "hi"]));
        Assert.Equal(42, (await Host.Run(["run", "--rm", .. crun, "alpine", "sh", "-c", "exit 42"])).ExitCode);
        Assert.Equal("in", (await Host.RunWith("in", ["run", "-i", "--rm", .. crun, "alpine", "cat"])).Ok().Line);
        Assert.Equal("terminal\r\n", (await Host.Run(["run", "--rm", "-t", .. crun, "alpine", "sh", "-c", "test -t 0 && test -t 1 && test -c /dev/console && echo terminal"])).Ok().Output);
        var missing = await Host.Run(["run", "--rm", .. crun, "alpine", "nosuch"]);
        Assert.Equal(127, missing.ExitCode);
        Assert.Contains("executable file `nosuch` not found in $PATH", missing.Error, StringComparison.Ordinal);
        Assert.Equal(126, (await Host.Run(["run", "--rm", .. crun, "alpine", "/etc/passwd"])).ExitCode);
        Assert.Equal(
            "box 1000 /tmp b read-only 0000000000000000 2 eth0",
            await Host.Ok(
                ["run", "--rm", .. crun, "--hostname", "box", "-m", "64m", "--pids-limit", "20", "--read-only", "--tmpfs", "/t", "-p", "127.0.0.1::80", "--user", "1000:1000", "--cap-drop", "ALL", "-e", "A=b",
                 "-w", "/tmp", "alpine", "sh", "-c",
                 "echo $(hostname) $(id -u) $(pwd) $A $(touch /x 2>/dev/null || echo read-only) $(grep CapEff /proc/self/status | cut -f2) $(grep Seccomp: /proc/self/status | cut -f2) $(ls /sys/class/net | grep eth0)"]));
        await Host.Ok(["run", "-d", "--name", "second", "-m", "64m", "--health-cmd", "true", "--health-interval", "100ms", .. crun, "alpine", "sh", "-c", Trap]);
        var exec = await Host.Run("exec", "-u", "65534", "-w", "/tmp", "-e", "A=b", "second", "sh", "-c", "id -u; pwd; echo $A; exit 3");
        Assert.Equal((3, "65534\n/tmp\nb\n"), (exec.ExitCode, exec.Output));
        Assert.Equal("in", (await Host.RunWith("in", "exec", "-i", "second", "cat")).Ok().Line);
        await Host.Until(output => output.Trim() == "healthy", ["inspect", "-f", "{{.State.Health.Status}}", "second"]);
        await Host.Ok("pause", "second");
        await Host.Ok("unpause", "second");
        await Host.Ok("update", "-m", "100m", "--memory-swap", "200m", "second");
        Assert.Equal("104857600", await Host.Ok("exec", "second", "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"));
        await Host.Ok("stop", "second");
        Assert.Equal("7 exited", await Host.Inspect("second", "{{.State.ExitCode}} {{.State.Status}}"));
        Assert.Equal("started\ngot", await Host.Ok("logs", "second"));
        await Host.Ok("start", "second");
        await Host.Ok("kill", "second");
        Assert.Equal("137", await Host.Ok("wait", "second"));
        await Host.Ok("rm", "second");
        AssertNothingLeft();
    }

    [Fact]
    public async Task Health_checks_and_restart_policies_work()
    {
        await Host.Ok("run", "-d", "--name", "sick", "--health-cmd", "test -e /tmp/well", "--health-interval", "100ms", "--restart", "on-failure:2", "alpine", "sh", "-c", "sleep 1000; exit 1");
        await Host.Ok("exec", "sick", "touch", "/tmp/well");
        await Host.Until(output => output.Trim() == "healthy", ["inspect", "-f", "{{.State.Health.Status}}", "sick"]);
        await Host.Ok("exec", "sick", "sh", "-c", "kill $(pidof sleep)");
        await Host.Until(output => output.Trim() == "1 running", ["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "sick"]);
        await Host.Ok("rm", "-f", "sick");
    }

    [Fact]
    public async Task Nobody_can_explain_another_runtime()
    {
        await Host.Ok("create", "--name", "dark", "alpine", "true");
        var refused = await Programs.Run(Repository.Executable!, ["-H", $"unix://{Host.Socket}", "explain", "dark"]);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("is run by the runtime host-runc", refused.Error + refused.Output, StringComparison.Ordinal);
        await Host.Ok("rm", "dark");
    }

    /// <summary>The root file system has a path on the host as long as a runtime needs one; set-id programs in it are nobody else's to run all the same.</summary>
    [Fact]
    public async Task CVE_2021_41091_other_users_of_the_host_do_not_reach_the_root_of_a_container_of_a_runtime()
    {
        await Host.Ok("run", "-d", "--name", "setid", "-v", "setid:/data", "alpine", "sh", "-c", "cp /bin/busybox /shell; cp /bin/busybox /data/shell; chmod 4755 /shell /data/shell; sleep 1000");
        await Host.Until(output => output.Trim() == "4755", ["exec", "setid", "stat", "-c", "%a", "/data/shell"]);
        var bundle = Path.Combine(Engine.ExecRoot, "foreign", await Host.Inspect("setid", "{{.Id}}"));
        Assert.True(File.Exists($"{bundle}/rootfs/shell"));
        foreach (var path in (string[])[$"{bundle}/rootfs/shell", $"{bundle}/config.json", $"{bundle}/mounts", Path.Combine(Engine.DataRoot, "volumes", "setid", "_data", "shell")])
        {
            Assert.True(Path.Exists(path), path);
            var attempt = await Programs.Run("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", "stat", path]);
            Assert.NotEqual(0, attempt.ExitCode);
            attempt.Says("Permission denied");
        }

        await Host.Ok("rm", "-f", "-v", "setid");
        await Host.Ok("volume", "rm", "setid");
        AssertNothingLeft();
    }

    /// <summary>What an image has in the place of the directories that the engine and a runtime mount on is judged before the runtime sees it.</summary>
    [Theory]
    [InlineData("proc")]
    [InlineData("sys")]
    [InlineData("dev")]
    public async Task CVE_2026_41579_an_image_whose_system_folder_is_a_link_does_not_reach_a_runtime(string name)
    {
        var image = Image();
        using var tar = new MemoryStream(Archive.Of(Archive.Link(name, "/tmp"), Archive.Text("x", "x")));
        (await Host.RunWith(tar, "import", "-c", "CMD [\"/x\"]", "-", image)).Ok();
        var refused = await Host.Run("run", "--name", "linked", image);
        await Host.Ok("rm", "linked");
        await Host.Ok("rmi", image);
        Assert.NotEqual(0, refused.ExitCode);
        refused.Says($"/{name} is a symbolic link, it must be an ordinary directory");
        AssertNothingLeft();
    }

    /// <summary>Its own engine: the other tests of the class run one after another, but their engine must stay.</summary>
    [Fact]
    public async Task It_outlives_the_engine_and_ends_with_the_supervisor()
    {
        await using var engine = new Engine("rtk") { Flags = ["--add-runtime", "host-runc=runc"] };
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        await engine.Docker.Ok("run", "-d", "--name", "kept", "--runtime", "host-runc", "alpine", "sh", "-c", Trap);
        await engine.Docker.Ok("run", "-d", "--name", "ended", "--runtime", "host-runc", "alpine", "sleep", "1000");
        await engine.Docker.Ok("run", "-d", "--name", "alone", "--runtime", "host-runc", "alpine", "sleep", "1000");
        var (kept, ended) = (await Pid("kept"), await Pid("ended"));
        await engine.Kill();
        Kill(ended);
        await engine.Start();
        Assert.Equal(kept, await Pid("kept"));
        Assert.Equal("137 exited", await engine.Docker.Inspect("ended", "{{.State.ExitCode}} {{.State.Status}}"));
        Assert.Equal("kept", await engine.Docker.Ok("exec", "kept", "echo", "kept"));
        await engine.Docker.Ok("stop", "kept");
        Assert.Equal("7", await engine.Docker.Inspect("kept", "{{.State.ExitCode}}"));

        // The runtime's own process is killed: what it watched cannot be watched any more, and ends.
        await engine.Docker.Ok("start", "kept");
        Kill(Parent(await Pid("kept")));
        await engine.Docker.Until(output => output.Trim() == "exited", ["inspect", "-f", "{{.State.Status}}", "kept"]);

        await engine.KillSupervisor();
        await engine.Docker.Until(output => output.Trim() == "exited", ["inspect", "-f", "{{.State.Status}}", "alone"]);
        Assert.DoesNotContain(engine.ExecRoot, await File.ReadAllTextAsync("/proc/self/mountinfo", Cancellation), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(engine.ExecRoot, "foreign")));

        async Task<int> Pid(string name) => int.Parse(await engine.Docker.Inspect(name, "{{.State.Pid}}"), CultureInfo.InvariantCulture);
    }

    private void AssertNothingLeft()
    {
        Assert.DoesNotContain(Path.Combine(Engine.ExecRoot, "foreign"), File.ReadAllText("/proc/self/mountinfo"), StringComparison.Ordinal);
        var bundles = Path.Combine(Engine.ExecRoot, "foreign");
        Assert.True(!Directory.Exists(bundles) || Directory.GetFileSystemEntries(bundles) is []);
    }

    private static int Parent(int process) => int.Parse(File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1].Split(' ')[1], CultureInfo.InvariantCulture);

    private static void Kill(int pid)
    {
        using var process = Process.GetProcessById(pid);
        process.Kill();
    }
}
