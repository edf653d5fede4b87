using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`--storage-opt` and `--runtime`: what cannot be done is said as Docker says it.</summary>
public sealed class StorageOptionTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    [RunOption("--storage-opt")]
    public async Task A_container_writes_no_more_than_its_size()
    {
        Assert.SkipUnless(IsSlipway, "Docker needs XFS with project quotas");
        var name = Container();
        var full = await Docker.Run("run", "--name", name, "--storage-opt", "size=16m", "alpine", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=64 2>&1; touch /dev/shm/x && echo others; ls -a / | grep -c lost || true");
        Assert.Contains("No space left on device", full.Output, StringComparison.Ordinal);
        Assert.Contains("others\n0", full.Output, StringComparison.Ordinal);
        Assert.Equal("map[size:16m]", await Docker.Inspect(name, "{{.HostConfig.StorageOpt}}"));

        // Nobody else is short of anything; and what it wrote is there at the next start.
        Assert.Equal("fine", await Docker.Ok("run", "--rm", "alpine", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=32 2> /dev/null && echo fine"));
        Assert.Contains("A /big", (await Docker.Ok("diff", name)).Split('\n'));
        var copied = Path.Combine(Folder(), "big");
        await Docker.Ok("cp", $"{name}:/big", copied);
        Assert.InRange(new FileInfo(copied).Length, 4 << 20, 16 << 20);
        await Docker.Ok("start", "-a", name);
        await Docker.Ok("rm", name);
    }

    [Fact]
    public async Task A_layer_of_a_size_is_copied_to_committed_and_outlives_the_engine()
    {
        await using var engine = new Engine("size");
        await engine.Start();
        var docker = engine.Docker;
        await AlpineImage.Import(docker);
        var file = Path.Combine(Folder(), "file");
        await File.WriteAllTextAsync(file, "copied\n", Cancellation);

        // Before the first start.
        await docker.Ok("create", "--name", "sized", "--storage-opt", "size=32m", "alpine", "sh", "-c", "cat /file; sleep 1000");
        await docker.Ok("cp", file, "sized:/file");
        await docker.Ok("start", "sized");
        await docker.Ok("exec", "sized", "sh", "-c", "echo more > /more; rm /etc/os-release");
        await engine.Kill();
        await engine.Start();
        Assert.Equal("copied", await docker.Ok("logs", "sized"));
        Assert.Equal("copied\nmore", await docker.Ok("exec", "sized", "cat", "/file", "/more"));
        Assert.NotEqual(0, (await docker.Run("exec", "sized", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=64")).ExitCode);
        await docker.Ok("exec", "sized", "rm", "/big");
        await docker.Ok("commit", "sized", "committed");
        Assert.Equal("more\nno release", await docker.Ok("run", "--rm", "committed", "sh", "-c", "cat /more; test -e /etc/os-release || echo no release"));
        Assert.NotEqual("0B (virtual 0B)", await docker.Ok("ps", "-s", "--filter", "name=sized", "--format", "{{.Size}}"));
        await docker.Ok("rm", "-f", "sized");
        Assert.DoesNotContain(engine.DataRoot, (await Programs.Run("losetup", ["-a"])).Ok().Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(Path.Combine(engine.DataRoot, "containers")));
    }

    [Theory]
    [InlineData("size=x", "invalid size: 'x'")]
    [InlineData("size=1m", "a container's layer has at least 4 MiB")]
    [InlineData("nosuch=1", "Unknown option nosuch")]
    public async Task Other_storage_options_are_refused(string option, string expected)
    {
        Assert.SkipUnless(IsSlipway, "Docker looks at its file system first");
        var result = await Docker.Run("run", "--rm", "--storage-opt", option, "alpine", "true");
        Assert.Equal(125, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    [RunOption("--runtime")]
    public async Task A_runtime_nobody_registered_is_refused() =>
        Assert.Contains("unknown or invalid runtime name: nosuch", (await Docker.Run("run", "--rm", "--runtime", "nosuch", "alpine", "true")).Error, StringComparison.Ordinal);

    [Fact]
    public async Task Our_own_runtime_is_known_by_name()
    {
        Assert.SkipUnless(IsSlipway, "Docker's own is runc");
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "--runtime", "slipway", "alpine", "echo", "hi"));
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "--runtime", "runc", "alpine", "echo", "hi"));
    }
}
