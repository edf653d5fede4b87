using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`--ipc`: whose System V objects, message queues and /dev/shm a container has.</summary>
public sealed class IpcTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    [RunOption("--ipc")]
    public async Task A_shareable_container_is_joined_with_its_shared_memory()
    {
        var donor = await Sleeper("--ipc", "shareable", "--shm-size", "1m");
        var joined = await Sleeper("--ipc", $"container:{donor}");
        Assert.Equal($"container:{await Docker.Inspect(donor, "{{.Id}}")}", await Docker.Inspect(joined, "{{.HostConfig.IpcMode}}"));
        Assert.Equal(await Docker.Ok("exec", donor, "readlink", "/proc/self/ns/ipc"), await Docker.Ok("exec", joined, "readlink", "/proc/self/ns/ipc"));
        Assert.Equal("shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k 0 0", await Docker.Ok("exec", joined, "grep", "/dev/shm", "/proc/mounts"));
        await Docker.Ok("exec", donor, "sh", "-c", "echo one > /dev/shm/a");
        await Docker.Ok("exec", joined, "sh", "-c", "cat /dev/shm/a; echo two > /dev/shm/b");
        Assert.Equal("two", await Docker.Ok("exec", donor, "cat", "/dev/shm/b"));

        // Who has joined can be joined; and what belongs to no user of its own can be used by all.
        Assert.Equal("one", await Docker.Ok("run", "--rm", "--ipc", $"container:{joined}", "--user", "1234", "alpine", "sh", "-c", "cat /dev/shm/a && touch /dev/shm/c"));
    }

    [Fact]
    public async Task The_donor_s_end_leaves_those_that_joined_what_they_have()
    {
        var donor = await Sleeper("--ipc", "shareable");
        var joined = await Sleeper("--ipc", $"container:{donor}");
        await Docker.Ok("exec", donor, "sh", "-c", "echo kept > /dev/shm/a");
        await Docker.Ok("stop", "-t", "0", donor);
        Assert.Equal("kept", await Docker.Ok("exec", joined, "cat", "/dev/shm/a"));
        await Docker.Ok("stop", "-t", "0", joined);
        var refused = await Docker.Run("start", joined);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains($"failed to join IPC namespace: container {await Docker.Inspect(donor, "{{.Id}}")} is not running", refused.Error, StringComparison.Ordinal);

        // Another run has another memory.
        await Docker.Ok("start", donor);
        await Docker.Ok("start", joined);
        Assert.Equal("", await Docker.Ok("exec", joined, "ls", "/dev/shm"));
        await Docker.Ok("pause", donor);
        Assert.Equal("ok", await Docker.Ok("run", "--rm", "--ipc", $"container:{donor}", "alpine", "echo", "ok"));
        await Docker.Ok("unpause", donor);
    }

    [Theory]
    [InlineData("--ipc", "private")]
    [InlineData("--ipc", "none")]
    [InlineData("--ipc", "shareable", "--tmpfs", "/dev/shm")]
    public async Task Others_cannot_be_joined(params string[] options)
    {
        var donor = await Sleeper(options);
        var refused = await Docker.Run("run", "--rm", "--ipc", $"container:{donor}", "alpine", "true");
        Assert.Equal(125, refused.ExitCode);
        Assert.Contains(
            $"failed to join IPC namespace: container {await Docker.Inspect(donor, "{{.Id}}")}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_does_not_run_or_does_not_exist_cannot_be_joined()
    {
        var donor = Container();
        var id = await Docker.Ok("create", "--name", donor, "--ipc", "shareable", "alpine", "sleep", "1000");
        Assert.Contains($"failed to join IPC namespace: container {id} is not running", (await Docker.Run("run", "--rm", "--ipc", $"container:{donor}", "alpine", "true")).Error, StringComparison.Ordinal);
        Assert.Contains("No such container: nosuch", (await Docker.Run("run", "--rm", "--ipc", "container:nosuch", "alpine", "true")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_the_host_s_namespace_comes_the_host_s_memory()
    {
        var donor = await Sleeper("--ipc", "host");
        Assert.Equal(new FileInfo("/proc/self/ns/ipc").LinkTarget, await Docker.Ok("run", "--rm", "--ipc", $"container:{donor}", "alpine", "readlink", "/proc/self/ns/ipc"));
        Assert.Equal("1", await Docker.Ok("run", "--rm", "--ipc", $"container:{donor}", "alpine", "grep", "-c", " /dev/shm ", "/proc/mounts"));
    }

    [Fact]
    public async Task A_mount_of_one_s_own_goes_before_the_memory_that_is_shared()
    {
        var donor = await Sleeper("--ipc", "shareable");
        await Docker.Ok("exec", donor, "touch", "/dev/shm/theirs");
        Assert.Equal("", await Docker.Ok("run", "--rm", "--ipc", $"container:{donor}", "--tmpfs", "/dev/shm", "alpine", "ls", "/dev/shm"));
    }

    [Fact]
    public async Task Without_shared_memory_there_is_none()
    {
        Assert.Equal("none", await Docker.Ok("run", "--rm", "--ipc", "none", "alpine", "sh", "-c", "test -e /dev/shm || echo none"));
        Assert.NotEqual(0, (await Docker.Run("run", "--rm", "--ipc", "none", "alpine", "grep", "-q", "shm", "/proc/mounts")).ExitCode);
    }

    [Fact]
    public async Task Memory_that_is_shared_outlives_the_engine_and_ends_with_its_container()
    {
        await using var engine = new Engine("ipc");
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        await engine.Docker.Ok("run", "-d", "--name", "donor", "--ipc", "shareable", "alpine", "sleep", "1000");
        await engine.Docker.Ok("run", "-d", "--name", "ended", "--ipc", "shareable", "alpine", "sleep", "1000");
        await engine.Docker.Ok("exec", "donor", "sh", "-c", "echo kept > /dev/shm/a");
        Assert.Equal(2, await Mounts());
        var pid = int.Parse(await engine.Docker.Inspect("ended", "{{.State.Pid}}"), System.Globalization.CultureInfo.InvariantCulture);
        await engine.Kill();
        using (var process = System.Diagnostics.Process.GetProcessById(pid))
        {
            process.Kill();
        }

        await engine.Start();
        Assert.Equal(1, await Mounts());
        Assert.Equal("kept", await engine.Docker.Ok("run", "--rm", "--ipc", "container:donor", "alpine", "cat", "/dev/shm/a"));
        await engine.Docker.Ok("rm", "-f", "donor", "ended");
        Assert.Equal(0, await Mounts());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(engine.ExecRoot, "shm")));

        async Task<int> Mounts() => (await File.ReadAllLinesAsync("/proc/self/mountinfo", Cancellation)).Count(line => line.Contains($" {engine.ExecRoot}/shm/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_start_that_fails_leaves_no_shared_memory()
    {
        Assert.SkipUnless(IsSlipway, "looks for the mounts of Slipway");
        var name = Container();
        Assert.Equal(127, (await Docker.Run("run", "--name", name, "--ipc", "shareable", "alpine", "/nosuch")).ExitCode);
        var id = await Docker.Inspect(name, "{{.Id}}");
        Assert.DoesNotContain(id, await File.ReadAllTextAsync("/proc/self/mountinfo", Cancellation), StringComparison.Ordinal);
    }
}
