using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>A start that fails in the middle: an error that names the step, and no leftovers.</summary>
public sealed class FailedStartTests() : FaultTest("fstart")
{
    private async Task Fails(string expected, params string[] options)
    {
        var before = await Footprint.Settled(Engine);
        var result = await Docker.Run(["run", "--name", "failing", .. options, "alpine", "true"]);
        Assert.NotEqual(0, result.ExitCode);
        result.Says(expected);
        var id = await Docker.Inspect("failing", "{{.Id}}");
        Assert.Equal("created", await Docker.Inspect(id, "{{.State.Status}}"));
        await Docker.Ok("rm", "failing");
        (await Footprint.Settled(Engine)).EqualTo(before);
        Assert.Empty(await Footprint.Traces(Engine, [id]));
    }

    [Fact]
    public Task Mount_target_that_cannot_be_made() => Fails("/proc/nosuch/target", "-v", "/tmp:/proc/nosuch/target");

    [Fact]
    public Task Mount_of_a_file_onto_a_folder() => Fails("/etc", "-v", "/etc/hostname:/etc");

    [Fact]
    public async Task Filter_that_forbids_execve()
    {
        var profile = Path.Combine(Engine.DataRoot, "no-exec.json");
        await File.WriteAllTextAsync(profile, """{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["execve"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}""", Cancellation);
        await Fails("execve", "--security-opt", $"seccomp={profile}");
    }

    [Fact]
    public Task Program_that_does_not_exist() => Fails("executable file not found", "--entrypoint", "nosuch");

    [Fact]
    public Task Sysctl_that_does_not_exist() => Fails("nosuch", "--sysctl", "net.ipv4.nosuch=1");

    [Fact]
    public async Task Explain_prints_the_plan()
    {
        await Docker.Ok("create", "--name", "planned", "alpine", "sleep", "1");
        var plan = (await Programs.Run(Repository.Executable!, ["-H", $"unix://{Docker.Socket}", "explain", "planned"])).Ok().Output;
        Assert.All(["pivot_root", "execve", "move_mount"], call => Assert.Contains(call, plan, StringComparison.Ordinal));
    }
}
