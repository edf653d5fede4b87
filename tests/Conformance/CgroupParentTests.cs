using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary><c>--cgroup-parent</c>: a container's groups below one that somebody else has chosen.</summary>
public sealed class CgroupParentTests(SharedEngine engine) : EngineTest(engine)
{
    private readonly string _parent = $"slipway-parent-{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..6]}";

    [Fact]
    [RunOption("--cgroup-parent")]
    public async Task A_container_s_groups_are_below_the_parent_and_go_with_it()
    {
        RemoveParentAfterwards(_parent + "/deep.slice", _parent);
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "--memory", "64m", "--cgroup-parent", $"/{_parent}/deep.slice", "alpine", "sleep", "1000");
        var (id, pid) = (await Docker.Inspect(name, "{{.Id}}"), await Docker.Inspect(name, "{{.State.Pid}}"));
        Assert.Equal($"/{_parent}/deep.slice", await Docker.Inspect(name, "{{.HostConfig.CgroupParent}}"));
        Assert.Contains($":/{_parent}/deep.slice/{id}\n", await File.ReadAllTextAsync($"/proc/{pid}/cgroup", Cancellation), StringComparison.Ordinal);

        // All that goes by the group goes on working.
        await Docker.Ok("exec", name, "true");
        await Docker.Ok("update", "--memory", "128m", "--memory-swap", "256m", name);
        await Docker.Ok("pause", name);
        Assert.Equal("paused", await Docker.Inspect(name, "{{.State.Status}}"));
        await Docker.Ok("unpause", name);
        Assert.Contains("128MiB", await Docker.Ok("stats", "--no-stream", "--format", "{{.MemUsage}}", name), StringComparison.Ordinal);
        await Docker.Ok("restart", "-t", "0", name);
        await Docker.Ok("stop", "-t", "0", name);
        Assert.DoesNotContain(Groups(_parent), path => path.EndsWith(id, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_relative_parent_that_was_removed_meanwhile_is_made_again()
    {
        RemoveParentAfterwards(_parent);
        Assert.Equal("ok", await Docker.Ok("run", "--rm", "--cgroup-parent", _parent, "alpine", "echo", "ok"));
        Remove(_parent);
        Assert.Equal("ok", await Docker.Ok("run", "--rm", "--cgroup-parent", _parent, "alpine", "echo", "ok"));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("slipway/../..")]
    [InlineData("/slipway//x")]
    [InlineData("./slipway")]
    public async Task A_path_that_leads_out_or_nowhere_is_refused(string parent)
    {
        Assert.SkipUnless(IsSlipway, "Docker cleans such paths instead");
        var result = await Docker.Run("run", "--rm", "--cgroup-parent", parent, "alpine", "true");
        Assert.Equal(125, result.ExitCode);
        Assert.Contains("invalid cgroup parent", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Groups_in_a_parent_are_adopted_and_ended_after_a_crash_and_others_left_alone()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        RemoveParentAfterwards(_parent + "/other", _parent);
        await using var own = new Engine("parnt");
        await own.Start();
        await AlpineImage.Import(own.Docker);
        await own.Docker.Ok("run", "-d", "--name", "cc", "--cgroup-parent", _parent, "alpine", "sleep", "1000");
        var (id, pid) = (await own.Docker.Inspect("cc", "{{.Id}}"), await own.Docker.Inspect("cc", "{{.State.Pid}}"));
        var hierarchy = Groups(_parent)[0][..^(id.Length + 1)];
        Directory.CreateDirectory(Path.Combine(hierarchy, "other"));
        await own.Kill();
        await own.Start();
        Assert.Equal("running", await own.Docker.Inspect("cc", "{{.State.Status}}"));
        await own.Kill();
        await own.KillSupervisor();
        await own.Start();
        Assert.Equal("exited", await own.Docker.Inspect("cc", "{{.State.Status}}"));

        // It is killed by now; who reaps what lost its parent is the host's init, in its own time.
        for (var attempt = 0; attempt < 300 && Directory.Exists($"/proc/{pid}"); attempt++)
        {
            await Task.Delay(100, Cancellation);
        }

        Assert.False(Directory.Exists($"/proc/{pid}"));
        Assert.Equal([Path.Combine(hierarchy, "other")], Groups(_parent));
    }

    /// <summary>The groups directly below one, in all hierarchies.</summary>
    private static string[] Groups(string parent) =>
        [.. Hierarchies(parent).SelectMany(path => Directory.EnumerateDirectories(path, "*", SearchOption.AllDirectories)).Where(path => !path.EndsWith(".slice", StringComparison.Ordinal))];

    private static IEnumerable<string> Hierarchies(string group) =>
        Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup").Select(mount => Path.Combine(mount, group)).Where(Directory.Exists);

    private static void Remove(string group)
    {
        foreach (var path in Hierarchies(group))
        {
            Directory.Delete(path);
        }
    }

    private void RemoveParentAfterwards(params string[] groups) => Cleanup(() =>
    {
        Array.ForEach(groups, Remove);
        return Task.CompletedTask;
    });
}
